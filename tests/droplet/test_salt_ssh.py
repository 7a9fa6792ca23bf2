"""A laptop with Python, ssh and a checkout converges a bare droplet and ships to it: no root login, no Docker, nothing
installed on the droplet beforehand. And whichever way somebody asks, the answer is the same."""

from __future__ import annotations

import dataclasses
import functools
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.support import shipping
from tests.support.botapi.client import BotApi
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine, Result
from tests.support.droplet.paths import REPOSITORY
from tests.support.droplet.salt import ON_RECORD, Answer, call, parse
from tests.support.droplet.site import Images, Site
from tests.support.waiting import seconds_until

HOME = "/home/ops"
CHECKOUT = f"{HOME}/deploy"
SALT_SSH = f"{CHECKOUT}/.salt-ssh/bin/salt-ssh"
KNOWN_HOSTS = f"{HOME}/.ssh/known_hosts"
OWN_TOKEN = f"7000000002:{'o' * 35}"
# The other roster has the same id: it is the droplet's.
ROSTERS = {
    "roster": {"host": "bare.test", "user": "deploy", "sudo": True},
    "roster-root": {"host": "bare.test", "user": "root"},
}
# Ctrl-C as a terminal sends it, to all who are at work, as soon as a first step is told.
INTERRUPTED = """
import os, signal, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stderr=subprocess.PIPE, text=True, start_new_session=True)
first = process.stderr.readline()
os.killpg(process.pid, signal.SIGINT)
sys.stderr.write(first + process.stderr.read())
sys.exit(process.wait())
"""


@dataclasses.dataclass
class Laptop:
    """The controller, as its user without privileges."""

    machine: Machine

    def run(self, *argv: str, check: bool = True, **environment: str) -> Result:
        return self.machine.run(
            argv, user="ops", cwd=CHECKOUT, environment={"HOME": HOME, **environment}, check=check
        )

    def salt_ssh(self, function: str, *arguments: str, roster: str = "roster") -> Answer:
        words = [f"--roster-file={roster}", "development", function, *arguments, "--out=json"]
        return parse(self.run(SALT_SSH, *words, check=False), key="development")

    def know(self, key: str) -> None:
        self.machine.run(["tee", KNOWN_HOSTS], user="ops", stdin=key)


@pytest.fixture(scope="module")
def target(site: Site, images: Images, botapi: BotApi) -> Iterator[Droplet]:
    """A bare droplet that only its image's user and key give access to."""
    made = site.droplet("bare")
    made.run(["rm", "-r", "/root/.ssh"])
    made.run(["useradd", "--create-home", "--shell=/bin/bash", "deploy"], check=False)
    made.put("/etc/sudoers.d/deploy", "deploy ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def own(site: Site, images: Images) -> dict[str, Any]:
    """The pillar, with a bot and a name of its own: two droplets must not take each other's webhook."""
    return pillar.local(site, images) | {
        "secrets": {
            "telegram_token": {"value": OWN_TOKEN},
            "alerts_telegram_token": {"value": site.alerts_token},
        },
        "edge": {"domains": ["bare.test"]},
    }


@pytest.fixture(scope="module")
def laptop(controller: Machine, site: Site, own: dict[str, Any], target: Droplet) -> Laptop:
    site.trust(controller)
    controller.run(["apt-get", "update", "-qq"])
    controller.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "make", "openssh-client"])
    controller.run(["useradd", "--create-home", "--shell=/bin/bash", "ops"], check=False)
    controller.put_tree(CHECKOUT)
    for name, roster in ROSTERS.items():
        controller.put(f"{CHECKOUT}/{name}", yaml.safe_dump({"development": roster}))
    controller.put(f"{CHECKOUT}/pillar/local/init.sls", yaml.safe_dump(own), 0o600)
    controller.run(["chown", "--recursive", "ops:ops", HOME])
    made = Laptop(controller)
    said = made.run("make", "laptop")
    assert "Installing Salt" in said.stderr
    assert "is ready. Next" in said.stdout
    again = made.run("make", "laptop")
    assert ("Installing" in again.stderr, again.stdout) == (False, said.stdout)
    made.run("install", "-d", "-m", "700", f"{HOME}/.ssh")
    made.run(
        "sh",
        "-c",
        f"[ -e {HOME}/.ssh/id_ed25519 ] || ssh-keygen -q -t ed25519 -N '' -f {HOME}/.ssh/id_ed25519",
    )
    target.run(["install", "-d", "-m", "700", "-o", "deploy", "-g", "deploy", "/home/deploy/.ssh"])
    target.put("/home/deploy/.ssh/authorized_keys", controller.get(f"{HOME}/.ssh/id_ed25519.pub"))
    return made


