"""The generator against a TLS server of the test's own: every request is logged, and what failed is sent again."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.droplet.certificates import Authority
from tests.support.load.entry import Entry, parse
from tests.support.load.generator import NO_CONNECTION_SECONDS, generate, pause, text_of
from tests.support.load.wire import Answer, Broken, read_answer

SECRET = "the-webhooks-own"


class Bot:
    """A webhook that welcomes everybody. ``plan``: what becomes of the first requests (a status, "cut" or "close")."""

    def __init__(self, *plan: int | str) -> None:
        self.plan = list(plan)
        self.seen: list[dict[str, Any]] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["X-Telegram-Bot-Api-Secret-Token"] == SECRET
        self.seen.append(await request.json())
        fate = self.plan.pop(0) if self.plan else 200
        if fate == "cut":
            assert request.transport is not None
            request.transport.close()
        if fate == "close":
            response = web.json_response({"method": "sendMessage", "text": "Welcome"})
            response.force_close()
            return response
        if fate != 200:
            return web.json_response(
                {}, status=fate if isinstance(fate, int) else 500, headers={"Retry-After": "0"}
            )
        return web.json_response({"method": "sendMessage", "text": "Welcome, Load!"})


@pytest.fixture
async def bot() -> Bot:
    return Bot()


@pytest.fixture
async def server(bot: Bot, tmp_path: Path) -> AsyncIterator[tuple[int, str]]:
    """Port and authority of a server that asks ``bot``."""
    authority = Authority.at(tmp_path, "test")
    certificate, key = authority.issue("bot.test")
    (tmp_path / "pair.pem").write_bytes(certificate + key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "pair.pem")
    app = web.Application()
    app.router.add_post("/telegram/webhook", bot.handle)
    served = TestServer(app, scheme="https", host="127.0.0.1")
    await served.start_server(ssl=context)
    yield int(served.port or 0), authority.certificate.decode()
    await served.close()


async def run(
    tmp_path: Path, server: tuple[int, str], bot: Bot, requests: int, clients: int = 1
) -> list[Entry]:
    """The log of a run that is stopped once ``bot`` has seen so many requests."""
    (tmp_path / "secret").write_text(SECRET)
    plan = {
        "address": "127.0.0.1", "port": server[0], "name": "bot.test", "authority": server[1],
        "path": "/telegram/webhook", "secret": str(tmp_path / "secret"), "clients": clients, "rate": 50,
        "first_update": 1000, "first_chat": 6000, "run": "run", "log": str(tmp_path / "log"),
        "stop": str(tmp_path / "stop"), "seconds": 20,
    }  # fmt: skip
    generating = asyncio.create_task(generate(plan))
    while len(bot.seen) < requests and not generating.done():
        await asyncio.sleep(0.01)
    (tmp_path / "stop").touch()
    await generating
    return parse((tmp_path / "log").read_text())


async def test_each_client_keeps_its_connection_and_its_chat(
    tmp_path: Path, server: tuple[int, str], bot: Bot
) -> None:
    entries = await run(tmp_path, server, bot, 12, clients=3)
    assert [entry.connection for entry in entries].count("new") == 3
    assert {entry.chat for entry in entries} == {6000, 6001, 6002}
    ids = [update["update_id"] for update in bot.seen]
    assert sorted(ids) == sorted(set(ids)) == list(range(1000, 1000 + len(ids)))
    assert {update["message"]["chat"]["id"] for update in bot.seen} == {6000, 6001, 6002}
    assert all(entry.ok and entry.attempt == 1 for entry in entries)
    assert entries[0].reply == "Welcome, Load!"
    # This bot welcomes whatever it is told.
    assert {entry.text: entry.right for entry in entries}["/sell"] is False


@pytest.mark.parametrize(
    ("fate", "status", "error", "connection"),
    [(503, 503, "", "reused"), ("cut", None, "answer: ", "new")],
)
async def test_failed_request_is_logged_and_sent_again(
    tmp_path: Path,
    server: tuple[int, str],
    bot: Bot,
    fate: int | str,
    status: int | None,
    error: str,
    connection: str,
) -> None:
    bot.plan = [fate]
    first, second, *_ = await run(tmp_path, server, bot, 3)
    assert (first.status, first.ok, first.attempt) == (status, False, 1)
    assert first.error.startswith(error)
    assert (second.update_id, second.attempt, second.ok) == (first.update_id, 2, True)
    assert second.connection == connection
    assert bot.seen[0] == bot.seen[1]


async def test_connection_that_the_server_closes_after_its_answer_is_made_anew(
    tmp_path: Path, server: tuple[int, str], bot: Bot
) -> None:
    bot.plan = ["close"]
    entries = await run(tmp_path, server, bot, 3)
    assert [(entry.ok, entry.connection) for entry in entries[:3]] == [
        (True, "new"),
        (True, "new"),
        (True, "reused"),
    ]


async def test_stop_waits_for_what_is_not_answered_yet(
    tmp_path: Path, server: tuple[int, str], bot: Bot
) -> None:
    bot.plan = [502, 502]
    entries = await run(tmp_path, server, bot, 1)
    assert [(entry.update_id, entry.ok) for entry in entries] == [(1000, False), (1000, False), (1000, True)]


async def test_another_certificate_is_not_trusted(tmp_path: Path, server: tuple[int, str], bot: Bot) -> None:
    other = tmp_path / "other"
    other.mkdir()
    stranger = Authority.at(other, "another").certificate.decode()
    task = asyncio.create_task(run(tmp_path, (server[0], stranger), bot, 1))
    log = tmp_path / "log"
    while not (log.exists() and log.read_text()):
        await asyncio.sleep(0.01)
    task.cancel()
    assert "CERTIFICATE_VERIFY_FAILED" in parse(log.read_text())[0].error
    assert bot.seen == []


class Never:
    """Attempts that must not be asked."""

    def fail(self, *_: object) -> bool:
        raise AssertionError


def test_server_that_is_not_there_is_asked_again_after_telegrams_pause() -> None:
    assert pause(Answer(None, connected=False), Never()) == NO_CONNECTION_SECONDS  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "text"), [(b'{"text": "Hi"}', "Hi"), (b"{}", ""), (b"[]", ""), (b"<html>", ""), (b"", "")]
)
def test_text_of_an_answer(body: bytes, text: str) -> None:
    assert text_of(body) == text


def stream(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def test_answer_in_chunks() -> None:
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    assert (await read_answer(stream(data)))[2] == b"abcde"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(Broken):
        await read_answer(stream(data))


async def test_answer_that_ends_early_is_no_answer() -> None:
    with pytest.raises(asyncio.IncompleteReadError):
        await read_answer(stream(json.dumps({}).encode()))
    with pytest.raises(asyncio.IncompleteReadError):
        await read_answer(stream(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"))
