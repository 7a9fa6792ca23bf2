"""salt-ssh from the checkout's root, with an ssh that stays on this machine and a salt-call that plays a droplet's."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

TREE = Path(__file__).resolve().parents[2]
SSH = """#!/bin/sh
[ "$1" != -V ] || { echo OpenSSH_9.9 >&2; exit 0; }
echo "$@" >> "$LAPTOP/ssh.log"
shift
while [ "$1" = -o ]; do shift 2; done
export LD_LIBRARY_PATH=
exec sh -c "exec $*"
"""
SCP = """#!/bin/sh
while [ "$1" = -o ]; do shift 2; done
exec cp "$1" "${2#*:}"
"""
SALT_CALL = """#!{python}
import json, os, pathlib, sys, time
go, (function, *words) = pathlib.Path({go!r}), sys.argv[4:]
if function == "deploy.release":
    print("preflight: all is well", file=sys.stderr, flush=True)
    deadline = time.monotonic() + 20
    while not go.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    print(json.dumps({{"local": {{"outcome": "live" if go.exists() else "nobody looked on"}}}}))
elif function == "deploy.plan":
    print(json.dumps({{"local": {{"outcome": "refused"}}}}))
    sys.exit(1)
elif function == "deploy.resume":
    print("Connection to fake closed by remote host.", file=sys.stderr)
    sys.exit(255)
elif function == "settings.rotate":
    answers = []
    for state in words[:-1]:
        print('states wanted from the controller: ["%s"]' % json.loads(state), flush=True)
        answers.append(sys.stdin.readline())
    print(json.dumps({{"local": {{"said": answers, "gate": json.loads(words[-1].removeprefix("controller="))}}}}))
elif function == "deploy.history":
    sys.exit("salt-call: command not found")
else:
    print(json.dumps({{"local": words}}))
"""


class Laptop:
    """A checkout with a roster."""

    def __init__(self, root: Path) -> None:
        self.root, self.go, self.programs = root, root / "go", root / "bin"
        for name in ("salt", "formulas", "pillar", "controller"):
            shutil.copytree(TREE / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "local"))
        shutil.copy(TREE / "Saltfile", root / "Saltfile")
        self.programs.mkdir()
        salt_call = SALT_CALL.format(python=sys.executable, go=str(self.go))
        for name, text in (("ssh", SSH), ("scp", SCP), ("droplet-salt-call", salt_call)):
            (self.programs / name).write_text(text)
            (self.programs / name).chmod(0o755)
        wrapper = root / "salt/_wrapper/droplet.py"
        wrapper.write_text(
            wrapper.read_text().replace("/usr/local/bin/salt-call", str(self.programs / "droplet-salt-call"))
        )
        target = {"host": "fake", "user": "deploy", "thin_dir": str(root / "thin")}
        (root / "roster").write_text(yaml.safe_dump({"development": target}))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        path = f"{self.programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.Popen(
            ["salt-ssh", "--out=json", *arguments],
            cwd=self.root,
            env=os.environ | {"PATH": path, "LAPTOP": str(self.root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, function: str, *arguments: str) -> tuple[Any, int]:
        process = self.start("development", function, *arguments)
        stdout, stderr = process.communicate()
        assert stdout.startswith("{"), stderr
        return json.loads(stdout)["development"], process.returncode


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    return Laptop(tmp_path_factory.mktemp("laptop"))


@pytest.fixture
def releasing(laptop: Laptop) -> Iterator[subprocess.Popen[str]]:
    """A release that has said its first line, and ends when ``laptop.go`` is there."""
    laptop.go.unlink(missing_ok=True)
    process = laptop.start("development", "deploy.release", "1.1.0")
    assert process.stderr is not None
    assert process.stderr.readline() == "preflight: all is well\n"
    yield process
    laptop.go.touch()
    process.communicate()


def test_words_reach_the_droplet_as_they_were_typed(laptop: Laptop) -> None:
    hard = ["a  b", "$HOME", "it's", '"', "; false", "1.10"]
    said = laptop.call("deploy.exec", json.dumps(hard), "timeout='1.10'")
    assert said == ([json.dumps(hard), 'timeout="1.10"'], 0)
    calls = [line for line in (laptop.root / "ssh.log").read_text().splitlines() if line.startswith("fake ")]
    assert calls
    for line in calls:
        assert "-o StrictHostKeyChecking=yes" in line
        assert "-o ControlMaster=auto -o ControlPath=.salt-ssh/%C -o ControlPersist=60" in line


def test_failure_is_a_failure_here_as_well(laptop: Laptop) -> None:
    value, code = laptop.call("deploy.plan", "1.1.0")
    assert value == {"outcome": "refused"}
    assert code != 0


def test_key_that_is_refused_is_said_and_no_password_asked_for(laptop: Laptop) -> None:
    refusing = 'echo "deploy@fake: Permission denied (publickey)." >&2; exit 255'
    for name in ("ssh", "scp"):
        (laptop.programs / name).rename(laptop.programs / f"{name}-kept")
        (laptop.programs / name).write_text(f'#!/bin/sh\n[ "$1" = -V ] || {{ {refusing}; }}\n')
        (laptop.programs / name).chmod(0o755)
    try:
        value, code = laptop.call("deploy.status")
    finally:
        for name in ("ssh", "scp"):
            (laptop.programs / f"{name}-kept").rename(laptop.programs / name)
    assert (value, code != 0) == ("deploy@fake: Permission denied (publickey).", True)


def test_steps_show_while_they_happen(laptop: Laptop, releasing: subprocess.Popen[str]) -> None:
    laptop.go.touch()
    stdout, _ = releasing.communicate()
    assert json.loads(stdout) == {"development": {"outcome": "live"}}
    assert releasing.returncode == 0


def test_who_stops_looking_on_is_told_that_it_goes_on(releasing: subprocess.Popen[str]) -> None:
    begun = time.monotonic()
    releasing.send_signal(signal.SIGINT)
    stdout, stderr = releasing.communicate()
    assert time.monotonic() - begun < 10
    assert (stdout, releasing.returncode) == ("", 130)
    assert "what deploy.release has begun on development goes on" in stderr
    assert "salt-ssh development deploy.status" in stderr
    assert "Traceback" not in stderr


@pytest.fixture
def pillar(laptop: Laptop) -> Path:
    """The laptop's, with all that has to be said."""
    local = laptop.root / "pillar/local/init.sls"
    local.parent.mkdir(exist_ok=True)
    local.write_text(yaml.safe_dump({"secrets": {"telegram_token": {"value": f"123456789:{'t' * 35}"}}}))
    local.chmod(0o600)
    return local


