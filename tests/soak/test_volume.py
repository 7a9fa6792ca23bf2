"""A data service's volume on a droplet in use: it grows, never shrinks, and nothing starts without it."""

from __future__ import annotations

import yaml

from tests.droplet.test_state_data import comments, started
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call

CAP_SYS_RESOURCE = 24


def size(droplet: Droplet, path: str) -> int:
    return int(droplet.run(["df", "--output=size", "--block-size=M", path]).stdout.split()[1].rstrip("M"))


def may_resize_in_use(droplet: Droplet) -> bool:
    """Whether the kernel lets the droplet grow a mounted ext4: some hosts give containers no CAP_SYS_RESOURCE."""
    status = droplet.get("/proc/self/status").decode()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> CAP_SYS_RESOURCE & 1)


def test_a_volume_grows_and_never_shrinks(undone: Droplet) -> None:
    before = size(undone, "/srv/data/redis")
    told = yaml.safe_load(undone.get(pillar.FILE))
    told["redis"]["disk"] = "1200M"
    pillar.write(undone, told)
    volume = "Ensure the volume /srv/data/redis is mounted"
    if may_resize_in_use(undone):
        running = started(undone)
        grown = call(undone, "state.apply")
        assert started(undone) == running
    else:
        assert "Permission denied" in call(undone, "state.apply", "volumes").failed[volume]
        # Services with a mount namespace of their own keep the mount where nothing is propagated to them.
        units = ["marketplace-watch", "prometheus-alertmanager", "chrony", "systemd-logind", "haproxy"]
        units += ["marketplace-backend", "marketplace-data", "srv-data-redis.mount"]
        undone.run(["systemctl", "stop", *units])
        # A run of everything starts Docker before, and that mounts what its services need.
        grown = call(undone, "state.apply", "volumes")
    assert grown.failed == {}
    assert "filesystem" in grown.changed[volume]
    assert size(undone, "/srv/data/redis") > before + 100
    assert call(undone, "state.apply").failed == {}
    assert call(undone, "state.apply").changed == {}

    told["redis"]["disk"] = "1G"
    pillar.write(undone, told)
    smaller = call(undone, "state.apply")
    assert "never shrunk" in comments(smaller)[volume]
    assert size(undone, "/srv/data/redis") > before + 100

    # An image that holds something else is not formatted, and without its mount the engine does not start at all.
    undone.run(["systemctl", "stop", "marketplace-backend", "marketplace-data", "docker.socket", "docker"])
    undone.run(["systemctl", "stop", "srv-data-redis.mount"])
    image = "/var/lib/marketplace/volumes/redis.img"
    undone.run(["mv", image, f"{image}.away"])
    undone.run(["dd", "if=/dev/urandom", f"of={image}", "bs=1M", "count=8"])
    refused = call(undone, "state.apply", "volumes")
    assert "holds no ext4" in refused.failed[volume]
    assert undone.run(["systemctl", "start", "docker"], check=False).returncode != 0

    # One that is gone is not replaced by an empty one, but on purpose.
    undone.run(["rm", image])
    assert "there were data once" in call(undone, "state.apply", "volumes").failed[volume]
    assert undone.run(["test", "-e", image], check=False).returncode != 0
    undone.run(["touch", "/var/lib/marketplace/volumes/redis.start-empty"])
    again = call(undone, "state.apply", "volumes")
    assert again.failed == {}
    assert {"image", "mounted", "directory"} <= set(again.changed[volume])
    assert call(undone, "state.apply", "volumes").changed == {}
