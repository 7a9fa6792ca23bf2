"""The machine's kernel, which all local droplets share: its settings are nobody's to change but the machine's."""

from __future__ import annotations

from .machine import Machine

# As the droplet's init does at boot. Droplets that are older than that are shielded here.
_SHIELD = """
for part in kernel fs vm dev; do
  [ -w "/proc/sys/$part/" ] || continue
  mount --bind "/proc/sys/$part" "/proc/sys/$part" && mount -o remount,bind,ro "/proc/sys/$part"
done
"""


def shield(droplet: Machine) -> None:
    """Make the parts of /proc/sys that are not a droplet's own read-only in it."""
    droplet.run(["sh", "-c", _SHIELD])
