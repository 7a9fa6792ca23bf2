"""Programs of the droplet's Debian, on a machine that may have another one: unpacked, never installed or started."""

from __future__ import annotations

import shutil
import subprocess

from tests.support.droplet.errors import DropletError
from tests.support.droplet.host import ensure_tools
from tests.support.droplet.image import SUITE
from tests.support.droplet.paths import locked, state_dir

PACKAGES = {"promtool": "promtool", "amtool": "prometheus-alertmanager"}


def program(name: str) -> str:
    """The path of a program, as droplets have it; fetched once (7 s), and kept beside the local droplet's images.

    Args:
        name: a key of :data:`PACKAGES`.

    Raises:
        DropletError: it can't be fetched.
    """
    place = state_dir() / "programs" / f"{SUITE}-{PACKAGES[name]}"
    with locked("programs"):
        if not place.exists():
            ensure_tools({"mmdebstrap": "mmdebstrap"})
            fresh = place.with_suffix(".fresh")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.parent.mkdir(exist_ok=True)
            done = subprocess.run(
                ["mmdebstrap", "--variant=extract", f"--include={PACKAGES[name]}", SUITE, str(fresh)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise DropletError(
                    f"mmdebstrap could not fetch {PACKAGES[name]}; is the Debian mirror reachable?\n"
                    + done.stderr[-2000:]
                )
            fresh.rename(place)
    return str(place / "usr/bin" / name)
