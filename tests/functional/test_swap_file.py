"""A swap file on a disk that is small, for real but for swapon and swapoff, which would be the whole machine's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
MIB = 1 << 20
# The disk has twelve megabytes; a swap file of four of them is there, and in use.
DISK = """
import json, os, subprocess, sys
from pathlib import Path
from tests.unit.test_states import load
top, size, broken = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", top], check=True)
file, swaps, units, history = top / "swapfile", top / "swaps", top / "units", []
(units / "swap.target.wants").mkdir(parents=True)
swaps.write_text("")
def run_all(command, **_):
    history.append(command[0])
    done = {"retcode": 0, "stdout": "", "stderr": ""}
    if command[0] in broken:
        return done | {"retcode": 1, "stderr": "broken"}
    if command[0] == "mkswap":
        subprocess.run(command, check=True)
    if command[0] == "swapoff":
        swaps.write_text("")
    if "enable" in command:
        (units / "swap.target.wants" / command[-1]).unlink(missing_ok=True)
        (units / "swap.target.wants" / command[-1]).symlink_to(units / command[-1])
    if "restart" in command:
        assert file.read_bytes()[4086:4096] == b"SWAPSPACE2"
        swaps.write_text(f"{file} file 4096 0 -2\\n")
    return done
module = load("swap_file", __salt__={"cmd.run_all": run_all}, __opts__={"test": False})
module._UNITS, module._SWAPS = units, swaps
with_broken, broken = broken, []
assert module.active(str(file), 4 << 20)["result"] is True
assert module.active(str(file), 4 << 20)["changes"] == {}
history.clear()
broken = with_broken
done = module.active(str(file), size)
facts = file.stat() if file.exists() else None
print(json.dumps({
    "result": done["result"],
    "comment": done["comment"],
    "size": facts and facts.st_size,
    "allocated": facts and facts.st_blocks * 512,
    "in use": bool(swaps.read_text()),
    "swapped off": "swapoff" in history,
    "left over": [path.name for path in top.glob("*.unfinished")],
}))
"""


def resized(directory: Path, size: int, *broken: str) -> dict[str, object]:
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", DISK, str(directory), str(size), *broken],
        check=False,
        capture_output=True,
        text=True,
        cwd=TREE,
        env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": f"{TREE}:{TREE / 'salt/_utils'}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("size", [10 * MIB, 2 * MIB], ids=["larger", "smaller"])
def test_another_size_needs_no_room_for_both(tmp_path, size):
    found = resized(tmp_path, size)
    assert (found["result"], found["in use"], found["left over"]) == (True, True, [])
    assert found["size"] == found["allocated"] == size


def test_the_old_one_stays_in_use_where_there_is_too_little_room(tmp_path):
    found = resized(tmp_path, 16 * MIB)
    assert (found["result"], found["in use"], found["swapped off"]) == (False, True, False)
    assert (found["size"], found["left over"]) == (4 * MIB, [])
    assert "swapfile needs 12582912 more bytes but only " in str(found["comment"])


def test_the_old_one_stays_where_memory_does_not_hold_what_is_in_it(tmp_path):
    found = resized(tmp_path, 10 * MIB, "swapoff")
    assert (found["result"], found["in use"], found["size"]) == (False, True, 4 * MIB)


def test_one_that_can_not_be_made_leaves_the_disk_free(tmp_path):
    found = resized(tmp_path, 10 * MIB, "mkswap")
    assert (found["result"], found["size"], found["left over"]) == (False, None, [])
    assert "mkswap --quiet" in str(found["comment"])
