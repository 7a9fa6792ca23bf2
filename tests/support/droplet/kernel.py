"""The machine's kernel, which all local droplets share: its settings are nobody's to change but the machine's."""

from __future__ import annotations

from .machine import Machine
from .paths import IMAGES

_INIT = "/usr/local/lib/local-droplet/init"
# As the droplet's init does at boot. Droplets that are older than that are shielded here.
_SHIELD = """
for part in kernel fs vm dev; do
  [ -w "/proc/sys/$part/" ] || continue
  mount --bind "/proc/sys/$part" "/proc/sys/$part" && mount -o remount,bind,ro "/proc/sys/$part"
done
"""


def shield_at_boot(droplet: Machine) -> None:
    """Give a droplet, running or off, the init of today: with an older one systemd-sysctl writes to the machine."""
    droplet.put(_INIT, (IMAGES / "droplet/init").read_bytes(), mode=0o755)


def shield(droplet: Machine) -> None:
    """Make the parts of /proc/sys that are not a droplet's own read-only in it, while it runs."""
    droplet.run(["sh", "-c", _SHIELD])
