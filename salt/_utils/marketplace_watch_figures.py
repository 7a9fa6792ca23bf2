"""Figures that the watchdog has anyway, for who asks: health.check shows them at no cost of its own. Pure."""

from collections.abc import Mapping
from typing import Any

from marketplace_watch_history import History
from marketplace_watch_seen import Seen

# What surveys find of the host; the rest of what they find is health.check's own, or counts.
_OF_HOST = ("clock", "units", "reboot", "updates")
# The address is nobody's business: its last part only Telegram knows.
_OF_WEBHOOK = ("pending_update_count", "last_error_date", "last_error_message")


def figures(seen: Seen, history: History, surveyed: Mapping[str, Any]) -> dict[str, Any]:
    """What is used, how the edge answers, and what surveys have found.

    Args:
        surveyed: by part, what the last survey of it that went well has found.

    Returns:
        ``uses``: by service and for the machine ``cpu`` (0 to 1, the part of the processors that it may use over at
        most five minutes; None where nobody has counted yet) and ``memory`` (bytes ``used`` of ``limit``);
        ``disks``: bytes ``used`` of ``limit`` by whose file system it is; ``answers``: how many the edge gave within
        ``seconds``, and how many of them with 5xx; ``host`` and ``webhook``: what surveys have found of them.
    """
    seconds, spent = history.cpu.seconds, history.cpu.grown()
    answered = history.answers.grown()
    return {
        "uses": {
            name: {
                "cpu": round(spent.get(name, 0.0) / seconds / group.cpus, 3)
                if seconds and group.cpus
                else None,
                "memory": {"used": group.memory, "limit": group.limit},
            }
            for name, group in seen.groups.items()
        },
        "disks": {name: {"used": used, "limit": total} for name, (used, total) in seen.disks.items()},
        "answers": {
            "count": round(answered.get("answers", 0.0)),
            "errors": round(answered.get("errors", 0.0)),
            "seconds": round(history.answers.seconds),
        },
        "host": {part: surveyed[part] for part in _OF_HOST if part in surveyed},
        "webhook": _webhook(surveyed.get("webhook")),
    }


def _webhook(info: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What Telegram says of the webhook; None while it is another host's, or can't be asked for."""
    if info is None or "url" not in info:
        return None
    return {"registered": bool(info["url"])} | {name: info[name] for name in _OF_WEBHOOK if name in info}
