"""A look at what costs more than milliseconds: certificate, backups, Telegram, the host. The watchdog has it made by a
process of its own, which may hang or grow without harm to who waits for it.

``marketplace_survey.py PART...`` prints a JSON document: ``found`` by part, and ``errors`` by part, why it could not be
looked at.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from marketplace_backup_status import status as backup_status
from marketplace_backup_world import BackupWorld
from marketplace_durable import read_json
from marketplace_health import report
from marketplace_metrics import units
from marketplace_paths import Paths
from marketplace_world import World

ANSWERS_SECONDS = 60.0
_COMMAND_SECONDS = 30.0
_REBOOT = "run/reboot-required"
_SECURITY = "Debian-Security"

Part = Callable[[World, Mapping[str, Any]], Any]


def survey(world: World, settings: Mapping[str, Any], parts: Iterable[str]) -> dict[str, Any]:
    """Look at each of ``parts``. One that can't be looked at keeps nobody from the others."""
    found: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name in parts:
        try:
            found[name] = PARTS[name](world, settings)
        except Exception as error:
            errors[name] = f"{type(error).__name__}: {error}"
    return {"found": found, "errors": errors}


def _health(world: World, settings: Mapping[str, Any]) -> Any:
    return report(world, settings)["services"]


def _answers(world: World, settings: Mapping[str, Any]) -> Any:
    answered = world.edge.answered(time.time() - ANSWERS_SECONDS)
    late = 1000 * settings["monitoring"]["thresholds"]["slow"]
    return {"count": len(answered), "slow": sum(1 for one in answered if one.active_ms > late)}


def _backups(world: World, settings: Mapping[str, Any]) -> Any:
    return backup_status(BackupWorld.of(world.paths), settings)["trouble"]


def _webhook(world: World, settings: Mapping[str, Any]) -> Any:
    return world.telegram.webhook_info(settings["telegram"]["api_url"])


def _release(world: World, _: Mapping[str, Any]) -> Any:
    """The release that was interrupted and that nobody is at."""
    entry = world.journal.read()
    return None if entry is None or world.lock.holder() else {"step": str(entry.get("step", ""))}


def _units(_: World, settings: Mapping[str, Any]) -> Any:
    """Units that have failed, and those of Prometheus and its exporters that do not run."""
    failed, wanted = _listed("--failed"), {f"{name}.service" for name in units(settings)}
    # One that systemd starts again and again never fails.
    running = _listed("--state=active", *sorted(wanted)) if wanted else set()
    return sorted(failed | (wanted - running))


def _listed(*which: str) -> set[str]:
    lines = _run("systemctl", "list-units", "--plain", "--no-legend", "--no-pager", *which).splitlines()
    return {line.split()[0] for line in lines if line.strip()}


def _clock(*_: Any) -> Any:
    """Whether chrony follows a server, and how many seconds it is off."""
    words = _run("chronyc", "-c", "tracking").strip().split(",")
    return {"followed": words[-1] != "Not synchronised", "offset": float(words[4])}


def _reboot(world: World, _: Mapping[str, Any]) -> Any:
    """For how many seconds an update has waited for a reboot; None where none does."""
    try:
        return time.time() - (world.paths.root / _REBOOT).stat().st_mtime
    except FileNotFoundError:
        return None


def _updates(*_: Any) -> Any:
    """Names of the packages for which there is a security update; they may be held back on purpose."""
    # In a unit of its own: apt takes more memory for its moment than the watchdog is given.
    own_unit = ("systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--property=Nice=19")
    told = _run(*own_unit, "apt-get", "--simulate", "--quiet", "--quiet", "upgrade")
    lines = [line.split() for line in told.splitlines() if line.startswith("Inst ") and _SECURITY in line]
    return sorted(words[1] for words in lines)


PARTS: dict[str, Part] = {
    "health": _health,
    "answers": _answers,
    "webhook": _webhook,
    "release": _release,
    "units": _units,
    "reboot": _reboot,
    "clock": _clock,
    "backups": _backups,
    "updates": _updates,
}


def _run(*argv: str) -> str:
    done = subprocess.run(
        argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_COMMAND_SECONDS, check=True
    )
    return done.stdout


if __name__ == "__main__":
    here = Paths()
    print(json.dumps(survey(World.of(here), read_json(here.settings) or {}, sys.argv[1:])))