def host_key(target: Droplet) -> str:
    return "bare.test " + target.get("/etc/ssh/ssh_host_ed25519_key.pub").decode().strip() + "\n"


@pytest.fixture(scope="module")
def converged_target(laptop: Laptop, target: Droplet) -> Droplet:
    """The target after one state.apply by salt-ssh."""
    laptop.know(host_key(target))
    applied = laptop.salt_ssh("state.apply")
    assert applied.failed == {}
    assert applied.returncode == 0
    assert "Ensure the backend is released" in applied.changed
    return target


def test_host_whose_key_is_not_known_is_refused_and_left_alone(laptop: Laptop, target: Droplet) -> None:
    other = target.run(
        ["sh", "-c", "ssh-keygen -q -t ed25519 -N '' -f /tmp/other && cat /tmp/other.pub"]
    ).stdout
    for known, words in (
        ("", "No ED25519 host key is known for bare.test and you have requested strict checking"),
        (f"bare.test {other}", "REMOTE HOST IDENTIFICATION HAS CHANGED"),
    ):
        laptop.know(known)
        refused = laptop.salt_ssh("deploy.status")
        assert refused.returncode != 0
        assert words in str(refused.value)
        assert "Host key verification failed" in str(refused.value)
    assert target.run(["find", "/var/tmp", "-name", ".deploy*"]).stdout == ""
    laptop.know(host_key(target))
    early = laptop.salt_ssh("deploy.status")
    assert early.returncode != 0
    assert "Has development been converged?" in str(early.value)


def test_pipeline_plans_a_droplet_that_was_never_converged(laptop: Laptop, target: Droplet) -> None:
    told = pipeline(laptop, target, "1.0.0", READY, PREVIEW, PLAN)
    assert "Ensure the settings are valid and written" in told[PREVIEW].stdout
    assert told[PLAN].stdout.startswith("Nothing is converged yet")
    assert target.run(["ls", "-A", "/etc/marketplace", "/srv/deploy"], check=False).stdout == ""


def test_bare_droplet_converges_and_looks_after_itself(laptop: Laptop, converged_target: Droplet) -> None:
    target = converged_target
    assert target.run(["ls", "-A", "/srv/deploy"]).stdout.split() == ["REVISION", "salt"]
    tree = target.get("/srv/deploy/REVISION").decode().strip()
    assert len(tree) == 40
    status = laptop.salt_ssh("deploy.status")
    assert status.value["live"]["version"] == "1.0.0"
    shown = laptop.salt_ssh("settings.show", "edge.domains")
    assert shown.value == {"edge.domains": {"value": ["bare.test"], "origin": "pillar/local/init.sls"}}
    assert laptop.salt_ssh("settings.check").value == []
    differing = laptop.salt_ssh("settings.diff", "staging", "production").value
    assert list(differing) == ["edge.domains", "edge.certificate"]
    release = status.value["live"]["release"]
    logged = laptop.salt_ssh("deploy.logs", "service=backend", f"release={release}", "lines=5")
    assert logged.returncode == 0
    assert {(row["service"], row["release"]) for row in logged.value} == {("backend", release)}
    # The states are not there; what no state owns is looked at, and what salt-ssh has written is no drift.
    drift = laptop.salt_ssh("health.drift", "now=True", "wait=60")
    assert (drift.returncode, drift.value["drift"]) == (0, "none"), drift.value
    assert "converged from elsewhere" in drift.value["note"]
    # The droplet says so when somebody tries to converge it without its pillar.
    alone = target.run(["salt-call", "--retcode-passthrough", "state.apply"], check=False)
    assert alone.returncode != 0
    assert "converged from a controller" in alone.stdout + alone.stderr
    said = laptop.salt_ssh("deploy.exec", '["printf", "%s|", "a  b", "$HOME"]')
    assert said.value["stdout"] == "a  b|$HOME|"


READY = "Make salt-ssh ready, with the key that opens the droplet and the one the droplet shows"
PREVIEW = "What converging would change"
PLAN = "What the release would do, and what would refuse it"


