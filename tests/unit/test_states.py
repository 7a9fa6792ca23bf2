"""States whose decisions show only in what they run, or say they would."""

import importlib.util
from pathlib import Path

import pytest

STATES = Path(__file__).parents[2] / "salt/_states"


def load(name, **dunders):
    """The state module as Salt's loader gives it its surroundings."""
    spec = importlib.util.spec_from_file_location(name, STATES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module).update(dunders)
    return module


class Apt:
    """An apt whose list lock somebody else holds for the first ``held`` updates."""

    def __init__(self, held=0, broken=False):
        self.held, self.broken, self.installed, self.updates = held, broken, False, 0

    def run_all(self, command, **_):
        answer = {"retcode": 0, "stdout": "", "stderr": ""}
        if command[0] == "dpkg-query":
            return answer | {"stdout": "installed jq" if self.installed else ""}
        if "update" in command:
            self.updates += 1
            if self.broken:
                return answer | {"retcode": 100, "stderr": "E: Failed to fetch"}
            if self.updates <= self.held:
                return answer | {"retcode": 100, "stderr": "E: Could not get lock /var/lib/apt/lists/lock."}
        else:
            self.installed = True
        return answer


@pytest.mark.parametrize(
    ("apt", "updates", "result"), [(Apt(), 1, True), (Apt(held=3), 4, True), (Apt(broken=True), 1, False)]
)
def test_the_lists_are_fetched_again_while_another_apt_holds_their_lock(monkeypatch, apt, updates, result):
    salt = {"cmd.run_all": apt.run_all}
    module = load("apt_package", __salt__=salt, __opts__={"test": False}, __context__={})
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    assert module.installed("Ensure jq", ["jq"])["result"] is result
    assert apt.updates == updates


@pytest.mark.parametrize(("restart", "predicted"), [(True, {"process"}), (False, {"definition"})])
def test_no_restart_is_predicted_where_none_is_made(restart, predicted):
    module = load("systemd_unit", __opts__={"test": True})
    assert set(module.mod_watch("x.service", restart=restart)["changes"]) == predicted
