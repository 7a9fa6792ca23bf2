"""Faults on a droplet, made and ended: each has to be told in the operators' chat, and that it is over as well."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.botapi.client import BotApi
from tests.support.droplet.droplets import Droplet
from tests.support.waiting import seconds_until

Note = Callable[[str], None]
TOLD, OVER = 180, 180


@dataclass(frozen=True)
class Fault:
    """A fault, and the alert that it brings.

    Attributes:
        alert: its name.
        words: of the message that tells of it, and of the one that it is over.
        make, end: how it is made and ended: by a shell script on the droplet.
        over: whether somebody is told that it is over.
    """

    alert: str
    words: str
    make: str = ""
    end: str = ""
    over: bool = True


class News:
    """What arrives in the operators' chat from some moment on."""

    def __init__(self, bot: BotApi) -> None:
        self.bot = bot
        messages = bot.messages()
        self.after = messages[-1]["sequence"] if messages else 0

    def wait(self, words: str, limit: float, over: bool = False) -> float:
        """When it was told that something is so, or is over. It has to be within ``limit`` seconds."""
        found: list[float] = []

        def arrived() -> bool:
            found[:] = [
                float(message["at"])
                for message in self.bot.messages(after=self.after)
                for line in message["text"].splitlines()
                if words in line and line.startswith("over: ") is over
            ]
            return bool(found)

        try:
            seconds_until(arrived, limit)
        except AssertionError:
            texts = [message["text"] for message in self.bot.messages(after=self.after)]
            raise AssertionError(
                f"nobody was told {'that it is over' if over else 'of it'} within {limit:g} s: {words!r}, but {texts}"
            ) from None
        return found[0]


def script(droplet: Droplet, text: str) -> None:
    droplet.run(["sh", "-c", text], timeout=120)


def prove(droplet: Droplet, news: News, note: Note, *faults: Fault) -> None:
    """Make all faults at once, see that each is told, end them, and see that this is told as well."""
    begun = time.time()
    told: dict[str, float] = {}
    try:
        for fault in faults:
            script(droplet, fault.make or "true")
        for fault in faults:
            told[fault.words] = news.wait(fault.words, TOLD) - begun
    finally:
        for fault in faults:
            script(droplet, fault.end or "true")
    ended = time.time()
    for fault in faults:
        row = f"{fault.alert}: told after {told[fault.words]:.0f} s"
        if fault.over:
            row += f", and that it is over after {max(0.0, news.wait(fault.words, OVER, over=True) - ended):.0f} s"
        note(row)
