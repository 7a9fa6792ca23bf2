"""Our states as other tools' resources: each once, and none forgotten."""

from __future__ import annotations

import ast

import yaml

from bench import report, resources
from bench.converge import Way
from bench.resources import Found

LOW = [
    {"state": "file", "fun": "managed", "__id__": "Ensure a file", "name": "/etc/a"},
    {"state": "secret", "fun": "delivered", "__id__": "Ensure a secret", "name": "/etc/s"},
    {"state": "file", "fun": "directory", "__id__": "Ensure a directory", "name": "/etc/d"},
    {"state": "file", "fun": "symlink", "__id__": "Ensure a link", "name": "/etc/l"},
    {"state": "file", "fun": "absent", "__id__": "Ensure nothing", "name": "/etc/gone"},
    {"state": "apt_package", "fun": "installed", "__id__": "Ensure packages", "pkgs": ["curl", "jq"]},
    {"state": "apt_package", "fun": "removed", "__id__": "Ensure no package", "name": "telnet"},
    {
        "state": "systemd_service",
        "fun": "running",
        "__id__": "Ensure a service",
        "name": "haproxy",
        "enable": True,
    },
    {"state": "systemd_service", "fun": "masked", "__id__": "Ensure no service", "name": "rpcbind"},
    {"state": "systemd_service", "fun": "disabled", "__id__": "Ensure it waits", "name": "helper"},
    {"state": "compose", "fun": "running", "__id__": "Ensure it runs", "name": "data"},
]
THERE = {
    "/etc/a": Found("file", "644", "root", "root"),
    "/etc/s": Found("file", "400", "root", "root"),
    "/etc/d": Found("directory", "755", "root", "adm"),
    "/etc/l": Found("link", "777", "root", "root", "../b"),
}
FILES = {"/etc/a": "files/etc/a", "/etc/s": "files/etc/s"}
FOUND = resources.resources(LOW, THERE)


def test_every_state_is_one_resource() -> None:
    assert resources.paths(LOW) == ["/etc/a", "/etc/d", "/etc/gone", "/etc/l", "/etc/s"]
    assert [one.kind for one in FOUND] == [
        "file", "file", "directory", "link", "absent", "packages", "no_packages", "service", "service",
        "service", "other",
    ]  # fmt: skip
    assert resources.counts(FOUND)["file"] == 2


def test_ansible_has_a_task_for_each() -> None:
    (play,) = yaml.safe_load(resources.playbook(FOUND, FILES))
    assert [task["name"] for task in play["tasks"]] == [chunk["__id__"] for chunk in LOW]
    tasks = {task["name"]: task for task in play["tasks"]}
    copy = {"src": "files/etc/s", "dest": "/etc/s", "owner": "root", "group": "root", "mode": "0400"}
    assert tasks["Ensure a secret"]["ansible.builtin.copy"] == copy
    assert tasks["Ensure packages"]["ansible.builtin.apt"] == {"name": ["curl", "jq"], "state": "present"}
    service = {"name": "haproxy", "state": "started", "enabled": True}
    assert tasks["Ensure a service"]["ansible.builtin.systemd_service"] == service
    waits = {"name": "helper", "enabled": False}
    assert tasks["Ensure it waits"]["ansible.builtin.systemd_service"] == waits
    assert tasks["Ensure it runs"]["changed_when"] is False


def test_pyinfra_has_an_operation_for_each() -> None:
    text = resources.deploy(FOUND, FILES)
    calls = [node.value for node in ast.parse(text).body if isinstance(node, ast.Expr)]
    assert len(calls) == len(LOW)
    assert "files.put(name='Ensure a file', src='files/etc/a', dest='/etc/a', user='root'" in text
    assert "apt.packages(name='Ensure no package', packages=['telnet'], present=False)" in text


def test_ways_are_judged_by_their_medians() -> None:
    ways = [
        Way("ours", (1.9, 1.8, 2.4)),
        Way("pyinfra", (4.0, 3.8, 9.0)),
        Way("Ansible", (), "no such module"),
    ]
    text = report.converge(FOUND, ways, {})
    assert "| ours | 1.90 | 1.80 | 2.40 | 1.0 |" in text
    assert "| pyinfra | 4.00 | 3.80 | 9.00 | 2.1 |" in text
    assert "at most 2 s, met; ahead of all others: met." in text
    assert "Ansible did not run: no such module" in text
    assert (
        "11 resources: 1.90 s; pyinfra 4.0 s; the fastest of the others takes 2.11 times"
        in report.converge_note(FOUND, ways)
    )
