"""``health.check`` and ``deploy.status`` as people read them at 3 a.m.: a line a thing, nothing cut off. Pure."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marketplace_records import NOTHING_LIVE
from marketplace_terminal import Style, clean, lasted
from marketplace_units import amount, rough_size

# What a mark stands for, in marketplace_terminal's words.
_GOOD, _ODD, _BAD, _NONE = "done", "interrupted", "failed", ""
_MARKS = {"healthy": _GOOD, "degraded": _ODD, "warning": _ODD}
_ROOM = 10


@dataclass(frozen=True)
class _Row:
    """A line: a mark, whose it is, and words that may need more lines."""

    mark: str = _NONE
    name: str = ""
    words: str = ""
    colour: str = ""


def health_table(found: Mapping[str, Any], style: Style, width: int) -> str:
    """``health.check``, in lines of at most ``width`` columns.

    Args:
        found: what it returns, in brief or not.
    """
    return _drawn(_health(found), style, width)


def status_table(found: Mapping[str, Any], style: Style, width: int) -> str:
    """``deploy.status``, in lines of at most ``width`` columns.

    Args:
        found: what it returns.
    """
    return _drawn(_status(found), style, width)


def _drawn(rows: Iterator[_Row], style: Style, width: int) -> str:
    return "\n".join(line.rstrip() for row in rows for line in _lines(row, style, width))


def _lines(row: _Row, style: Style, width: int) -> Iterator[str]:
    name = f"{row.name:<{_ROOM}}" if row.name else ""
    # What people copy (a unit's name, a command) stays in one piece.
    parts = textwrap.wrap(
        clean(row.words), width - 3 - len(name), break_long_words=False, break_on_hyphens=False
    ) or [""]
    for number, part in enumerate(parts):
        mark = style.mark(row.mark) if row.mark and not number else " "
        yield f"{mark} {name if not number else ' ' * len(name)}{style.paint(part, row.colour)}"


def _health(found: Mapping[str, Any]) -> Iterator[_Row]:
    when = f", {_moment(found['time'])}" if found.get("time") else ""
    yield _Row(_mark(found["status"]), "", f"{found['status']}{when}", "bold")
    for name, service in found["services"].items():
        if isinstance(service, str):
            yield _Row(_mark(service), name, service)
        else:
            words = "; ".join([service["detail"], *_facts(service.get("facts") or {})])
            yield _Row(_mark(service["status"]), name, words)
    for name, tell in (("droplet", _droplet), ("webhook", _webhook), ("backups", _restorable)):
        if name in found:
            yield _Row(_NONE, name, "; ".join(tell(found[name])))
    for alert in found.get("alerts") or ():
        yield _Row()
        yield _Row(_mark(alert["severity"]), "", f"{alert['summary']}, since {_moment(alert['since'])}")
        if alert.get("cause"):
            yield _Row(words=f"likely: {alert['cause']}")
        yield _Row(words=alert["command"], colour="cyan")
    problem = (found.get("watch") or {}).get("problem")
    if problem:
        yield _Row()
        yield _Row(_BAD, "watchdog", problem)


def _facts(facts: Mapping[str, Any]) -> Iterator[str]:
    if facts.get("version"):
        yield f"version {facts['version']}"
    if facts.get("started"):
        yield f"up since {_moment(facts['started'])}"
    if facts.get("restarts"):
        yield f"restarted {facts['restarts']} times" if facts["restarts"] > 1 else "restarted once"
    certificate = facts.get("certificate") or {}
    if certificate.get("days_left") is not None:
        yield f"certificate for {certificate['days_left']} days"
    if connections := facts.get("connections"):
        yield f"{connections['used']} of {connections['limit']} connections"
    if (receiver := facts.get("receiver")) and receiver["active"] and receiver["behind"] is not None:
        yield f"its log is received, {amount(receiver['behind'])} behind"
    if saved := facts.get("saved"):
        yield f"saved {_moment(saved['at'])}"
    if (answers := facts.get("answers")) and answers["count"]:
        yield f"{answers['errors']} of {answers['count']} answers of {lasted(answers['seconds'])} were 5xx"
    yield from _uses(facts)


def _uses(facts: Mapping[str, Any]) -> Iterator[str]:
    """What is used of processors, memory and disk, in a few words."""
    words = [f"CPU {facts['cpu']:.0%}"] if facts.get("cpu") is not None else []
    for name in ("memory", "disk"):
        if (one := facts.get(name)) and one["limit"]:
            words.append(f"{name} {one['used'] / one['limit']:.0%} of {rough_size(one['limit'])}")
    if words:
        yield ", ".join(words)


def _droplet(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"up for {_long(facts['uptime_seconds'])}"
    disks = dict(facts["disks"])
    yield from _uses({**facts, "disk": disks.pop("droplet", None)})
    for name, one in disks.items():
        yield f"disk of {name} {one['used'] / one['limit']:.0%} of {rough_size(one['limit'])}"
    if clock := facts["clock"]:
        yield (
            f"clock {clock['offset']:+.1f} s off" if clock["followed"] else "its clock follows no time server"
        )
    if failed := facts["units_failed"]:
        yield f"units that failed or do not run: {', '.join(failed)}"
    if facts["reboot_waits_seconds"] is not None:
        yield f"an update has waited for a reboot for {_long(facts['reboot_waits_seconds'])}"
    if packages := facts["security_updates"]:
        yield f"security updates wait: {', '.join(packages)}"


def _long(seconds: float) -> str:
    return f"{seconds / 86400:.0f} days" if seconds >= 2 * 86400 else lasted(seconds)


def _webhook(facts: Mapping[str, Any] | None) -> Iterator[str]:
    if facts is None:
        yield "nobody knows what Telegram says of it"
        return
    yield f"{facts['pending']} updates wait at Telegram" if facts["registered"] else "none is registered"
    if error := facts["last_error"]:
        yield f"its last error {_moment(error['at'])}: {error['words']}"


def _restorable(facts: Mapping[str, Any]) -> Iterator[str]:
    if "problem" in facts:
        yield facts["problem"]
        return
    for kind, at in facts["newest"].items():
        yield f"{kind} {_moment(at)}" if at else f"none of {kind} yet"
    yield f"restored on trial {_moment(facts['drill'])}" if facts["drill"] else "never restored on trial yet"


def _status(found: Mapping[str, Any]) -> Iterator[_Row]:
    live = found["live"]
    if live is None:
        yield _Row(_BAD, "", NOTHING_LIVE, "bold")
    else:
        words = (
            f"{live['version']} is live in {live['colour']} since {_moment(live['since'])}, by {live['by']}"
        )
        yield _Row(_GOOD, "", f"{words} (release {live['release']})", "bold")
    yield from _under_way(found)
    if found["health"] is not None:
        yield _Row()
        yield from _health(found["health"])
    yield _Row()
    if found.get("slo"):
        yield _Row(_NONE, "uptime", found["slo"])
    if found["drift"] is not None:
        drift = found["drift"]
        yield _Row(_odd(drift["differences"] or drift["trouble"]), "drift", drift["summary"])
    yield _backups(found["backups"])
    for job in found["jobs"]["scheduled"]:
        when = "running now" if job["running"] else f"next {_moment(job['next'])}"
        yield _Row(_NONE, "job", f"{job['name']}: {when}")
    broken = found["ledger"]["broken"]
    altered = f", altered: {', '.join(broken)}" if broken else ""
    count = found["ledger"]["releases"]
    yield _Row(_odd(broken), "ledger", f"{count} release{'' if count == 1 else 's'}{altered}")
    if found["events"]:
        yield _Row(_NONE, "events", f"{found['events']} wait to be told")
    parts = (found["backups"], found["jobs"])
    troubles = [words for part in parts for words in part["trouble"]]
    waiting = [*found["pending"], *(words for part in parts for words in part["pending"])]
    if troubles or waiting:
        yield _Row()
    yield from (_Row(_BAD, "", words) for words in troubles)
    yield from (_Row(_ODD, "", words) for words in waiting)


def _under_way(found: Mapping[str, Any]) -> Iterator[_Row]:
    flight = found["in_flight"]
    if flight and "unreadable" in flight:
        yield _Row(_BAD, "", flight["unreadable"])
    elif flight:
        words = (
            f"a {flight['kind']} to {flight['version']} by {flight['by']}, begun {_moment(flight['started'])}"
        )
        if found["lock"]:
            yield _Row(_ODD, "", f"{words}, is at step {flight['step']}")
        else:
            yield _Row(
                _BAD, "", f"{words}, was interrupted at step {flight['step']}: salt-call deploy.resume"
            )
    if found["maintenance"]:
        yield _Row(_ODD, "", f"the edge is closed for updates ({' and '.join(found['maintenance'])})")


def _backups(found: Mapping[str, Any]) -> _Row:
    busy = found["busy"]
    at_them = [f"{busy.get('doing', 'somebody')} by {busy.get('by', 'unknown')} is at them"] if busy else []
    if found["count"] is None:
        return _Row(_odd(found["trouble"]), "backups", "; ".join([*at_them, "cannot be told"]))
    # Of a database at a provider there is the dump alone.
    newest, drill = found["newest"].get("postgres", found["newest"].get("dump")), found["drill"]
    words = [*at_them, f"database {_moment(newest['when'])}" if newest else "none of the database yet"]
    if found["bytes"]["of"]:
        share = 100 * found["bytes"]["used"] / found["bytes"]["of"]
        words.append(f"{found['count']} kept, {share:.0f}% of their disk used")
    words.append(f"restored on trial {_moment(drill['time'])}" if drill else "never restored on trial yet")
    if found["copy"]:
        words.append(f"copied to {found['copy']['target']}")
    return _Row(_odd(found["trouble"]), "backups", "; ".join(words))


def _odd(wrong: Any) -> str:
    return _ODD if wrong else _GOOD


def _mark(status: str) -> str:
    return _MARKS.get(status, _BAD)


def _moment(when: str) -> str:
    """``2026-11-26 01:05 +0000``: the minute is enough to read."""
    return f"{datetime.fromisoformat(when):%Y-%m-%d %H:%M %Z}"
