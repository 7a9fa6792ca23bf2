"""A real alert, to see whether it arrives."""

import time
from collections.abc import Iterable

from marketplace_alertmanager import Alert, Alertmanager, Attempts
from marketplace_watch_letters import EVENT

# Alertmanager tries for a minute, and then begins again.
LONGEST = 60.0
_LOOK = 0.5
_SEE = "see: journalctl -u prometheus-alertmanager -n 20"


def probe(
    alertmanager: Alertmanager, ways: Iterable[str], droplet: str, by: str, longest: float = LONGEST
) -> dict[str, str]:
    """Send an alert by every way there is, and wait until it has gone out.

    Args:
        alertmanager: who sends it.
        ways: by which ways people are told.
        droplet: its name, for who reads it.
        by: who asks.
        longest: seconds to wait.

    Returns:
        What became of it, by way: ``sent``, or why not.

    Raises:
        AlertmanagerError: Alertmanager does not answer.
    """
    ways, now = list(ways), time.time()
    before = alertmanager.attempts()
    labels = {
        "alertname": "alerts.test",
        "kind": EVENT,
        "event": f"test-{now:.3f}",
        "service": "alerts",
        "severity": "info",
        "droplet": droplet,
    }
    summary = f"a test, asked for by {by}: alerts from this droplet arrive here"
    alertmanager.post([Alert(labels, {"summary": summary}, now, now + longest)])
    deadline = time.monotonic() + longest
    while True:
        outcome = _outcomes(ways, before, alertmanager.attempts())
        if time.monotonic() >= deadline or all(words == "sent" for words in outcome.values()):
            return outcome
        time.sleep(_LOOK)


def _outcomes(ways: Iterable[str], before: dict[str, Attempts], after: dict[str, Attempts]) -> dict[str, str]:
    found = {}
    none = Attempts(0, 0)
    for way in ways:
        then, now = before.get(way, none), after.get(way, none)
        failed = now.failed - then.failed
        tried = f"tried {failed} times in vain" if failed else "not sent yet"
        found[way] = "sent" if now.well > then.well else f"{tried}; {_SEE}"
    return found
