"""What is handed to Alertmanager, again and again, until it has reached somebody. Pure.

Alertmanager keeps alerts in its memory alone, and never tells of one that was over before it could be sent. So whatever
is wrong is handed over every minute for as long as it lasts, and is not let go, though it is over, before it was sent.
Events are told in the same way, once.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from marketplace_alertmanager import Alert, Attempts

# Alertmanager takes an alert for over when it has not heard of it for so long (seconds).
HOLDS = 300.0
AGAIN = 60.0
# What was handed over is sent within so many seconds where sending works: Alertmanager waits for what comes together
# (group_wait and group_interval of marketplace_alert_routes).
SENT_WITHIN = 45.0
# What was handed over so long ago, to an Alertmanager that fails at nothing, was said before: it does not say it twice.
SAID = 300.0
# What fails is tried again more often than that (seconds), for as long as it fails.
CALM = 60.0
# Nobody waits for news that are so old.
STALE = 86400.0


@dataclass(frozen=True)
class Letter:
    """One thing to tell.

    Attributes:
        key: what it is; the same for as long as it lasts.
        labels, annotations, starts: as Alertmanager has them.
        ends: when it was over; None while it lasts. An event is never over.
        taken: when Alertmanager has taken it first; None while it has not. posted: when last.
        told: whether it has reached whoever it is for.
    """

    key: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts: float
    ends: float | None = None
    taken: float | None = None
    posted: float | None = None
    told: bool = False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Deliveries:
    """When something was last sent, and last not, by every way there is."""

    def __init__(self) -> None:
        self._seen: dict[str, Attempts] = {}
        self.sent: dict[str, float] = {}
        self._failing: dict[str, float] = {}
        self._failed: dict[str, float] = {}
        self._sending: frozenset[str] = frozenset()

    def note(self, attempts: Mapping[str, Attempts], now: float, sending: Collection[str] = ()) -> None:
        """Take in what Alertmanager counts. Counts that fell are those of one that was just started.

        Args:
            sending: ways by which it is sending something that has neither arrived nor failed yet.
        """
        for way, count in attempts.items():
            before = self._seen.get(way)
            if before is None or count.all < before.all:
                before = Attempts(0, 0) if self._seen else count
            if count.failed > before.failed:
                self._failed[way] = now
                self._failing.setdefault(way, now)
            if count.well > before.well:
                self.sent[way] = now
                self._failing.pop(way, None)
            elif way in sending:  # What nobody answers does not fail either.
                self._failing.setdefault(way, now)
        self._seen, self._sending = dict(attempts), frozenset(sending)

    def again(self) -> None:
        """Take it that who counts has begun anew."""
        self._seen = dict.fromkeys(self._seen, Attempts(0, 0))

    def works(self, way: str, now: float) -> bool:
        """Whether all that was tried by a way has arrived: something since the last failure, and that was a while ago.

        One thing may get out while another fails, again and again, or hangs.
        """
        at_rest = way not in self._failing and way not in self._sending
        return at_rest and now - self._failed.get(way, -CALM) >= CALM

    def failing_for(self, ways: Iterable[str], now: float) -> float:
        """For how many seconds nothing has got out, by the way that is worst off; 0 where all is well."""
        return max((now - self._failing.get(way, now) for way in ways), default=0.0)


class Outbox:
    """The letters that are on their way.

    Args:
        ways: by which they go; none where nobody is to be told.
        letters: those from before.
    """

    def __init__(self, ways: Iterable[str], letters: Iterable[Letter] = ()) -> None:
        self.ways = tuple(ways)
        self.letters = {letter.key: letter for letter in letters}

    def late(self, now: float) -> bool:
        """Whether something should have been sent by now, and nobody knows yet that it was."""
        return any(
            not letter.told and letter.taken is not None and now - letter.taken >= SENT_WITHIN
            for letter in self.letters.values()
        )

    def put(self, letters: Iterable[Letter], now: float) -> None:
        """Say what there is to tell now; what was there before and is no longer, is over."""
        wanted = {letter.key: letter for letter in letters}
        for key, letter in wanted.items():
            before = self.letters.get(key)
            if before is None or (before.ends is not None and before.told):
                self.letters[key] = letter
            elif before.labels != letter.labels:  # Another severity is another alert: that one is over.
                past = f"{key} {before.starts:.0f}"
                self.letters[past] = replace(before, key=past, ends=before.ends or now, posted=None)
                self.letters[key] = letter
            else:
                posted = before.posted if before.ends is None else None
                self.letters[key] = replace(before, annotations=letter.annotations, ends=None, posted=posted)
        for key, letter in self.letters.items():
            if key not in wanted and letter.ends is None:
                self.letters[key] = replace(letter, ends=now, posted=None)

    def drop(self, keys: Iterable[str]) -> None:
        """Let go of letters as if they had never been put: they were not told."""
        for key in list(keys):
            self.letters.pop(key, None)

    def due(self, now: float) -> list[Letter]:
        """What has to be handed over now."""
        return [
            letter
            for letter in self.letters.values()
            if letter.posted is None or now - letter.posted >= AGAIN
        ]

    def again(self) -> None:
        """Hand everything over as if it was never told: Alertmanager is another one, which says all of it again."""
        self.letters = {
            key: replace(letter, posted=None, taken=None, told=False) for key, letter in self.letters.items()
        }

    def alert(self, letter: Letter, now: float) -> Alert:
        """A letter as Alertmanager takes it: over only when it was told."""
        over = letter.ends is not None and letter.told
        ends = now if over else now + HOLDS
        return Alert(letter.labels, letter.annotations, letter.starts, ends)

    def accepted(self, letters: Iterable[Letter], now: float) -> None:
        """Alertmanager has taken them. What was told and is over is done with."""
        for letter in letters:
            if letter.ends is not None and letter.told:
                self.letters.pop(letter.key, None)
            else:
                self.letters[letter.key] = replace(letter, taken=letter.taken or now, posted=now)

    def settle(self, deliveries: Deliveries, now: float) -> list[str]:
        """Mark what has arrived by now; the keys of what arrived first now.

        It has, when by every way something got out behind it and nothing failed since, and the time is over within
        which it went along. What is so old that nobody waits for it counts as told.
        """
        arrived = []
        for key, letter in self.letters.items():
            if letter.told:
                continue
            through = letter.taken is not None and self._through(letter.taken, deliveries, now)
            old = letter.ends is not None and now - letter.ends >= STALE
            if through or old:
                self.letters[key] = replace(
                    letter, told=True, posted=letter.posted if letter.ends is None else None
                )
                arrived.append(key)
        return arrived

    def _through(self, taken: float, deliveries: Deliveries, now: float) -> bool:
        """Whether what was taken then has gone out by every way, as far as that can be told."""
        if now - taken < SENT_WITHIN or not all(deliveries.works(way, now) for way in self.ways):
            return False
        return now - taken >= SAID or all(deliveries.sent.get(way, 0.0) >= taken for way in self.ways)
