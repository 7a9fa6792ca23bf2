"""Who says so much that the journal no longer keeps it.

All containers speak through Docker, so the journal cuts them off together, and says only that it did. Whoever spoke
most just before that is who it was for.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping

from marketplace_host import Host

# The journal's own word for lines that it has dropped (systemd's sd-messages.h, SD_MESSAGE_JOURNAL_DROPPED).
DROPPED = "a596d6fe7bfa4994828e72309e95d61e"
MINUTES = 5
_SAMPLE = 500
_SECONDS = 10.0


def flooding(host: Host, services: Mapping[str, str]) -> dict[str, str]:
    """Services whose log lines were dropped in the last minutes, each with that in words.

    Args:
        services: container -> service.

    Raises:
        HostError: the journal can't be read.
    """
    said = _journal(host, f"--since=-{MINUTES}min", "--lines=20", f"MESSAGE_ID={DROPPED}")
    dropped: Counter[str] = Counter()
    for entry in said:
        count = re.search(r"Suppressed (\d+) messages from docker\.service", str(entry.get("MESSAGE")))
        who = _loudest(host, int(entry["__REALTIME_TIMESTAMP"]) / 1e6) if count else None
        if count and who in services:
            dropped[services[str(who)]] += int(count[1])
    return {
        service: f"its log is cut off: {lines} lines were dropped in the last {MINUTES} minutes"
        for service, lines in dropped.items()
    }


def _loudest(host: Host, until: float) -> str | None:
    """The container with most of the last lines that were kept before then (seconds since 1970)."""
    lines = _journal(
        host,
        f"--until=@{until:.6f}",
        f"--lines={_SAMPLE}",
        "--output-fields=CONTAINER_NAME",
        "_SYSTEMD_UNIT=docker.service",
    )
    names = Counter(str(line["CONTAINER_NAME"]) for line in lines if line.get("CONTAINER_NAME"))
    return names.most_common(1)[0][0] if names else None


def _journal(host: Host, *arguments: str) -> list[dict[str, str]]:
    argv = ["journalctl", "--boot", "--quiet", "--no-pager", "--output=json", *arguments]
    found = []
    for line in host.run(argv, _SECONDS, {}).splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:  # A word of journalctl's own, on standard error.
            continue
    return found
