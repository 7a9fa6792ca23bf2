"""A service's file system on a block volume: formatted once, grown when the volume was, and nothing else touched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Result

MOUNT, IMAGE, FILE = "/srv/volume-test", "/var/lib/volume-test/volume-test.img", "/var/tmp/volume-test"
MIB = 1 << 20


@pytest.fixture
def device(droplet: Droplet) -> Iterator[str]:
    """A block device of 64 MiB that can be enlarged, as a provider's volume can."""
    droplet.run(["truncate", f"--size={64 * MIB}", FILE])
    made = droplet.run(["losetup", "--find", "--show", FILE]).stdout.strip()
    yield made
    droplet.run(
        ["sh", "-c", f"systemctl disable --now srv-volume\\\\x2dtest.mount; umount {MOUNT}"], check=False
    )
    droplet.run(["losetup", "--detach", made])
    droplet.run(
        ["sh", "-c", "rm -f '/etc/systemd/system/srv-volume\\x2dtest.mount'; systemctl daemon-reload"]
    )
    droplet.run(["rm", "-rf", FILE, MOUNT, "/var/lib/volume-test"])


def mounted(droplet: Droplet, device: str, *more: str) -> Result:
    """Apply the state, for a service whose directory is ``data``."""
    argv = ["salt-call", "--out=json", "--retcode-passthrough", "state.single", "block_volume.mounted", MOUNT]
    where = [
        f"device={device}",
        f"image={IMAGE}",
        f"size={32 * MIB}",
        "directory=data",
        "user=999",
        "group=999",
    ]
    return droplet.run([*argv, *where, *more], check=False)


def size(droplet: Droplet) -> int:
    return int(droplet.run(["df", "--output=size", "--block-size=1", MOUNT]).stdout.split()[-1])


def test_a_blank_volume_is_formatted_once_grown_in_use_and_then_left_alone(
    droplet: Droplet, device: str
) -> None:
    # This droplet has had releases: a blank volume may be a mistake.
    unsure = mounted(droplet, device)
    assert (unsure.ok, "this droplet has had releases" in unsure.stdout) == (False, True)
    droplet.run(["install", "-D", "/dev/null", IMAGE.replace(".img", ".start-empty")])
    plan = mounted(droplet, device, "test=True")
    assert "would be mounted" in plan.stdout
    assert droplet.run(["blkid", "--probe", device], check=False).returncode == 2
    assert mounted(droplet, device).ok
    assert droplet.run(["stat", "--format=%u:%g %a", f"{MOUNT}/data"]).stdout.strip() == "999:999 700"
    droplet.put(f"{MOUNT}/data/precious", "kept")
    assert '"changes": {}' in mounted(droplet, device).stdout

    # Enlarged at the provider.
    before = size(droplet)
    droplet.run(["truncate", f"--size={128 * MIB}", FILE])
    droplet.run(["losetup", "--set-capacity", device])
    grown = mounted(droplet, device)
    if not grown.ok:  # Where the kernel wants a capability for it that a container does not have.
        assert "Permission denied" in grown.stdout
        droplet.run(["umount", MOUNT])
        grown = mounted(droplet, device)
    assert grown.ok, grown
    assert size(droplet) > before + 32 * MIB
    assert droplet.get(f"{MOUNT}/data/precious") == b"kept"
    assert '"changes": {}' in mounted(droplet, device).stdout

    # Too small for what is asked for.
    small = mounted(droplet, device, f"size={1 << 30}")
    assert "Enlarge the volume at the provider" in small.stdout
    # A blank one in its place is not taken for a new beginning.
    droplet.run(["umount", MOUNT])
    droplet.run(["wipefs", "--quiet", "--all", device])
    blank = mounted(droplet, device)
    assert (blank.ok, "there were data once" in blank.stdout) == (False, True)
    assert droplet.run(["blkid", "--probe", device], check=False).returncode == 2
    # Nor is one that holds something else.
    droplet.run(["mkswap", "--quiet", device])
    other = mounted(droplet, device)
    assert (other.ok, "holds swap" in other.stdout) == (False, True)


def test_a_volume_that_is_not_attached_is_named(droplet: Droplet) -> None:
    done = mounted(droplet, "/dev/disk/by-id/scsi-0DO_Volume_missing")
    assert not done.ok
    assert "Attach the volume to the droplet" in done.stdout
