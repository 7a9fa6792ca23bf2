"""Who says so much that the journal no longer keeps it."""

import json
import re
from collections import Counter
from collections.abc import Mapping

from marketplace_host import Host
from marketplace_log_places import DROPPED

MINUTES = 5
_SECONDS = 10.0


def flooding(host: Host, services: Mapping[str, str]) -> dict[str, str]:
    """Services whose log lines were dropped in the last minutes, each with that in words.

    Args:
        services: journal -> service whose health it concerns.

    Raises:
        HostError: the journals can't be read.
    """
    argv = ["journalctl", "--boot", "--quiet", "--no-pager", "--output=json", "--namespace=*"]
    argv += [f"--since=-{MINUTES}min", f"MESSAGE_ID={DROPPED}"]
    dropped: Counter[str] = Counter()
    for line in host.run(argv, _SECONDS, {}).splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # A word of journalctl's own, on standard error.
            continue
        count = re.search(r"Suppressed (\d+) messages", str(entry.get("MESSAGE")))
        service = services.get(str(entry.get("_NAMESPACE")))
        if count and service:
            dropped[service] += int(count[1])
    return {
        service: f"its log is cut off: {lines} lines were dropped in the last {MINUTES} minutes"
        for service, lines in dropped.items()
    }