def pipeline(laptop: Laptop, target: Droplet, version: str, *steps: str) -> dict[str, Result]:
    """What these steps of the example say for a tag; one that fails fails the test."""
    known = {
        "${{ secrets.SSH_KEY }}": laptop.machine.get(f"{HOME}/.ssh/id_ed25519").decode(),
        "${{ vars.KNOWN_HOSTS }}": host_key(target),
        "${{ secrets.TELEGRAM_TOKEN }}": "in pillar/local here",
    }
    example = yaml.safe_load((REPOSITORY / "examples/ci/github-actions.yaml").read_text())
    told = {}
    every = [step for job in example["jobs"].values() for step in job["steps"]]
    for step in (step for step in every if step["name"] in steps):
        given = {name: known[value] for name, value in step.get("env", {}).items()}
        given |= {"GITHUB_REF_NAME": f"v{version}", "GITHUB_PATH": "/dev/null"}
        given["PATH"] = f"{CHECKOUT}/.salt-ssh/bin:/usr/local/bin:/usr/bin:/bin"
        words = step["run"].replace("salt-ssh production", "salt-ssh development")
        told[step["name"]] = laptop.run("bash", "-eo", "pipefail", "-c", words, **given)
    return told


def test_warm_status_costs_little_more_than_a_ping(
    laptop: Laptop, converged_target: Droplet, note: Callable[[str], None]
) -> None:
    def median(function: str) -> float:
        return statistics.median(laptop.salt_ssh(function).seconds for _ in range(3))

    ping, status = median("test.ping"), median("deploy.status")
    note(
        f"over salt-ssh, warm: test.ping {ping:.2f} s, deploy.status {status:.2f} s, {status / ping:.2f} times that"
    )
    # It is a ping and one more salt-call, on the droplet itself: what grows beyond that has another reason.
    assert status < 3 * ping


@dataclasses.dataclass(frozen=True)
class Ways:
    """Three ways to ask: on the droplet, and from the laptop as root and as a user with sudo."""

    laptop: Laptop
    target: Droplet

    @property
    def all(self) -> dict[str, Callable[..., Answer]]:
        """Each way's function to ask, by its name."""
        return {
            "salt-call": functools.partial(call, self.target),
            "root": functools.partial(self.laptop.salt_ssh, roster="roster-root"),
            "sudo": self.laptop.salt_ssh,
        }


@pytest.fixture(scope="module")
def ways(laptop: Laptop, converged_target: Droplet) -> Ways:
    converged_target.run(["install", "-d", "-m", "700", "/root/.ssh"])
    key = laptop.machine.get(f"{HOME}/.ssh/id_ed25519.pub")
    converged_target.put("/root/.ssh/authorized_keys", key, 0o600)
    return Ways(laptop, converged_target)


def shape(value: Any) -> Any:
    """What a program finds in an answer: its keys, and of what kind each value is."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    if isinstance(value, list):
        return [shape(part) for part in value[:1]]
    return "number" if isinstance(value, int | float) else type(value).__name__


def same(answers: dict[str, Answer], of: Callable[[Any], Any] = shape) -> Any:
    """What all ways have answered, as ``of`` sees it, and whether they succeeded, which has to be the same."""
    seen = {name: (of(answer.value), answer.returncode == 0) for name, answer in answers.items()}
    reference = seen["salt-call"]
    for name, found in seen.items():
        assert found == reference, f"{name}: {unlike(found, reference)}"
    return reference


def unlike(found: Any, other: Any) -> Any:
    """Where two values are dictionaries of the same kind, only what they do not share."""
    if isinstance(found, tuple) and isinstance(other, tuple) and len(found) == len(other):
        return tuple(unlike(one, another) for one, another in zip(found, other, strict=True))
    if isinstance(found, dict) and isinstance(other, dict):
        return {
            key: (found.get(key), other.get(key))
            for key in found.keys() | other
            if found.get(key) != other.get(key)
        }
    return found, other


LOOKS_TWICE_SECONDS = 60
ASKED = ["deploy.status", "backup.create", "backup.list", "backup.check", "health.check"]


@pytest.mark.parametrize("function", ASKED)
def test_every_way_gives_the_same_answer(ways: Ways, function: str) -> None:
    if function == "health.check":
        # What processors were used is known from the watchdog's second look on.
        seconds_until(
            lambda: call(ways.target, function).value["droplet"]["cpu"] is not None, LOOKS_TWICE_SECONDS
        )
    answers = {name: ask(function) for name, ask in ways.all.items()}
    _, succeeded = same(answers)
    assert succeeded, answers


def test_every_way_ships_takes_back_and_fails_alike(ways: Ways, site: Site) -> None:
    site.backend("1.0.1")
    site.backend("1.0.2-crash", VARIANT="crash")
    asked = ("deploy.release 1.0.1", "deploy.rollback", "deploy.release 1.0.2-crash")
    answers: dict[str, dict[str, Answer]] = {words: {} for words in asked}
    # As root it is the same connection, without sudo.
    for name in ("salt-call", "sudo"):
        for words in asked:
            answers[words][name] = ways.all[name](*words.split(), "soak=0")

    def seen(record: dict[str, Any]) -> Any:
        steps = [(step["name"], step["outcome"]) for step in record.get("steps", [])]
        return record["outcome"], record.get("version"), shape(record), steps

    found = {words: same(answer, seen) for words, answer in answers.items()}
    told = [(outcome, succeeded) for (outcome, *_), succeeded in found.values()]
    assert told == [("live", True), ("live", True), ("failed", False)]
    for answer in answers["deploy.release 1.0.1"].values():
        assert "switch: " in answer.stderr


@pytest.fixture(scope="module")
def every_way(ways: Ways, own: dict[str, Any]) -> Ways:
    """The droplet gets a tree and a pillar of its own, as where one is handed over to those who work on it."""
    ways.target.put_tree()
    pillar.write(ways.target, own)
    return ways


INSTALLER = "/usr/local/lib/salt/install-salt"


def results(states: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Every state's result and whether it changed something; where the tree lies is another matter for each way.

    So is whether this is the first run that tells of what was done by another.
    """
    return {
        state["__id__"]: (state["result"], bool(state["changes"]))
        for state in states.values()
        if state["__sls__"] not in ("minion.tree", "minion.checkout") and state["__id__"] != ON_RECORD
    }


