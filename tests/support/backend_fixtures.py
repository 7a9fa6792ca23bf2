"""The example backend's stack for tests of its contract, and updates made by hand: as tests/functional has them, and
tests/soak for those that take long.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest

from tests.support.backend_stack import HOOK_SECRET, PORT, Backend, Stack, wait_until
from tests.support.droplet import host
from tests.support.droplet.progress import Progress
from tests.support.droplet.site import Site, names

HEADERS = {"X-Telegram-Bot-Api-Secret-Token": HOOK_SECRET, "Content-Type": "application/json"}

# Users that only these hand-made updates speak for: their numbers are far below the stand-in's, and for one user
# numbers must not go down.
HAND_MADE = 1000
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """PostgreSQL, Redis and the stand-in on a site of their own, whatever other sites there are."""
    progress = Progress(sys.__stderr__)
    before = host.started_by_us()
    client = host.ensure(progress.note)
    site = Site(f"example-{os.getpid()}", client, progress.note)
    try:
        yield Stack(site)
    finally:
        site.destroy()
        others = names(client)
        client.close()
        if before is None and not others:
            host.stop()


@pytest.fixture
def empty(stack: Stack) -> Iterator[Stack]:
    """No tables, no backends. What a test stopped runs again afterwards."""
    stack.clear()
    yield stack
    stack.restore()


@pytest.fixture
def blue(stack: Stack) -> Iterator[Backend]:
    """Version 1.0.0 with an empty database, ready, Telegram's webhook pointing at it.

    The one of the test before, where that left it and its schema as they were: a start costs seconds.
    """
    yield stack.first_release()
    stack.restore()


def update(text: str, user: int = HAND_MADE, update_id: int | None = None) -> bytes:
    """A message as Telegram posts it, with a new number unless one is given."""
    update_id = update_id or next(numbers)
    chat = {"id": user, "type": "private"}
    sender = {"id": user, "is_bot": False, "first_name": "Ann"}
    message = {"message_id": update_id, "date": int(time.time()), "chat": chat, "from": sender, "text": text}
    return json.dumps({"update_id": update_id, "message": message}).encode()


def post(backend: Backend, body: bytes) -> tuple[int, Any]:
    """Post an update as Telegram does: status and decoded answer."""
    connection = HTTPConnection(backend.address(), PORT, timeout=60)
    try:
        connection.request("POST", "/telegram/webhook", body, HEADERS)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def assert_not_ready(stack: Stack, variant: str) -> None:
    """A version of this variant, ``crash`` or ``never-ready``, never says that it is ready; and why."""
    stack.migrate(stack.image())
    green = stack.start(stack.image("1.0.1", variant), "green")
    if variant == "crash":
        assert green.container.wait(timeout=60)["StatusCode"] == 1
        (line,) = green.lines()
        assert "RuntimeError: this variant crashes at start" in line["exception"]
    else:
        wait_until(lambda: green.page("/health/live")[0] == 200, "alive", 90)
        assert not green.ready
        assert 'relation "forgotten" does not exist' in green.page("/health/ready")[1]["checks"]["database"]
