"""A look at what costs more than milliseconds: certificate, backups, Telegram, the host. The watchdog has it made by a
process of its own, which may hang or grow without harm to who waits for it.

``marketplace_survey.py PART...`` prints a JSON document: ``found`` by part, and ``errors`` by part, why it could not be
looked at.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from marketplace_backup_status import status as backup_status
from marketplace_backup_world import BackupWorld
from marketplace_container import DockerError
from marketplace_database import DatabaseError
from marketplace_durable import DISK, make_directory, read_json, to_json
from marketplace_edge import EdgeError
from marketplace_health import report
from marketplace_histogram import counted
from marketplace_jobs import schedule, unlooked
from marketplace_lock import Lock
from marketplace_managed import is_managed
from marketplace_metrics import units
from marketplace_paths import Paths
from marketplace_slo_budget import query_seconds
from marketplace_slo_files import Record
from marketplace_statements import Statement, read, since, summed
from marketplace_survey_rules import ELSEWHERE
from marketplace_watch_seen import UNITS
from marketplace_world import World

ANSWERS_SECONDS = 60.0
# A survey goes on where the one before has ended, unless that is longer ago: one that was lost must not make each that
# follows larger than the one before.
_GOES_ON = 180.0
# It is looked for updates less often.
_UPDATES_GO_ON = 86400.0
_PACKAGED = Path("/usr/lib/systemd/system")
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
    """How the edge has answered since the last time; ``none`` of the kinds are those without an answer."""
    now = time.time()
    begun = float(_last(world, "answers", now).get("until", now - ANSWERS_SECONDS))
    # The journal is asked in whole milliseconds.
    answered = [one for one in world.edge.answered(begun - 0.001) if one.end > begun]
    late = 1000 * settings["monitoring"]["thresholds"]["slow"]
    kinds: dict[str, int] = {}
    for one in answered:
        kind = f"{one.status // 100}xx" if one.status > 0 else "none"
        kinds[kind] = kinds.get(kind, 0) + 1
    _remember(world, "answers", {"until": max((one.end for one in answered), default=begun)}, now)
    return {
        "count": len(answered),
        "slow": sum(1 for one in answered if one.active_ms > late),
        "kinds": kinds,
        "milliseconds": counted(one.active_ms for one in answered if one.status > 0),
    }


def _queries(world: World, settings: Mapping[str, Any]) -> Any:
    """How long the bot's queries took since the last time, as :func:`marketplace_statements.summed`; None where their
    times can't be had, as at a provider."""
    if is_managed(settings, "postgres"):
        return None
    now = time.time()
    try:
        read_now = read(world.database, settings["postgres"]["roles"]["application"])
    except DatabaseError:  # Which is told as what it is.
        read_now = None
    if read_now is None:
        return None
    before = _last(world, "queries", now).get("statements")
    _remember(world, "queries", {"statements": read_now}, now)
    known = read_now if before is None else {name: Statement(*row) for name, row in before.items()}
    return summed(since(known, read_now), 1000 * query_seconds(settings))


def _backups(world: World, settings: Mapping[str, Any]) -> Any:
    return backup_status(BackupWorld.of(world.paths), settings)["trouble"]


def _webhook(world: World, settings: Mapping[str, Any]) -> Any:
    if not settings["telegram"].get("register", True):
        return ELSEWHERE
    return world.telegram.webhook_info(settings["telegram"]["api_url"])


def _release(world: World, _: Mapping[str, Any]) -> Any:
    """The release that was interrupted and that nobody is at."""
    entry = world.journal.read()
    return None if entry is None or world.lock.holder() else {"step": str(entry.get("step", ""))}


def _jobs(world: World, settings: Mapping[str, Any]) -> Any:
    """Why scheduled jobs do not start, in words; None where somebody looks for those that are due."""
    try:
        found = schedule(world)
    except (DockerError, EdgeError):  # Which is told as what it is.
        return None
    return unlooked(world, settings, found) if found else None


def _rotation(world: World, _: Mapping[str, Any]) -> Any:
    """The secrets whose replacement was cut off, and that nobody is at."""
    paths = world.paths
    told = read_json(paths.rotation)
    return [] if not told or Lock(paths.rotation_lock).holder() else sorted(map(str, told))


def _record(world: World, _: Mapping[str, Any]) -> Any:
    """Not a look: days that are over become a line each, which takes memory for its moment."""
    Record(world.paths.slo).roll(time.time())


def _units(_: World, settings: Mapping[str, Any]) -> Any:
    """Units that have failed, and those of Prometheus and its exporters that do not run."""
    failed = _listed("--failed")
    # While packages are being installed, those that are still to come are not missed.
    wanted = {unit for name in units(settings) if (_PACKAGED / (unit := f"{name}.service")).exists()}
    # One that systemd starts again and again never fails.
    running = _listed("--state=active", *sorted(wanted)) if wanted else set()
    return sorted(failed | (wanted - running))


def _restarts(*_: Any) -> Any:
    """How often systemd has restarted each unit since somebody started it, by whom it is for people."""
    told = _run("systemctl", "show", "--property=NRestarts", "--value", *UNITS.values())
    return dict(zip(UNITS, map(int, told.split()), strict=True))


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


def _updates(world: World, _: Mapping[str, Any]) -> Any:
    """For how many seconds each security update has been seen to wait, and which of them nobody installs unasked."""
    # In a unit of its own: apt takes more memory for its moment than the watchdog is given.
    own_unit = ("systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--property=Nice=19")
    told = _run(*own_unit, "apt-get", "--simulate", "--quiet", "--quiet", "upgrade")
    lines = [line.split() for line in told.splitlines() if line.startswith("Inst ") and _SECURITY in line]
    names, now = sorted(words[1] for words in lines), time.time()
    known = _last(world, "updates", now, _UPDATES_GO_ON).get("since", {})
    begun = {name: float(known.get(name, now)) for name in names}
    _remember(world, "updates", {"since": begun}, now)
    held = re.findall(
        r'^Unattended-Upgrade::Package-Blacklist:: "(.+)";$', _run("apt-config", "dump"), re.MULTILINE
    )
    return {
        "waited": {name: now - at for name, at in begun.items()},
        "held": [name for name in names if any(re.match(pattern, name) for pattern in held)],
    }


PARTS: dict[str, Part] = {
    "health": _health,
    "answers": _answers,
    "queries": _queries,
    "webhook": _webhook,
    "release": _release,
    "rotation": _rotation,
    "jobs": _jobs,
    "units": _units,
    "restarts": _restarts,
    "reboot": _reboot,
    "clock": _clock,
    "record": _record,
    "backups": _backups,
    "updates": _updates,
}


def _last(world: World, part: str, now: float, goes_on: float = _GOES_ON) -> dict[str, Any]:
    """What the last survey of a part has remembered; nothing where that is longer ago than ``goes_on`` (seconds)."""
    try:
        told = read_json(world.paths.surveyed(part)) or {}
    except ValueError:
        return {}
    return told if 0 <= now - told.get("at", 0.0) < goes_on else {}


def _remember(world: World, part: str, document: Mapping[str, Any], now: float) -> None:
    file = world.paths.surveyed(part)
    make_directory(file.parent)
    DISK.write(file, to_json({"at": now, **document}), mode=0o600)


def _run(*argv: str) -> str:
    done = subprocess.run(
        argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_COMMAND_SECONDS, check=True
    )
    return done.stdout


if __name__ == "__main__":
    here = Paths()
    print(json.dumps(survey(World.of(here), read_json(here.settings) or {}, sys.argv[1:])))
