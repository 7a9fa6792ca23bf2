"""What no state owns: taken from the droplet's files, and compared with what was taken for right."""

import base64
import hashlib

import pytest
from marketplace_inventory import KINDS, adopted, compare
from marketplace_inventory_look import (
    closed,
    conffiles,
    files,
    fingerprints,
    free_rules,
    keys,
    logins,
    members,
    tables,
)

PASSWD = "root:x:0:0:root:/root:/bin/bash\nwww:x:33:33::/var/www:/usr/sbin/nologin\neve:x:0:0::/home/eve:/bin/false\n"
BLOB = base64.b64encode(b"a public key").decode()
PRINT = f"SHA256:{base64.b64encode(hashlib.sha256(b'a public key').digest()).decode().rstrip('=')}"


def test_who_can_log_in():
    assert set(logins(PASSWD)) == {"root", "eve"}
    assert logins(PASSWD)["root"] == "number 0, home /root, shell /bin/bash"
    assert members("root:x:0:\nsudo:x:27:eve,bob\nusers:x:100:ann\n") == {
        "eve in sudo": "",
        "bob in sudo": "",
    }


def test_every_key_that_lets_somebody_in(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "root/.ssh").mkdir(parents=True)
    text = f'# ssh-ed25519 {BLOB} off\nfrom="10.0.0.1" ssh-ed25519 {BLOB} ann@laptop\n\nssh-rsa not-base64!\n'
    (tmp_path / "root/.ssh/authorized_keys").write_text(text)
    [(name, words)] = keys(tmp_path).items()
    assert name == f"{PRINT} of root"
    assert words.startswith("options ")
    assert words.endswith(" ann@laptop")
    # What options say may be a secret.
    assert "10.0.0.1" not in words
    assert fingerprints(text) == [(PRINT, words)]


def test_lines_that_nobody_can_read_hide_nobody(tmp_path):
    (tmp_path / "etc").mkdir()
    odd = "\n#eve\nshort:x\nnobody:x:none:none::/:/bin/sh\n"
    # To the system these are accounts: numbers may have a sign, and a line that ends early has the usual shell.
    hidden = "bob::0:0\nmal:x:+0:0::/home/mal:/usr/sbin/nologin\neva:x:1:1::/home/eva:/tmp/nologin\n"
    (tmp_path / "etc/passwd").write_text(f"{PASSWD}{odd}{hidden}")
    (tmp_path / "home/eva/.ssh").mkdir(parents=True)
    (tmp_path / "home/eva/.ssh/authorized_keys").write_text(f"ssh-ed25519 {BLOB} eva@laptop\n")
    assert keys(tmp_path) == {f"{PRINT} of eva": "eva@laptop"}
    assert set(logins((tmp_path / "etc/passwd").read_text())) == {"root", "eve", "bob", "mal", "eva"}


