"""Who hangs and has to be restarted: alive, and without an answer on both of the ways there are to ask. Pure.

Docker restarts what ends, unless it has no room to do so, which it tries once. What is alive and says nothing, nobody
restarts: a stopped process, a deadlock.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from marketplace_watch_history import History
from marketplace_watch_rules import NEEDED, TIMEOUTS, waits
from marketplace_watch_seen import Seen

# How long the edge must have had no answer. It says so 4 to 7 s after the last one, so this is one of 10 to 13 s.
HUNG_SECONDS = 6
# The same of one that has used most of its processor time meanwhile: it may be through with its work before that.
BUSY_SECONDS, BUSY = 60, 0.5
# A backend that can be spoken to no more, or says for so long that it is not well, while all it needs is.
FAILING_SECONDS = 60
# A container is left alone for so long after its start.
YOUNG_SECONDS = 20
# The proxy answers its own socket within milliseconds.
EDGE_SECONDS = 8.0
# So many restarts within so many seconds; who needs more is not helped by them.
MOST, WITHIN = 3, 1800.0


@dataclass(frozen=True)
class Cure:
    """Whom to restart, and why, in words; ``room``: whether Docker needs what is kept back for it on a full disk."""

    service: str
    why: str
    room: bool = False


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
    """Who hangs, or was not started for want of room, and may be restarted now.

    Args:
        seen: this look.
        history: it and those before.
    """
    found = []
    for service in ("postgres", "redis", "backend"):
        # What a release does to the database may keep its disk busy, and must not be cut off.
        busy = history.shares.of(service) > BUSY or bool(seen.releasing)
        why = _hangs(seen, service, BUSY_SECONDS if busy else HUNG_SECONDS)
        if service == "backend":
            why = why or _fails(seen)
        if why and service not in spared(seen):
            found.append(Cure(service, why))
    for service, state in (seen.containers or {}).items():
        # The worker goes with its backend.
        owner = "backend" if service == "worker" else service
        if state.starved and owner not in spared(seen):
            words = f"{state.name} has ended, and Docker had no room to start it: the disk is full"
            found.append(Cure(service, words, room=True))
    # What is stopped, or can't start, is not helped by being killed.
    if seen.silent >= EDGE_SECONDS and seen.edge_up:
        words = f"HAProxy has not answered on its socket for {seen.silent:.0f} s"
        found.append(Cure("edge", words))
    return found


def spared(seen: Seen) -> set[str]:
    """Who is not to blame, or somebody's work in progress: a release has the backends, a restore the database, and
    whoever has closed the edge the backend, which serves nobody then.

    A backend whose PostgreSQL or Redis does not answer, or has just come back, may well give no answer in time itself.
    """
    found = {"backend"} if seen.releasing or seen.closed or waits(seen) else set()
    return found | ({"postgres", "backend"} if seen.restoring else set())


def _hangs(seen: Seen, service: str, patience: float) -> str:
    """Why a service is taken to hang; empty where it is not.

    A PostgreSQL that replays its log answers, if only that it is not ready, and so does a backend that waits for
    others. What the edge can't reach is no proof by itself: its own health check, inside, must have failed as well.
    """
    state, silent = (seen.containers or {}).get(service), seen.down_for(service)
    if state is None or not state.running or seen.at - state.begun.timestamp() < YOUNG_SECONDS:
        return ""
    if silent is None or silent < patience or seen.last_check(service) not in TIMEOUTS:
        return ""
    if state.health != "none" and not state.ailing:
        return ""
    return f"{state.name} is alive and has given no answer for {silent} s"


def _fails(seen: Seen) -> str:
    """Why the backend is taken to have failed for good though it lives; empty where it is not.

    Once: what has not been well since it was started is starting, or is not helped by being started again.
    """
    state, down = (seen.containers or {}).get("backend"), seen.down_for("backend")
    if state is None or not state.running or down is None:
        return ""
    since = min(down, *(seen.up_for(name) or 0 for name in NEEDED))
    if since < FAILING_SECONDS or down >= seen.at - state.begun.timestamp() - 1:
        return ""
    said = seen.last_check("backend")
    # Who answers is believed when its own health check fails as well.
    if state.ailing and said == "L7STS":
        return f"{state.name} is alive and has said for {down} s that it is not well"
    if (state.ailing or state.health == "none") and said == "L4CON":
        return f"{state.name} is alive and has listened to nobody for {down} s"
    return ""
