"""What ``health.check`` shows besides each service's health: what is used, the host, the webhook and the backups.

The watchdog counts most of it (marketplace_watch_figures); who asks reads what it wrote last. Nothing here is judged:
what is wrong with it is among the alerts.
"""

import copy
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketplace_backups import Catalogue, kinds
from marketplace_drills import Drills
from marketplace_paths import Paths
from marketplace_watch_seen import MACHINE


def shown(found: Mapping[str, Any], figures: Mapping[str, Any], up: int) -> dict[str, Any]:
    """The Health Status with what each service uses, and with the machine and the webhook.

    Args:
        found: the Health Status.
        figures: the watchdog's; nothing while nobody watches.
        up: for how many seconds the machine has.
    """
    health = copy.deepcopy(dict(found))
    uses, disks = figures.get("uses", {}), figures.get("disks", {})
    for name, service in health["services"].items():
        facts = dict(service["facts"] or {}) | uses.get(name, {})
        if name in disks:
            facts["disk"] = disks[name]
        if name == "edge" and "answers" in figures:
            facts["answers"] = figures["answers"]
        service["facts"] = facts
    host = figures.get("host", {})
    clock, waits, updates = host.get("clock"), host.get("reboot"), host.get("updates")
    health["droplet"] = {
        "uptime_seconds": up,
        **uses.get(MACHINE, {}),
        "disks": {name: disks[name] for name in disks if name not in health["services"]},
        "clock": clock,
        "units_failed": host.get("units"),
        "reboot_waits_seconds": None if waits is None else round(waits),
        "security_updates": None if updates is None else sorted(updates["waited"]),
    }
    health["webhook"] = _webhook(figures.get("webhook"))
    return health


def backups(paths: Paths, settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """When the newest good backup of each kind was taken, and when one was last restored on trial: by their records.

    Whether that is late, ``backup.check`` and the alerts say.
    """
    try:
        known = Catalogue(paths.backups).all()
        passed = Drills(paths.backups / "drills").passed()
    except (OSError, ValueError) as error:
        return {"problem": str(error)}
    good = {kind: [one.taken for one in known if one.kind == kind and one.good] for kind in kinds(settings)}
    return {
        "newest": {
            kind: max(taken).isoformat(timespec="seconds") if taken else None for kind, taken in good.items()
        },
        "drill": passed["time"] if passed else None,
    }


def uptime(proc: Path = Path("/proc")) -> int:
    """For how many seconds the machine has been up: its first process, for in a container the kernel is older."""
    started = int((proc / "1/stat").read_text().rpartition(")")[2].split()[19])
    return round(time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK"))


def _webhook(info: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if info is None:
        return None
    at = info.get("last_error_date")
    return {
        "registered": info["registered"],
        "pending": int(info.get("pending_update_count") or 0),
        "last_error": {
            "at": datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
            "words": str(info.get("last_error_message") or ""),
        }
        if at
        else None,
    }
