"""tools/laptop.py with a Python and a pip that only take note of what is asked of them."""

import ast
import stat
from pathlib import Path

import pytest

from tools import laptop

LIST = """\
aiohttp==3.14.5 \\
    --hash=sha256:00
setuptools==84.2.1 \\
    --hash=sha256:11 \\
    --hash=sha256:22
zipp==4.1.2 \\
    --hash=sha256:33
"""
# `python -m venv --clear DIRECTORY` makes an environment whose pip writes down its arguments, and fails where told to.
PYTHON = """#!/bin/sh
mkdir -p "$4/bin"
printf '#!/bin/sh\\n' > "$4/bin/python"
printf '#!/bin/sh\\necho "$@" >> {notes}; test ! -e {broken}\\n' > "$4/bin/pip"
printf '#!/bin/sh\\necho salt-ssh 1.2.3\\n' > "$4/bin/salt-ssh"
cp "$4/bin/salt-ssh" "$4/bin/salt-call"
chmod +x "$4"/bin/*
"""


class Machine:
    """A directory with a list, and what was asked of pip."""

    def __init__(self, root: Path) -> None:
        self.home, self.list = root / "checkout/.salt-ssh", root / "requirements.txt"
        self.notes, self.broken, self.python = root / "notes", root / "broken", root / "python"
        self.home.parent.mkdir()
        self.list.write_text(LIST)
        self.python.write_text(PYTHON.format(notes=self.notes, broken=self.broken))
        self.python.chmod(0o755)

    def install(self) -> str:
        return laptop.install(self.home, self.list, self.python)

    @property
    def asked(self) -> list[str]:
        return self.notes.read_text().splitlines() if self.notes.exists() else []

    @property
    def environment(self) -> Path:
        return (self.home / "bin/salt-ssh").resolve().parents[1]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_commands_stand_ready_and_a_second_run_asks_for_nothing(machine):
    assert machine.install() == "salt-ssh 1.2.3"
    build, everything = machine.asked
    for asked in (build, everything):
        assert "--require-hashes" in asked
        assert "--no-deps" in asked
    assert everything.endswith(f"--no-build-isolation -r {machine.list}")
    locked = (machine.environment / "build-requirements.txt").read_text()
    assert locked == "".join(LIST.splitlines(keepends=True)[2:5])
    assert {path.name for path in (machine.home / "bin").iterdir()} == set(laptop.COMMANDS)
    assert stat.S_IMODE(machine.home.stat().st_mode) == 0o700
    assert machine.install() == "salt-ssh 1.2.3"
    assert len(machine.asked) == 2


def test_another_list_gets_an_environment_of_its_own_and_a_failure_leaves_the_old_one(machine):
    machine.install()
    old = machine.environment
    machine.list.write_text(LIST + "# changed\n")
    machine.broken.touch()
    with pytest.raises(laptop.Unsuitable, match=r"package index.*run this again"):
        machine.install()
    assert machine.environment == old
    machine.broken.unlink()
    machine.install()
    assert machine.environment != old


def test_what_was_moved_interrupted_or_lost_its_python_is_made_anew(machine, tmp_path):
    machine.install()
    (machine.environment / "complete").unlink()
    machine.install()
    assert len(machine.asked) == 4
    (machine.environment / "bin/python").unlink()
    machine.install()
    assert len(machine.asked) == 6
    machine.home = machine.home.parent.rename(tmp_path / "moved") / ".salt-ssh"
    machine.install()
    assert len(machine.asked) == 8


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        ({"version": (3, 9)}, r"Python 3\.9 .*3\.11 or newer.*python3\.13 tools/laptop\.py"),
        ({"module": lambda name: None if name == "ensurepip" else True}, "install python3-venv"),
        ({"program": lambda name: None}, "no ssh and no scp.*openssh-client"),
    ],
)
def test_what_is_lacking_is_named_with_what_to_do(lacks, says):
    with pytest.raises(laptop.Unsuitable, match=says):
        laptop.check(**{"program": lambda name: name, "module": lambda name: True} | lacks)


def test_python_without_venv_that_fails_is_said(machine):
    machine.python.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(laptop.Unsuitable, match="venv"):
        machine.install()


def test_an_old_python_can_read_it():
    """3.7 is the oldest grammar that can be asked for."""
    ast.parse(Path(laptop.__file__).read_text(), feature_version=(3, 7))
