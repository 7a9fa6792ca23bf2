"""Packages when a deployment is taken off its host: which go, and that nothing goes that others need."""

import pytest
from marketplace_durable import to_json
from marketplace_removal import engine_is_needed

from tests.unit.test_states import load


class Apt:
    """dpkg with some packages, and what apt would remove with others."""

    def __init__(self, installed, dependencies=(), orphans=(), manual=("docker.io", "jq")):
        self.installed, self.dependencies, self.orphans = set(installed), dependencies, orphans
        self.manual = manual
        self.purged = []

    def run_all(self, command, **_):
        answer = {"retcode": 0, "stdout": "", "stderr": ""}
        if command[0] == "dpkg-query":
            return answer | {"stdout": "".join(f"installed {one}\n" for one in sorted(self.installed))}
        if command[0] == "apt-mark":
            return answer | {"stdout": "\n".join(self.manual)}
        if "autoremove" in command:
            return answer | {"stdout": "".join(f"Remv {one} [1]\n" for one in self.orphans)}
        if "--simulate" in command:
            asked = command[command.index("--autoremove") + 1 :]
            going = [*asked, *self.dependencies, *self.orphans]
            return answer | {"stdout": "".join(f"Purg {one} [1]\n" for one in going)}
        self.purged = command[command.index("purge") + 1 :]
        self.installed -= set(self.purged)
        return answer


def purge(apt, tmp_path, before, test=False):
    (tmp_path / "before.json").write_text(to_json({"packages": before}))
    module = load(
        "apt_package", __salt__={"cmd.run_all": apt.run_all}, __opts__={"test": test}, __context__={}
    )
    return module.purged("Ensure", ["docker.io", "jq", "less"], str(tmp_path / "before.json"))


@pytest.mark.parametrize("test", [True, False])
def test_packages_go_with_what_came_for_their_sake_and_nothing_else(tmp_path, test):
    apt = Apt(
        ["docker.io", "jq", "runc", "old-kernel", "bash"], dependencies=["runc"], orphans=["old-kernel"]
    )
    ret = purge(apt, tmp_path, before=["bash", "jq"], test=test)
    assert ret["result"] is (None if test else True)
    assert list(ret["changes"]) == ["docker.io", "runc"]
    assert apt.purged == ([] if test else ["docker.io", "runc"])
    if not test:
        assert purge(apt, tmp_path, before=["bash", "jq"])["changes"] == {}


def test_a_package_that_was_there_before_never_goes(tmp_path):
    apt = Apt(["docker.io", "theirs"], dependencies=["theirs"])
    ret = purge(apt, tmp_path, before=["theirs"])
    assert ret["result"] is False
    assert "theirs" in ret["comment"]
    assert apt.purged == []


def test_a_package_that_somebody_has_asked_for_since_never_goes(tmp_path):
    apt = Apt(["docker.io", "theirs"], dependencies=["theirs"], manual=["docker.io", "theirs"])
    ret = purge(apt, tmp_path, before=["bash"])
    assert ret["result"] is False
    assert "theirs" in ret["comment"]
    assert apt.purged == []


def test_where_nobody_knows_what_was_before_all_packages_stay(tmp_path):
    apt = Apt(["docker.io"])
    assert purge(apt, tmp_path, before=None)["changes"] == {}
    assert apt.purged == []


def test_an_engine_that_others_need_is_not_taken_from_them():
    assert "eve" in engine_is_needed(["curl"], {"eve": "image x"})
    assert engine_is_needed(["curl"], {}) is None
    assert engine_is_needed(["docker.io"], {"eve": "image x"}) is None
    assert engine_is_needed(None, {"eve": "image x"}) is None
