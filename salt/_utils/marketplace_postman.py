"""Hands what is wrong and what happened to Alertmanager until it was sent, and tells the dead man's switch."""

from collections.abc import Iterable, Mapping
from typing import Any

from marketplace_alert_outbox import Deliveries, Letter, Outbox
from marketplace_alert_routes import ways
from marketplace_alertmanager import Alertmanager, AlertmanagerError
from marketplace_conditions import Condition
from marketplace_dead_man import DeadMan
from marketplace_paths import Paths
from marketplace_spool import Spool
from marketplace_watch_letters import EVENT, of_conditions, of_events

DEAD_MAN = "alerts_dead_man_url"
DEAD_MAN_EVERY = 60.0
_COUNT_EVERY = 60.0
_BEFORE = 1.0
# While nothing gets out for so long (seconds), nobody would hear of anything: the dead man's switch shall go off.
MUTE = 900.0


class Postman:
    """The way from this droplet to people.

    Args:
        paths: the droplet's files.
        letters: those from before.
        began: when the Alertmanager was started that was given them.
        alertmanager: who sends them.

    Attributes:
        trouble: why nothing can be handed over; empty while it can.
    """

    def __init__(
        self,
        paths: Paths,
        letters: Iterable[Letter],
        began: str = "",
        alertmanager: Alertmanager | None = None,
    ) -> None:
        self._spool = Spool(paths.spool)
        self._dead_man = DeadMan(paths.secrets / DEAD_MAN)
        self._alertmanager = alertmanager or Alertmanager()
        self._outbox = Outbox((), letters)
        self._deliveries = Deliveries()
        self._counted, self.began = 0.0, began
        self._pinged = 0.0
        self.trouble = ""

    @property
    def letters(self) -> list[Letter]:
        """What is on its way."""
        return list(self._outbox.letters.values())

    def turn(self, conditions: Iterable[Condition], settings: Mapping[str, Any], now: float) -> None:
        """Hand over what is due. Where Alertmanager does not take it, ``trouble`` says so and it is tried again."""
        self._outbox.ways = ways(settings)
        droplet = str(settings["environment"])
        letters, old = of_events(self._spool.pending(), droplet, now)
        for identity in old:
            self._spool.acknowledge(identity)
        if not self._outbox.ways:
            # Nobody is to be told: they wait in the spool for somebody who will be, those on their way as well.
            letters = []
            self._outbox.drop(letter.key for letter in self.letters if letter.labels["kind"] == EVENT)
        self._outbox.put([*letters, *of_conditions(conditions, droplet)], now)
        try:
            self._hand_over(now)
            self._count(now)
        except AlertmanagerError as error:
            self.trouble = str(error)
            return
        self.trouble = ""
        for key in self._outbox.settle(self._deliveries, now):
            kind, _, identity = key.partition(" ")
            if kind == "event":
                self._spool.acknowledge(identity)

    def _hand_over(self, now: float) -> None:
        if not self._outbox.due(now):
            return
        self._meet()
        due = self._outbox.due(now)
        # What was sent until now was something else; these may be sent before anybody counts again.
        self._deliveries.note(self._alertmanager.attempts(), now - _BEFORE)
        self._alertmanager.post(self._outbox.alert(letter, now) for letter in due)
        self._outbox.accepted(due, now)

    def _count(self, now: float) -> None:
        waiting = any(not letter.told for letter in self.letters)
        if waiting or now - self._counted >= _COUNT_EVERY:
            self._meet()
            sending = self._alertmanager.sending() if self._outbox.late(now) else ()
            self._deliveries.note(self._alertmanager.attempts(), now, sending)
            self._counted = now

    def _meet(self) -> None:
        """Find out whether it is still the same Alertmanager, before it is given anything or its counts are read."""
        began = self._alertmanager.began()
        if began != self.began:
            self._outbox.again()
            self._deliveries.again()
        self.began = began

    def ping(self, settings: Mapping[str, Any], now: float) -> None:
        """Tell the dead man's switch that all is well here: that alerts would be sent, not that there are none."""
        self._dead_man.turn()
        mute = self._deliveries.failing_for(self._outbox.ways, now) >= MUTE
        wanted = settings["alerts"]["dead_man"] and not self.trouble and not mute
        if not wanted or now - self._pinged < DEAD_MAN_EVERY:
            return
        self._pinged = now
        self._dead_man.call()

    def stop(self) -> None:
        """End what is on its way."""
        self._dead_man.stop()
