"""The gate as a user meets it: salt-call with a wrong pillar, with none, with no gate."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.pillars import TEN_MISTAKES, pillar

TREE = Path(__file__).parents[2]


class Host:
    """A directory with a minion's configuration like minion.conf, and one state behind the gate."""

    def __init__(self, directory):
        self.directory = directory
        self.pillar = directory / "pillar"
        self.states = directory / "states"
        self.root = directory / "root"
        for path in (self.states, self.root):
            path.mkdir()
        (self.states / "behind.sls").write_text(
            "first: {settings.written: [{order: 1}, {failhard: True}]}\n"
            f"second: {{file.managed: [{{name: {self.root}/made}}, {{contents: x}}]}}\n"
        )

    def configure(self, minion_id="production", **changes):
        configuration = yaml.safe_load((TREE / "minion.conf").read_text())
        base = self.directory / "salt"
        configuration.update(
            id=minion_id,
            root_dir=str(base),
            log_file=str(base / "log"),
            file_roots={"base": [str(self.states), str(TREE / "salt")]},
            pillar_roots={"base": [str(self.pillar)]},
            module_dirs=[str(TREE / "salt")],
            marketplace_root=str(self.root),
            **changes,
        )
        (self.directory / "minion").write_text(yaml.safe_dump(configuration))

    def say(self, changes=None):
        for name in ("base", "production"):
            (self.pillar / name).mkdir(parents=True)
        (self.pillar / "top.sls").write_text((TREE / "pillar/top.sls").read_text())
        (self.pillar / "production/init.sls").write_text("{}\n")
        (self.pillar / "base/init.sls").write_text(yaml.safe_dump(pillar(changes)))

    def call(self, *arguments):
        command = Path(sys.executable).with_name("salt-call")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "LANG": "C.UTF-8"}
        return subprocess.run(
            [command, "-c", self.directory, *arguments],
            # Not in the checkout: its Saltfile says where the configuration is.
            cwd=self.directory,
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            check=False,
        )

    def made(self):
        return sorted(path.name for path in self.root.rglob("*"))


@pytest.fixture
def host(tmp_path):
    made = Host(tmp_path)
    made.configure()
    return made


def test_ten_mistakes_are_reported_at_once_and_change_nothing(host):
    host.say(TEN_MISTAKES)
    done = host.call("state.apply", "behind")
    assert done.returncode == 1
    for path in (
        "droplet.cpus",
        "network.app.subnet",
        "backend.image",
        "backend.version",
        "backend.limits.memory",
        "postgres.digest",
        "redis.save",
        "edge.domains",
        "telegram.api_urll",
        "secrets.telegram_token",
    ):
        assert f"    {path} " in done.stdout
    assert done.stdout.count(" Try: ") == 10
    assert host.made() == []


def test_a_right_pillar_passes_and_a_second_run_changes_nothing(host):
    host.say()
    assert host.call("state.apply", "behind").returncode == 0
    assert host.made() == ["environment", "etc", "made", "marketplace", "settings.json"]
    again = json.loads(host.call("state.apply", "behind", "--out=json").stdout)["local"]
    assert [state["changes"] for state in again.values()] == [{}, {}]


def test_an_override_on_the_command_line_is_checked_too(host):
    host.say()
    done = host.call("state.apply", "behind", "pillar={backend: {port: 1}}")
    assert done.returncode == 1
    assert "backend.port is 1, and 1024 to 65535 are allowed" in done.stdout
    assert host.made() == []


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("production/init.sls", "redis: {disk: 3G\n", "production"),
        ("production/init.sls", "redis:\n\tdisk: 3G\n", "production"),
        ("production/init.sls", "redis: {disk: 3G}\nredis: {disk: 4G}\n", "production"),
        ("production/init.sls", "redis: {disk: {{ nowhere.size }}}\n", "production"),
        ("production/init.sls", "include: [production.more]\n", "production.more"),
        ("production/init.sls", "- redis\n", "production"),
        ("top.sls", "base: {'*': [base\n", "top"),
    ],
    ids=["open bracket", "tab", "key twice", "no such variable", "no such include", "list", "top file"],
)
def test_a_pillar_file_that_cannot_be_read_is_named_and_changes_nothing(host, file, content, says):
    host.say()
    (host.pillar / file).write_text(content)
    done = host.call("state.apply", "behind")
    assert done.returncode != 0
    assert says in done.stdout + done.stderr
    assert host.made() == []


def test_an_unknown_environment_is_refused(host):
    host.say()
    host.configure("foo-1")
    done = host.call("state.apply", "behind")
    assert done.returncode == 1
    assert "minion id 'foo-1' has environment 'foo'; expected one of production" in done.stdout
    assert host.made() == []


def test_a_host_without_pillar_points_at_the_controller(host):
    done = host.call("state.apply", "behind")
    assert done.returncode == 1
    assert "converged from a controller" in done.stdout
    assert host.made() == []


def test_without_the_ext_pillar_the_first_state_stops_the_run(host):
    host.say()
    host.configure(ext_pillar=[])
    done = host.call("state.apply", "behind")
    assert done.returncode == 1
    assert "settings gate did not run" in done.stdout
    assert host.made() == []


def test_a_secret_in_a_wrong_place_is_neither_shown_nor_logged(host):
    secret = "S3cret-S3cret-S3cret-S3cret"
    host.say(
        {"backend.version": secret + "!", "backend.port": secret, "secrets.webhook_secret": {"value": "x"}}
    )
    done = host.call("state.apply", "behind", "-l", "debug")
    assert done.returncode == 1
    logged = (host.directory / "salt/log").read_text() if (host.directory / "salt/log").exists() else ""
    ours = [line for line in (done.stdout + logged).splitlines() if secret in line]
    assert ours == []
