"""What people read: conditions and events as letters for Alertmanager. Pure."""

from collections.abc import Iterable
from datetime import datetime

from marketplace_alert_outbox import STALE, Letter
from marketplace_conditions import Condition
from marketplace_spool import Event
from marketplace_watch_seen import next_look

# Telegram takes 4096 characters in all.
LONGEST = 350
EVENT, CONDITION = "event", "condition"
# What to type after an event that is no good news: by its name, or else by the first word of that.
COMMANDS = {
    "backup": "salt-call backup.check",
    "certificate": "salt-call certificate.status",
    "data": "salt-call health.check",
    "droplet": "salt-call health.check",
    "edge": "salt-call deploy.status",
    "edge.maintenance": "salt-call deploy.maintenance off",
    "host": "salt-call deploy.logs service=system since=1h",
    "job": "salt-call deploy.logs service=backend since=1h",
    "job.missed": "salt-call deploy.status",
    "logs": "salt-call health.logs",
    "release": "salt-call deploy.status",
    "release.stuck": "salt-call deploy.resume",
    "rollback": "salt-call deploy.status",
    "spool": "salt-call health.check",
    "watch": "salt-call health.check",
}


def of_conditions(conditions: Iterable[Condition], droplet: str) -> list[Letter]:
    """One letter each.

    Args:
        droplet: its name, for who has several.
    """
    return [_condition(condition, droplet) for condition in conditions]


def of_events(events: Iterable[Event], droplet: str, now: float) -> tuple[list[Letter], list[str]]:
    """Letters, and the ids of the events of which nobody wants to hear any more.

    Args:
        droplet: its name.
        now: the time, in seconds since 1970.
    """
    letters, old = [], []
    for event in events:
        at = datetime.fromisoformat(event.time).timestamp()
        if now - at >= STALE:
            old.append(event.id)
            continue
        service = str(event.data.get("service") or event.kind.partition(".")[0])
        labels = {
            "alertname": event.kind,
            "kind": EVENT,
            "event": event.id,
            "service": service,
            "severity": event.severity,
            "droplet": droplet,
        }
        # Why it happened is part of an event's words.
        annotations = {"summary": _short(event.summary), "command": _command(event)}
        letters.append(Letter(f"event {event.id}", labels, annotations, at))
    return letters, old


def _command(event: Event) -> str:
    if event.severity == "info":
        return ""
    area, release, service = (
        event.kind.partition(".")[0],
        event.data.get("release"),
        event.data.get("service"),
    )
    if area in ("release", "rollback") and release:
        return f"salt-call deploy.logs release={release}"
    if event.kind == "watch.restarted" and service:
        return next_look(str(service))
    return COMMANDS.get(event.kind, COMMANDS.get(area, ""))


def _condition(condition: Condition, droplet: str) -> Letter:
    finding = condition.finding
    labels = {
        "alertname": finding.name,
        "kind": CONDITION,
        "service": finding.service,
        "severity": finding.severity,
        "droplet": droplet,
    }
    annotations = {
        "summary": _short(finding.summary),
        "since": f"{datetime.fromtimestamp(condition.since).astimezone():%d %b %H:%M %Z}",
        "cause": _short(finding.cause),
        "command": finding.command,
    }
    return Letter(finding.key, labels, annotations, condition.since)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
