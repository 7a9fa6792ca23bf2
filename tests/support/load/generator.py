"""The process on the neighbour: ``python3 -m tests.support.load.generator PLAN.json``. Standard library only.

The plan: ``address``, ``port``, ``name``, ``authority`` (PEM of whom to trust), ``path``, ``secret`` (file with the
webhook's), ``clients``, ``rate`` (updates a second and client), ``first_update``, ``first_chat``, ``run``, ``log``,
``stop`` (a file: when it is there, each client finishes what it is at and ends), ``seconds`` (at most so long).

A failed request is logged as failed, and then sent again as Telegram does it, with the same update_id.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from tests.support.botapi.retry import MESSAGE_SECONDS, Attempts

from .conversation import Line, Shelf, User
from .entry import Entry
from .wire import Answer, Connection

NO_CONNECTION_SECONDS = 2.0
"""Telegram's pause before it tries to connect again."""
LOOK_SECONDS = 0.1
REPLY_CHARACTERS = 200


class Run:
    """What all clients share."""

    def __init__(self, plan: dict[str, Any], log: TextIO) -> None:
        self.plan = plan
        self.log = log
        self.path = str(plan["path"])
        secret = Path(plan["secret"]).read_text().strip()
        if not secret:
            raise ValueError(f"{plan['secret']} is empty: expected the webhook's secret")
        self.headers = {"Content-Type": "application/json", "X-Telegram-Bot-Api-Secret-Token": secret}
        # One sequence for all: the dialogue's store refuses an update older than the last it saw of that chat.
        self.ids: Iterator[int] = itertools.count(int(plan["first_update"]))
        self.shelf = Shelf()
        self.stopped = asyncio.Event()
        self.tls = ssl.create_default_context(cadata=plan["authority"])
        # The local certificate is its own authority.
        self.tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self.tls.verify_flags &= ~ssl.VERIFY_X509_STRICT

    async def watch(self) -> None:
        """Wait until the stop file is there or the time is up."""
        ends = time.monotonic() + float(self.plan["seconds"])
        stop = Path(self.plan["stop"])
        while not stop.exists() and time.monotonic() < ends:
            await asyncio.sleep(LOOK_SECONDS)
        self.stopped.set()


class Client:
    """One user at one connection."""

    def __init__(self, run: Run, number: int) -> None:
        plan = run.plan
        self._run = run
        self._period = 1 / float(plan["rate"])
        self._phase = self._period * number / int(plan["clients"])
        self._user = User(int(plan["first_chat"]) + number, str(plan["run"]), run.shelf)
        self._connection = Connection(plan["address"], int(plan["port"]), plan["name"], run.tls)

    async def talk(self) -> None:
        """Say one line after the other, at the pace, until told to stop."""
        due = time.monotonic() + self._phase
        while not await self._waited(due - time.monotonic()):
            await self._say(self._user.next())
            due = max(due + self._period, time.monotonic())
        self._connection.close()

    async def _say(self, line: Line) -> None:
        """Send one line until it is answered, even if that is after the stop: an update is never given up."""
        update_id = next(self._run.ids)
        body = json.dumps({"update_id": update_id, "message": self._message(line.text)}).encode()
        attempts = Attempts(expires_at=time.monotonic() + MESSAGE_SECONDS, wake_at=time.monotonic())
        for attempt in itertools.count(1):
            started, clock = time.time(), time.monotonic()
            answer = await self._connection.post(self._run.path, body, self._run.headers)
            milliseconds = (time.monotonic() - clock) * 1000
            entry = self._entry(update_id, line, attempt, started, milliseconds, answer)
            self._run.log.write(entry.line())
            if entry.ok:
                return
            await asyncio.sleep(pause(answer, attempts))

    def _entry(
        self, update_id: int, line: Line, attempt: int, started: float, milliseconds: float, answer: Answer
    ) -> Entry:
        ok = answer.status is not None and 200 <= answer.status <= 299
        reply = text_of(answer.body) if ok else answer.body.decode(errors="replace").strip()
        return Entry(
            update_id=update_id, chat=self._user.chat, text=line.text, attempt=attempt, start=round(started, 4),
            ms=round(milliseconds, 2), status=answer.status, error=answer.error,
            connection="new" if answer.new else "reused", reply=reply[:REPLY_CHARACTERS],
            right=self._user.hear(line, reply) if ok else True,
        )  # fmt: skip

    def _message(self, text: str) -> dict[str, Any]:
        chat = self._user.chat
        message: dict[str, Any] = {
            "message_id": 1,
            "date": int(time.time()),
            "chat": {"id": chat, "type": "private", "first_name": "Load"},
            "from": {"id": chat, "is_bot": False, "first_name": "Load", "language_code": "en"},
            "text": text,
        }
        if text.startswith("/"):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
        return message

    async def _waited(self, seconds: float) -> bool:
        """Wait so long; True as soon as everything is to stop."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return self._run.stopped.is_set()
        try:
            async with asyncio.timeout(seconds):
                await self._run.stopped.wait()
        except TimeoutError:
            return False
        return True


def pause(answer: Answer, attempts: Attempts) -> float:
    """Seconds until a failed request is sent again, by Telegram's rules."""
    if not answer.connected:
        return NO_CONNECTION_SECONDS
    now = time.monotonic()
    attempts.fail(now, answer.retry_after, random.Random())  # noqa: S311 - jitter, not a secret
    return max(0.0, attempts.wake_at - now)


def text_of(body: bytes) -> str:
    """What the bot says in the answer; nothing when it says nothing."""
    try:
        document = json.loads(body)
    except ValueError:
        return ""
    return str(document.get("text", "")) if isinstance(document, dict) else ""


async def generate(plan: dict[str, Any]) -> None:
    """Run the plan to its end.

    Raises:
        OSError: a file of the plan cannot be read or written.
        KeyError, ValueError: the plan is not whole, or the secret is empty.
    """
    with Path(plan["log"]).open("w", buffering=1) as log:
        run = Run(plan, log)
        async with asyncio.TaskGroup() as group:
            group.create_task(run.watch())
            for number in range(int(plan["clients"])):
                group.create_task(Client(run, number).talk())


if __name__ == "__main__":
    asyncio.run(generate(json.loads(Path(sys.argv[1]).read_text())))
