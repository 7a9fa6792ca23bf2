#!/usr/bin/env python3
"""Make salt-ssh ready in this checkout: a virtual environment from the list that droplets get their Salt from.

    tools/laptop.py        no root, no Docker; again when the list has changed, else done in a moment

All that it makes is below .salt-ssh, beside what salt-ssh keeps there. Only the standard library is used, and no
grammar that an old Python would stumble over: it has to be able to say that it is too old.
"""

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
LIST = CHECKOUT / "formulas/minion/files/requirements.txt"
HOME = CHECKOUT / ".salt-ssh"
COMMANDS = ("salt-ssh", "salt-call")
# What the list is made for: `make lock`.
OLDEST = (3, 11)
NEXT = """\
{version} is ready. Next, in this directory:

    export PATH="$PWD/.salt-ssh/bin:$PATH"
    editor roster                     # your droplet: its address, and the user that your ssh key belongs to
    ssh USER@ADDRESS true             # once, to see its host key and to accept it
    salt-ssh production test.ping
    salt-ssh production state.apply test=True
"""


class Unsuitable(Exception):
    """What is in the way; the message says what to do about it."""


def check(
    version: "tuple[int, int]" = sys.version_info[:2],
    module: "Callable[[str], object]" = importlib.util.find_spec,
    program: "Callable[[str], object]" = shutil.which,
) -> None:
    """Whether this machine has what it takes.

    Raises:
        Unsuitable: Python is too old or lacks venv, or there is no ssh.
    """
    if version < OLDEST:
        raise Unsuitable(
            f"this is Python {version[0]}.{version[1]} ({sys.executable}), expected {OLDEST[0]}.{OLDEST[1]} or newer. "
            "Where another is installed, name it: python3.13 tools/laptop.py"
        )
    if module("venv") is None or module("ensurepip") is None:
        raise Unsuitable(
            f"{sys.executable} has no venv, which Debian and Ubuntu keep in a package of its own: "
            "sudo apt-get install python3-venv"
        )
    lacking = [name for name in ("ssh", "scp") if program(name) is None]
    if lacking:
        raise Unsuitable(
            f"there is no {' and no '.join(lacking)} on this machine: sudo apt-get install openssh-client, or the like"
        )


def install(home: Path = HOME, requirements: Path = LIST, python: str = sys.executable) -> str:
    """Have Salt's commands in ``home``/bin, from a complete environment.

    They are links, and move when a new environment is complete: one that fails leaves the old one working.

    Returns:
        What the installed salt-ssh calls itself: name and version.

    Raises:
        Unsuitable: the environment could not be made.
    """
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode() + requirements.read_bytes()).hexdigest()
    environment = home / f"salt-{digest[:12]}"
    home.mkdir(mode=0o700, exist_ok=True)
    if not _complete(environment):
        print(f"Installing Salt into {environment} (a minute or so)", file=sys.stderr, flush=True)
        _make(environment, requirements, python)
    (home / "bin").mkdir(exist_ok=True)
    for command in COMMANDS:
        _link(home / "bin" / command, Path("..", environment.name, "bin", command))
    return _mark(environment).read_text().splitlines()[1]


def _mark(environment: Path) -> Path:
    return environment / "complete"


def _complete(environment: Path) -> bool:
    """Whether it was finished, stands where it was made, and its Python is still there."""
    try:
        made = _mark(environment).read_text().splitlines()
        return made[0] == str(environment) and _runs(environment / "bin/python", "-c", "")
    except (OSError, IndexError):
        return False


def _make(environment: Path, requirements: Path, python: str) -> None:
    if not _runs(python, "-m", "venv", "--clear", environment):
        raise Unsuitable(f"{python} -m venv {environment} failed; its words are above")
    pip = [str(environment / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    # Salt is a source distribution. Its build uses the locked setuptools rather than whatever is newest today.
    build = environment / "build-requirements.txt"
    build.write_text("".join(re.findall(r"^setuptools==.*\n(?:[ \t].*\n)*", requirements.read_text(), re.M)))
    # --no-deps: the list is complete, but for timelib, which has no wheel and which nothing here needs.
    for arguments in (["-r", str(build)], ["--no-build-isolation", "-r", str(requirements)]):
        if not _runs(*pip, "--require-hashes", *arguments):
            raise Unsuitable(
                "pip could not install the list; its words are above. "
                "Does it reach its package index (pip config list)? Then run this again"
            )
    said = subprocess.run([environment / "bin/salt-ssh", "--version"], stdout=subprocess.PIPE, text=True)
    if said.returncode:
        raise Unsuitable("the installed salt-ssh does not start; its words are above")
    _mark(environment).write_text(f"{environment}\n{said.stdout.strip()}\n")


def _runs(*argv: "str | Path") -> bool:
    return subprocess.run([str(word) for word in argv]).returncode == 0


def _link(link: Path, target: Path) -> None:
    if not (link.is_symlink() and link.readlink() == target):
        new = link.with_name(link.name + ".new")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(link)


def main() -> int:
    try:
        check()
        print(NEXT.format(version=install()), end="")
    except (Unsuitable, OSError) as wrong:
        print(f"laptop: {wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
