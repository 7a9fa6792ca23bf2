"""When an update is tried again: the arithmetic of Telegram's WebhookActor, and nothing else."""

from dataclasses import dataclass
from random import Random

MAX_RETRY_AFTER = 3600
LONGEST_DELAY = (60, 120)
MESSAGE_SECONDS = 24 * 3600
LIFETIMES = {"callback_query": 150, "shipping_query": 150, "pre_checkout_query": 150, "inline_query": 30}


@dataclass
class Attempts:
    """How often an update has failed. Times are virtual seconds."""

    expires_at: float
    wake_at: float
    delay: float = 1
    failures: int = 0

    def fail(self, now: float, retry_after: int, random: Random) -> bool:
        """Count a failed attempt and set `wake_at`. False if the update expires first and must be dropped."""
        wait = float(min(max(retry_after, 0), MAX_RETRY_AFTER))
        next_delay = self.delay
        if wait == 0 and self.failures > 0:
            next_delay = wait = min(float(random.randint(*LONGEST_DELAY)), self.delay * 2)
        if now + wait > self.expires_at:
            return False
        self.delay = next_delay
        self.wake_at = now + wait
        self.failures += 1
        return True


def lifetime(kind: str) -> int:
    """Seconds that an update of this kind (its field's name, such as `message`) waits at Telegram."""
    return LIFETIMES.get(kind, MESSAGE_SECONDS)