def test_states_that_a_droplet_asks_for_are_applied_from_here(laptop: Laptop, pillar: Path) -> None:
    """The fake droplet asks for one state for each secret; its name says how it goes."""
    for name, does in (("good", "succeed_with_changes"), ("bad", "fail_without_changes")):
        (laptop.root / f"salt/{name}.sls").write_text(
            yaml.safe_dump({f"Ensure {name}": {f"test.{does}": []}})
        )
    answer, code = laptop.call("settings.rotate", "good", "bad", "good", "none")
    assert isinstance(answer, dict), answer
    said = [json.loads(line) for line in answer["said"]]
    assert said[0] is said[2] is None
    assert said[1].startswith("state.apply: Ensure bad: ")
    assert "No matching sls found for 'none'" in said[3]
    assert code == 0
    assert answer["gate"]["source"] == "pillar"
    assert answer["gate"]["digest"].startswith("sha256:")


def test_a_pillar_that_is_wrong_here_rotates_nothing(laptop: Laptop, pillar: Path) -> None:
    pillar.write_text("secrets: {}\n")
    answer, code = laptop.call("settings.rotate", "good")
    assert (answer["outcome"], code != 0) == ("refused", True)
    assert "secrets.telegram_token" in answer["reason"]


def test_lost_connection_is_told_from_a_droplet_that_was_never_converged(laptop: Laptop) -> None:
    lost, code = laptop.call("deploy.resume")
    assert code != 0
    assert "the connection to development ended before deploy.resume answered" in lost
    assert "closed by remote host" in lost
    assert "salt-ssh development deploy.status" in lost
    bare, code = laptop.call("deploy.history")
    assert code != 0
    assert "command not found" in bare
    assert "salt-ssh development state.apply" in bare


@pytest.mark.parametrize(
    ("roster", "says"),
    [
        ({"development": {"host": "fake"}}, "no target matches 'developmnt'; roster lists development"),
        ({}, "lists nothing"),
        ("a: b: c", "the roster cannot be read"),
    ],
)
def test_target_that_is_not_listed_is_an_error(laptop: Laptop, roster: object, says: str) -> None:
    kept = (laptop.root / "roster").read_text()
    (laptop.root / "roster").write_text(roster if isinstance(roster, str) else yaml.safe_dump(roster))
    try:
        process = laptop.start("developmnt", "deploy.release", "1.1.0")
        stdout, stderr = process.communicate()
    finally:
        (laptop.root / "roster").write_text(kept)
    assert stdout == ""
    assert process.returncode == 1
    assert says in stderr