def test_every_way_converges_alike(every_way: Ways) -> None:
    answers: dict[str, dict[str, Answer]] = {"test=True": {}, "test=False": {}}
    for name, ask in every_way.all.items():
        every_way.target.run(["rm", INSTALLER])
        for option, found in answers.items():
            found[name] = ask("state.apply", option)
    for option, result in (("test=True", None), ("test=False", True)):
        states, succeeded = same(answers[option], results)
        assert states["Ensure the installer is there"] == (result, True)
        assert succeeded


def test_every_way_refuses_a_wrong_pillar_alike(every_way: Ways) -> None:
    wrong = 'pillar={"postgres": {"disk": "much"}, "redis": {"dsik": "2G"}}'
    answers = {name: ask("state.apply", wrong) for name, ask in every_way.all.items()}
    said, succeeded = same(answers, lambda lines: lines)
    assert not succeeded
    assert "postgres.disk" in str(said)
    assert "redis.dsik" in str(said)


def test_every_way_fails_alike(every_way: Ways) -> None:
    """A directory is where a state writes a file."""
    target = every_way.target
    target.run(["sh", "-c", f"rm {INSTALLER} && mkdir {INSTALLER}"])
    try:
        answers = {name: ask("state.apply", "minion") for name, ask in every_way.all.items()}
    finally:
        target.run(["rmdir", INSTALLER])
        assert call(target, "state.apply", "minion").failed == {}
    states, succeeded = same(answers, results)
    assert not succeeded
    failed = [id_ for id_, (result, _) in states.items() if result is False]
    assert failed == ["Ensure the installer is there", "Ensure Salt is installed from the locked list"]


def test_view_that_ends_leaves_the_release_on_its_way(ways: Ways, site: Site) -> None:
    site.backend("1.0.1")
    laptop, target = ways.laptop, ways.target
    words = ["--roster-file=roster", "development", "deploy.release", "1.0.1", "soak=8", "--out=json"]
    ended = laptop.run("python3", "-c", INTERRUPTED, SALT_SSH, *words, check=False)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert "what deploy.release has begun on development goes on" in ended.stderr
    assert laptop.salt_ssh("deploy.status").value["in_flight"] is not None
    shipping.wait_at_rest(target, 60)
    assert shipping.assert_sound(target, "1.0.1")["live"]["version"] == "1.0.1"


def test_connection_that_is_lost_leaves_the_rollback_on_its_way(ways: Ways) -> None:
    laptop, target = ways.laptop, ways.target

    def cut(_: Machine) -> None:
        seconds_until(lambda: shipping.status(target)["in_flight"], 30)
        sessions = target.run(["pgrep", "-f", "^sshd.*: deploy"]).stdout.split()
        assert sessions
        target.run(["kill", "-KILL", *sessions], check=False)

    with shipping.beside(target, cut):
        lost = laptop.salt_ssh("deploy.rollback", "soak=8")
    assert lost.returncode != 0
    assert "the connection to development ended before deploy.rollback answered" in lost.value
    assert laptop.salt_ssh("deploy.status").value["in_flight"] is not None
    shipping.wait_at_rest(target, 60)
    assert shipping.assert_sound(target, "1.0.0")["live"]["version"] == "1.0.0"
