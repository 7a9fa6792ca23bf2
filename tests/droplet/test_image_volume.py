"""A file system of a fixed size in an image file: made once, grown in use, never shrunk, and nothing else touched.

On a scratch volume; a service's own, with the droplet in use, is in tests/soak/test_volume.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import Answer, call

MOUNT, DIRECTORY = "/srv/image-test", "/var/lib/image-test"
UNIT = "srv-image\\x2dtest.mount"
IMAGE, START_EMPTY = f"{DIRECTORY}/image-test.img", f"{DIRECTORY}/image-test.start-empty"
MIB = 1 << 20
SMALL, LARGE = 64 * MIB, 128 * MIB


@pytest.fixture
def scratch(droplet: Droplet) -> Iterator[Droplet]:
    """The droplet; what these tests made there goes away."""
    yield droplet
    droplet.run(["systemctl", "disable", "--now", UNIT], check=False)
    droplet.run(["rm", "-rf", f"/etc/systemd/system/{UNIT}", MOUNT, DIRECTORY])
    droplet.run(["systemctl", "daemon-reload"])


def mounted(droplet: Droplet, size: int, *more: str) -> Answer:
    """Apply the state, for a service whose directory is ``data``."""
    what = [f"image={IMAGE}", f"size={size}", "directory=data", "user=999", "group=999"]
    return call(droplet, "state.single", "volume.mounted", MOUNT, *what, *more)


def comment(answer: Answer) -> str:
    return str(answer.states[0]["comment"])


def exists(droplet: Droplet, path: str) -> bool:
    return droplet.run(["test", "-e", path], check=False).ok


def numbers(droplet: Droplet, *command: str) -> list[int]:
    """The numbers in a command's last line."""
    return [int(word) for word in droplet.run(list(command)).stdout.splitlines()[-1].split()]


def size(droplet: Droplet) -> int:
    return numbers(droplet, "df", "--output=size", "--block-size=1", MOUNT)[0]


def made(droplet: Droplet) -> None:
    """The small volume, new."""
    # This droplet has had releases, so that an image has to be asked for.
    droplet.run(["install", "-D", "/dev/null", START_EMPTY])
    assert mounted(droplet, SMALL).failed == {}


def test_an_image_is_made_once_on_purpose_and_then_left_alone(scratch: Droplet) -> None:
    # This droplet has had releases: an image that is not there may have been lost.
    unsure = mounted(scratch, SMALL)
    assert "this droplet has had releases" in unsure.failed[MOUNT]
    assert not exists(scratch, IMAGE)
    scratch.run(["install", "-D", "/dev/null", START_EMPTY])
    plan = mounted(scratch, SMALL, "test=True")
    assert plan.failed == {}
    assert not exists(scratch, IMAGE)
    assert not exists(scratch, f"/etc/systemd/system/{UNIT}")
    done = mounted(scratch, SMALL)
    assert done.failed == {}
    assert set(done.changed[MOUNT]) == set(plan.changed[MOUNT])
    assert {"image", "mark", "unit", "enabled", "mounted", "directory"} == set(done.changed[MOUNT])
    assert scratch.run(["stat", "--format=%u:%g %a", f"{MOUNT}/data"]).stdout.strip() == "999:999 700"
    bytes_long, blocks = numbers(scratch, "stat", "--format=%s %b", IMAGE)
    assert bytes_long == SMALL
    assert blocks * 512 >= SMALL * 99 // 100  # What a file system at work gives back is the timer's.
    # That word was for this one alone.
    assert not exists(scratch, START_EMPTY)
    assert mounted(scratch, SMALL).changed == {}


def test_an_image_grows_in_use_and_never_shrinks(scratch: Droplet) -> None:
    made(scratch)
    scratch.put(f"{MOUNT}/data/precious", "kept")
    before = size(scratch)
    grown = mounted(scratch, LARGE)
    if grown.failed:  # Where the kernel wants a capability for it that a container does not have.
        assert "Permission denied" in grown.failed[MOUNT]
        scratch.run(["systemctl", "stop", UNIT])
        grown = mounted(scratch, LARGE)
    assert grown.failed == {}
    assert "filesystem" in grown.changed[MOUNT]
    after = size(scratch)
    assert after > before + 32 * MIB
    assert scratch.get(f"{MOUNT}/data/precious") == b"kept"
    assert mounted(scratch, LARGE).changed == {}

    smaller = mounted(scratch, SMALL)
    assert (smaller.failed, smaller.changed) == ({}, {})
    assert "never shrunk" in comment(smaller)
    assert size(scratch) == after


def test_an_image_that_is_gone_or_holds_something_else_is_not_replaced(scratch: Droplet) -> None:
    made(scratch)
    scratch.run(["systemctl", "stop", UNIT])
    # One that holds something else is not formatted.
    other = b"something else\n" * 100_000
    scratch.put(IMAGE, other)
    assert "holds no ext4" in mounted(scratch, SMALL).failed[MOUNT]
    assert scratch.get(IMAGE) == other
    # One that is gone is not replaced by an empty one, but on purpose.
    scratch.run(["rm", IMAGE])
    assert "there were data once" in mounted(scratch, SMALL).failed[MOUNT]
    assert not exists(scratch, IMAGE)
    scratch.run(["touch", START_EMPTY])
    again = mounted(scratch, SMALL)
    assert again.failed == {}
    assert {"image", "mounted", "directory"} <= set(again.changed[MOUNT])
    assert mounted(scratch, SMALL).changed == {}