def test_what_lies_where_it_runs(tmp_path):
    (tmp_path / "etc/cron.d").mkdir(parents=True)
    (tmp_path / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    (tmp_path / "etc/cron.d/eve").write_text("* * * * * root true")
    (tmp_path / "etc/systemd/system/multi-user.target.wants/x.service").symlink_to("/usr/lib/x.service")
    found = files(tmp_path)
    assert found["/etc/systemd/system/multi-user.target.wants/x.service"] == "-> /usr/lib/x.service"
    assert len(found["/etc/cron.d/eve"]) == 16


def rule(chain, *expr, table="filter"):
    return {"rule": {"family": "ip", "table": table, "chain": chain, "handle": 3, "expr": list(expr)}}


def test_rules_in_the_chains_that_docker_leaves_to_others():
    counter = {"counter": {"packets": 1, "bytes": 2}}
    ruleset = [
        {"metainfo": {}},
        {"table": {"family": "ip", "name": "filter"}},
        rule("DOCKER-USER", counter, {"return": None}),
        rule("FORWARD", {"jump": {"target": "DOCKER-USER"}}),
        rule("INPUT", counter, {"accept": None}),
        rule("INPUT", {"accept": None}, table="host"),
    ]
    assert tables(ruleset) == ["ip filter"]
    assert list(free_rules(ruleset)) == ['ip filter INPUT: [{"accept": null}]']


def test_what_came_went_and_changed():
    before = {"account": {"root": "0", "ann": "1"}, "file": {"/etc/cron.d/a": "1"}}
    now = {"account": {"root": "0", "eve": "number 0"}, "file": {"/etc/cron.d/a": "2", "/etc/cron.d/b": "3"}}
    found = {one.name: one for one in compare(before, now, ())}
    assert {name: one.words for name, one in found.items()} == {
        "ann": "is gone",
        "eve": "was added (number 0)",
        "/etc/cron.d/a": "was changed",
        "/etc/cron.d/b": "was added",
    }
    assert not any(one.owned for one in found.values())
    assert found["eve"].remedy.startswith(
        "usermod --lock --expiredate 1 eve; or salt-call health.drift accept=True"
    )
    assert found["ann"].remedy.startswith("put it back; or")


@pytest.mark.parametrize(
    ("kind", "name", "known"),
    [
        ("file", "/etc/systemd/system/x.timer", "/etc/systemd/system/x.timer"),
        ("file", "/etc/systemd/system/timers.target.wants/x.timer", "x.timer"),
        ("file", "/etc/systemd/system/multi-user.target.wants/chrony.service", "chrony"),
        ("file", "/etc/systemd/system/srv-data-redis.mount", "/srv/data/redis"),
        ("firewall table", "bridge isolation", "isolation"),
    ],
)
def test_what_states_look_after_is_theirs_to_judge(kind, name, known):
    assert compare({kind: {}}, {kind: {name: "1"}}, ()) != []
    assert compare({kind: {}}, {kind: {name: "1"}}, (known,)) == []


def test_what_cannot_be_looked_at_is_no_news():
    assert compare({"container": {"eve": ""}}, {}, ()) == []
    assert compare({}, {"container": {"eve": ""}}, ()) == []


def test_every_kind_has_a_way_out():
    assert all(KINDS.values())


def test_configuration_that_a_package_brought_is_known_by_its_digest():
    said = " /etc/sudoers 0123abc\n /etc/cron.d/x 9f obsolete\n\nno-path 1\n"
    assert conffiles(said) == {"/etc/sudoers": "0123abc", "/etc/cron.d/x": "9f"}


def test_settings_of_the_database_are_told_without_what_they_say():
    old, new = closed({"app.secret of role x": "hunter2"}), closed({"app.secret of role x": "hunter3"})
    assert old != new
    [found] = compare({"database setting": old}, {"database setting": new}, ())
    assert found.words == "was changed"
    assert "hunter" not in str((old, new))


def test_a_name_like_that_of_a_unit_hides_nothing_elsewhere():
    now = {
        "file": {
            "/etc/sudoers.d/docker": "1",
            "/etc/systemd/system/multi-user.target.wants/docker.service": "2",
        }
    }
    assert [one.name for one in compare({"file": {}}, now, ("docker",))] == ["/etc/sudoers.d/docker"]
    confined = {"file": {"/etc/systemd/system/x.service.d/confined.conf": "1"}}
    assert compare(confined, {"file": {}}, ("/etc/systemd/system/x.service.d",)) == []


def test_what_a_run_of_states_brings_with_it_is_right():
    right = {"account": {"root": "0", "prometheus": "1"}, "database role": {}}
    before = {"account": {"root": "0", "prometheus": "1", "eve": "0"}, "database role": {}, "file": {}}
    after = {
        "account": {"root": "0", "eve": "0"},
        "database role": {"reader": "may log in"},
        "file": {"/x": "1"},
    }
    found, words = adopted(right, before, after)
    # What somebody added before the run stays a difference, and what was never looked at is no news.
    assert found == {"account": {"root": "0"}, "database role": {"reader": "may log in"}}
    assert words == ["account prometheus is gone", "database role reader was added (may log in)"]
    assert right["account"] == {"root": "0", "prometheus": "1"}
