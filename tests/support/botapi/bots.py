"""What the stand-in knows of one bot: its webhook, its waiting updates, and what it has sent."""

import asyncio
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any

from .clock import Clock
from .retry import Attempts, lifetime

# Telegram leaves these out unless a bot asks for them by name.
NOT_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
KEEP_DELIVERIES = 20_000
KEEP_MESSAGES = 20_000


@dataclass(frozen=True)
class Webhook:
    """What setWebhook set. An empty `url` means none."""

    url: str = ""
    secret: str = field(default="", repr=False)
    certificate: str = ""
    max_connections: int = 40
    ip_address: str = ""


@dataclass
class Delivery:
    """One update on its way: every attempt, and how it ended (`pending`, `delivered` or `dropped`)."""

    update_id: int
    queue: str
    injected_at: float
    outcome: str = "pending"
    seconds: float | None = None
    attempts: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Pending:
    """An update that waits."""

    body: dict[str, Any]
    attempts: Attempts
    delivery: Delivery
    born: float


@dataclass(frozen=True)
class Sent:
    """A call by which the bot said something. `via` is `api`, or `webhook` for one that rode in a webhook's answer."""

    sequence: int
    method: str
    chat_id: int | None
    text: str
    parameters: dict[str, Any]
    via: str
    update_id: int | None
    at: float


class Bot:
    """One token's state. All of it lives in memory."""

    def __init__(self, token: str, clock: Clock, random: Random) -> None:
        self.token = token
        self.id = int(token.partition(":")[0])
        self.clock = clock
        self.random = random
        self.webhook = Webhook()
        self.allowed_updates: list[str] = []
        self.last_error: tuple[int, str] | None = None
        self.next_set_webhook_at = 0.0
        self.commands: list[dict[str, Any]] = []
        self.blocked: set[int] = set()
        self.faults: list[dict[str, Any]] = []
        self.changed = asyncio.Condition()
        # Later than any number of an earlier run: a backend that remembers those would take ours for repetitions.
        self._next_update = 100_000_000 + int(time.time() % 10_000_000) * 100
        self._next_message = 1
        self.forget()

    def forget(self) -> None:
        """Drop updates, messages and figures. The webhook and the numbering stay."""
        self.queues: dict[str, deque[Pending]] = {}
        self.sent: deque[Sent] = deque(maxlen=KEEP_MESSAGES)
        self.deliveries: deque[Delivery] = deque(maxlen=KEEP_DELIVERIES)
        self.callbacks: dict[str, float] = {}
        self.statuses: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    @property
    def pending(self) -> int:
        return sum(len(queue) for queue in self.queues.values())

    def allows(self, kind: str) -> bool:
        return kind in self.allowed_updates if self.allowed_updates else kind not in NOT_BY_DEFAULT

    async def inject(self, kind: str, content: dict[str, Any], queue: str) -> int | None:
        """Something happened at Telegram. Returns the update's id, or None if the bot did not ask for this kind."""
        if not self.allows(kind):
            return None
        self._next_update += 1
        now = self.clock.now()
        delivery = Delivery(self._next_update, queue, time.time())
        self.deliveries.append(delivery)
        waiting = Pending(
            body={"update_id": self._next_update, kind: content},
            attempts=Attempts(expires_at=now + lifetime(kind), wake_at=now),
            delivery=delivery,
            born=time.monotonic(),
        )
        self.queues.setdefault(queue, deque()).append(waiting)
        await self.wake()
        return self._next_update

    def finish(self, queue: str, outcome: str) -> None:
        """Take the first update off `queue`; `outcome` is `delivered` or `dropped`."""
        done = self.queues[queue].popleft()
        if not self.queues[queue]:
            del self.queues[queue]
        done.delivery.outcome = outcome
        done.delivery.seconds = round(time.monotonic() - done.born, 4)

    def drop_pending(self) -> None:
        """Forget every waiting update, as `drop_pending_updates` asks."""
        for queue in list(self.queues):
            while queue in self.queues:
                self.finish(queue, "dropped")

    async def record(
        self, method: str, parameters: dict[str, Any], via: str, update_id: int | None = None
    ) -> Sent:
        """Remember a call by which the bot said something, and tell those who wait for it."""
        chat = str(parameters.get("chat_id"))
        text = str(parameters.get("text") or parameters.get("caption") or "")
        chat_id = int(chat) if chat.lstrip("-").isdigit() else None
        sent = Sent(self._next_message, method, chat_id, text, parameters, via, update_id, time.time())
        self._next_message += 1
        self.sent.append(sent)
        await self.wake()
        return sent

    async def wake(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    def complain(self, message: str) -> None:
        """What getWebhookInfo will show as the last error."""
        self.last_error = (int(time.time()), message)

    def take_fault(self, method: str) -> dict[str, Any] | None:
        """The next failure that a test has ordered for `method`, if any."""
        for fault in self.faults:
            if fault["method"].lower() == method:
                fault["times"] -= 1
                if fault["times"] <= 0:
                    self.faults.remove(fault)
                return fault
        return None
