"""A run with nothing to do: our tree on its droplet, and the same resources by Ansible and pyinfra."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from statistics import median
from typing import Any

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.errors import DropletError
from tests.support.droplet.machine import Machine, Result
from tests.support.droplet.paths import site_dir
from tests.support.droplet.progress import Progress
from tests.support.droplet.salt import call
from tests.support.droplet.site import Site

from . import resources
from .resources import Found, Resource

PEERS = ("ansible-core==2.19.14", "mitogen==0.3.54", "pyinfra==3.10.0")
HOME = "/root/peers"
BIN = f"{HOME}/venv/bin"
_KINDS = {
    "regular file": "file",
    "regular empty file": "file",
    "directory": "directory",
    "symbolic link": "link",
}
_STAT = 'for path in "$@"; do stat --format="%n|%F|%a|%U|%G|%N" "$path" 2>/dev/null; done; true'
_RECAP = re.compile(r"ok=(\d+)\s+changed=(\d+)\s+unreachable=0\s+failed=0")


@dataclass(frozen=True)
class Way:
    """One tool, and how it is run: seconds of each run with nothing to do; why not, where it did not run."""

    name: str
    seconds: Sequence[float]
    problem: str = ""

    @property
    def median(self) -> float:
        return median(self.seconds)


Durations = dict[tuple[str, str], list[float]]
"""Milliseconds that a state took in each of our runs, by its function and its id."""


def all_ways(
    site: Site, droplet: Droplet, runs: int, progress: Progress
) -> tuple[list[Resource], list[Way], Durations]:
    """The resources, and every way to converge them, in turn in every round so that the machine's noise meets all.

    The first way is ours, of which it is also told how long each state took.
    """
    states: Durations = {}
    low: list[dict[str, Any]] = call(droplet, "state.show_lowstate").value
    found = resources.resources(low, _there(droplet, resources.paths(low)))
    with progress.step("Ansible and pyinfra on a controller"):
        controller = _controller(site, droplet, found)

    # Each is told whether the droplet rests: in the first round, a peer may still bring something about.
    ways: dict[str, Callable[[bool], float]] = {
        "`salt-call state.apply`, on the droplet": lambda rests: _ours(droplet, states if rests else {}),
        "pyinfra, by SSH": lambda rests: _pyinfra(controller, found, rests),
        "Ansible with pipelining, by SSH": lambda rests: _ansible(controller, found, "pipelining.cfg", rests),
        "Ansible with Mitogen, by SSH": lambda rests: _ansible(controller, found, "mitogen.cfg", rests),
        "Ansible, by SSH": lambda rests: _ansible(controller, found, "plain.cfg", rests),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    problems: dict[str, str] = {}
    for number in range(runs + 1):
        for name, run in ways.items():
            if name in problems:
                continue
            try:
                took = run(number > 0)
            except DropletError as error:
                problems[name] = str(error).strip().splitlines()[-1][:300]
                progress.note(f"{name}: {problems[name]}")
                continue
            if number:  # The first only opens connections and fills caches.
                seconds[name].append(took)
                progress.note(f"{name}: {took:.1f} s")
    return found, [Way(name, tuple(seconds[name]), problems.get(name, "")) for name in ways], states


def _ours(droplet: Droplet, states: Durations) -> float:
    answer = call(droplet, "state.apply")
    if answer.failed or answer.changed:  # Without this one there is nothing to compare with.
        raise RuntimeError(f"the droplet is not at rest: {answer.failed or answer.changed}")
    for key, state in answer.value.items():
        module, _, _, function = key.split("_|-")
        states.setdefault((f"{module}.{function}", state["__id__"]), []).append(float(state["duration"]))
    return answer.seconds


def _ansible(controller: Machine, found: Sequence[Resource], configuration: str, rests: bool) -> float:
    done = _run(
        controller, [f"{BIN}/ansible-playbook", "-i", "hosts", "site.yml"], ANSIBLE_CONFIG=configuration
    )
    recap = _RECAP.search(done.stdout)
    if recap is None:
        raise DropletError(done.stdout[-1000:])
    _expect(int(recap[1]) == len(found), f"{recap[1]} tasks of {len(found)}")
    _expect(not rests or recap[2] == "0", f"{recap[2]} tasks changed something")
    return done.seconds


def _pyinfra(controller: Machine, found: Sequence[Resource], rests: bool) -> float:
    done = _run(controller, [f"{BIN}/pyinfra", "-y", "inventory.py", "deploy.py"])
    said = done.stdout + done.stderr
    operations = said.count("--> Starting operation: ")
    _expect(operations == len(found), f"{operations} operations of {len(found)}: {said[-1000:]}")
    # A command says of itself that it did something.
    changed = operations - said.count("] No changes") - sum(one.kind == "other" for one in found)
    _expect(not rests or changed == 0, f"{changed} operations changed something")
    return done.seconds


def _expect(condition: bool, words: str) -> None:
    if not condition:
        raise DropletError(words)


def _run(controller: Machine, argv: list[str], **environment: str) -> Result:
    return controller.run(argv, cwd=HOME, environment={"HOME": "/root", **environment}, timeout=600)


def _there(droplet: Droplet, paths: list[str]) -> dict[str, Found]:
    """What is at each of some paths."""
    found = {}
    for line in droplet.run(["sh", "-c", _STAT, "sh", *paths]).stdout.splitlines():
        path, kind, mode, user, group, name = line.split("|", 5)
        if kind in _KINDS:
            target = name.partition(" -> ")[2].strip("'")
            found[path] = Found(_KINDS[kind], mode, _named(user), _named(group), target)
    return found


def _named(who: str) -> str:
    """A user or group as stat says it; "" for a container's, which has no name here and is not asked for then."""
    return "" if who == "UNKNOWN" else who


