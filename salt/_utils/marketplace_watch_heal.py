"""Who hangs and has to be restarted: alive, and without an answer on both of the ways there are to ask. Pure.

Docker restarts what ends. What is alive and says nothing, nobody restarts: a stopped process, a deadlock.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from marketplace_watch_history import History
from marketplace_watch_rules import TIMEOUTS, waits
from marketplace_watch_seen import Seen

# How long the edge must have had no answer. It says so 4 to 7 s after the last one, so this is one of 10 to 13 s.
HUNG_SECONDS = 6
# The same of one that has used most of its processor time meanwhile: it may be through with its work before that.
BUSY_SECONDS, BUSY = 60, 0.5
# A container is left alone for so long after its start.
YOUNG_SECONDS = 20
# The proxy answers its own socket within milliseconds.
EDGE_SECONDS = 8.0
# So many restarts within so many seconds; who needs more is not helped by them.
MOST, WITHIN = 3, 1800.0


@dataclass(frozen=True)
class Cure:
    """Whom to restart, and why, in words."""

    service: str
    why: str


class Budget:
    """How often who was restarted.

    Args:
        known: pairs of service and time (seconds since 1970) from before.
    """

    def __init__(self, known: Iterable[tuple[str, float]] = ()) -> None:
        self.spent = [(str(service), float(at)) for service, at in known]

    def spend(self, service: str, now: float) -> None:
        """It is being restarted."""
        self.spent = [(name, at) for name, at in self.spent if now - at <= WITHIN] + [(service, now)]

    def resting(self, service: str, now: float) -> bool:
        """Whether it was restarted a moment ago, and what is seen of it may be of before."""
        return any(name == service and now - at < YOUNG_SECONDS for name, at in self.spent)

    def used(self, service: str, now: float) -> int:
        """How often it was restarted lately."""
        return sum(1 for name, at in self.spent if name == service and now - at <= WITHIN)


def cures(seen: Seen, history: History) -> list[Cure]:
    """Who hangs and may be restarted now.

    Args:
        seen: this look.
        history: it and those before.
    """
    found = []
    for service in ("postgres", "redis", "backend"):
        patience = BUSY_SECONDS if history.shares.of(service) > BUSY else HUNG_SECONDS
        why = "" if service in spared(seen) else _hangs(seen, service, patience)
        if why:
            found.append(Cure(service, why))
    # What is stopped, or can't start, is not helped by being killed.
    if seen.silent >= EDGE_SECONDS and seen.edge_up:
        words = f"HAProxy has not answered on its socket for {seen.silent:.0f} s"
        found.append(Cure("edge", words))
    return found


def spared(seen: Seen) -> set[str]:
    """Who is not to blame, or somebody's work in progress: a release has the backends, a restore the database.

    A backend whose PostgreSQL or Redis does not answer, or has just come back, may well give no answer in time itself.
    """
    found = {"backend"} if seen.releasing or waits(seen) else set()
    return found | ({"postgres", "backend"} if seen.restoring else set())


def _hangs(seen: Seen, service: str, patience: float) -> str:
    """Why a service is taken to hang; empty where it is not.

    A PostgreSQL that replays its log answers, if only that it is not ready, and so does a backend that waits for
    others. What the edge can't reach is no proof by itself: its own health check, inside, must have failed as well.
    """
    state = (seen.containers or {}).get(service)
    row = seen.check(service)
    if state is None or not state.running or seen.at - state.begun.timestamp() < YOUNG_SECONDS:
        return ""
    silent = int(row["lastchg"]) if row.get("lastchg", "").isdigit() else 0
    if not row.get("status", "").startswith("DOWN") or seen.last_check(service) not in TIMEOUTS:
        return ""
    if silent < patience or (state.health != "none" and not state.ailing):
        return ""
    return f"{state.name} is alive and has given no answer for {silent} s"
