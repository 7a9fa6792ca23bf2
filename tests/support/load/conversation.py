"""What a user of the marketplace says next, and whether the bot's answer is right. Pure.

Each user registers, then goes round: lists an item in a dialogue of three messages, looks around, buys what another
user has listed, looks at his own. Between two messages of the dialogue its state is in Redis alone.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

LISTED = re.compile(r"Listed #(\d+): (\S+) for ")
BOUGHT = re.compile(r"You bought #(\d+): (\S+) for ")
FORGOTTEN = "I don't understand"
PRICE = "12.50"


@dataclass(frozen=True)
class Line:
    """What a user says, and how a right answer begins (one of these)."""

    text: str
    answers: tuple[str, ...]

    def right(self, reply: str) -> bool:
        """Whether ``reply`` is an answer to this."""
        return reply.startswith(self.answers)


@dataclass
class Shelf:
    """What is for sale at this moment, by what the users of this run were told: (number, seller), oldest first."""

    items: deque[tuple[int, int]] = field(default_factory=deque)

    def put(self, number: int, seller: int) -> None:
        """Something was listed."""
        self.items.append((number, seller))

    def take(self, buyer: int) -> int | None:
        """The number of an item for ``buyer`` alone to buy; None when there is nothing but his own."""
        for position, (number, seller) in enumerate(self.items):
            if seller != buyer:
                del self.items[position]
                return number
        return None


class User:
    """One user. ``next`` says a line; ``hear`` takes the bot's answer to it.

    Args:
        chat: number of the user and of his private chat.
        run: marks what this run lists, so that it is told from what other runs listed.
        shelf: shared by all users of a run.
    """

    def __init__(self, chat: int, run: str, shelf: Shelf) -> None:
        self.chat = chat
        self._run = run
        self._shelf = shelf
        self._listed = 0
        self._again = False
        self._lines = self._talk()

    def next(self) -> Line:
        """What he says now. Call it only after the line before was answered: Telegram keeps a chat's order as well."""
        return next(self._lines)

    def hear(self, line: Line, reply: str) -> bool:
        """Take the answer to ``line``. Returns whether it is right; after a wrong one the dialogue begins anew."""
        if listed := LISTED.match(reply):
            self._shelf.put(int(listed[1]), self.chat)
        right = line.right(reply)
        self._again = not right
        return right

    def _talk(self) -> Iterator[Line]:
        yield Line("/start", ("Welcome",))
        while True:
            yield from self._sale()
            yield Line("/browse", ("#", "Nothing is for sale"))
            number = self._shelf.take(self.chat)
            if number is not None:
                yield Line(f"/buy {number}", (f"You bought #{number}:",))
            yield Line("/mine", ("#",))

    def _sale(self) -> Iterator[Line]:
        self._listed += 1
        title = f"{self._run}-{self.chat}-{self._listed}"
        for text, answer in (
            ("/sell", "What do you sell?"),
            (title, f"And the price of {title}?"),
            (PRICE, "Listed #"),
        ):
            yield Line(text, (answer,))
            if self._again:
                return