def _controller(site: Site, droplet: Droplet, found: Sequence[Resource]) -> Machine:
    """A machine with the peers, their configuration, the droplet's files and a key that opens it."""
    machine = site.controller()
    site.trust(machine)
    machine.run(["apt-get", "update", "-qq"])
    machine.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "openssh-client"])
    machine.run(["mkdir", "-p", HOME])
    machine.run(["python3", "-m", "venv", f"{HOME}/venv"])
    machine.run([f"{BIN}/pip", "install", "--quiet", *PEERS], timeout=600)
    # Ansible's module for packages asks for it on the host that it manages.
    droplet.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "python3-apt"], timeout=300)
    machine.put("/root/.ssh/id_ed25519", (site_dir(site.name) / "operator-key").read_bytes(), mode=0o600)
    key = droplet.get("/etc/ssh/ssh_host_ed25519_key.pub").decode().strip()
    machine.put("/root/.ssh/known_hosts", f"bot.test {key}\n", mode=0o600)
    files = {path: f"files{path}" for path in (one.name for one in found if one.kind == "file")}
    machine.run(["tar", "-x", "-C", HOME, "--no-same-owner"], stdin=_files(droplet, files))
    strategies = machine.run(
        [f"{BIN}/python", "-c", "import ansible_mitogen as a; print(a.__path__[0] + '/plugins/strategy')"]
    ).stdout.strip()
    plain = "[defaults]\nhost_key_checking = True\nretry_files_enabled = False\n"
    pipelined = f"{plain}[ssh_connection]\npipelining = True\n"
    mitogen = f"{plain}strategy_plugins = {strategies}\nstrategy = mitogen_linear\n"
    for name, text in (("plain", plain), ("pipelining", pipelined), ("mitogen", mitogen)):
        machine.put(f"{HOME}/{name}.cfg", text)
    machine.put(f"{HOME}/hosts", "bot.test ansible_user=root ansible_python_interpreter=/usr/bin/python3\n")
    machine.put(f"{HOME}/inventory.py", 'hosts = [("bot.test", {"ssh_user": "root"})]\n')
    machine.put(f"{HOME}/site.yml", resources.playbook(found, files))
    machine.put(f"{HOME}/deploy.py", resources.deploy(found, files))
    return machine


def _files(droplet: Droplet, files: dict[str, str]) -> bytes:
    """An archive of files of the droplet under the names that they have on the controller."""
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, name in files.items():
            content = droplet.get(path)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, BytesIO(content))
    return buffer.getvalue()
