"""The stand-in delivers as Telegram does: against a webhook that counts, fails, hangs and hides."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, unused_port

from tests.support.botapi.registry import Registry
from tests.support.botapi.server import make_app

TOKEN = "123456:" + "A" * 35
# Fast enough for minutes to pass in a second, slow enough for a busy machine to answer within "60 seconds".
FACTOR = 60

Handler = Callable[[dict[str, Any]], Awaitable[web.Response]]


@dataclass
class Receiver:
    """A webhook. `answer` decides about each update; the rest is what it saw."""

    answer: Handler
    seen: list[dict[str, Any]] = field(default_factory=list)
    secrets: list[str | None] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.seen.append(body)
        self.secrets.append(request.headers.get("X-Telegram-Bot-Api-Secret-Token"))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self.answer(body)
        finally:
            self.at_once -= 1

    @property
    def texts(self) -> list[str]:
        return [update["message"]["text"] for update in self.seen]

    def server(self) -> TestServer:
        app = web.Application()
        app.router.add_post("/hook", self.handle)
        return TestServer(app)


async def ok(_: dict[str, Any]) -> web.Response:
    return web.Response()


def sequence(*statuses: int, **headers: str) -> Handler:
    """Answers with these statuses in turn, then with 200."""
    left = list(statuses)

    async def answer(_: dict[str, Any]) -> web.Response:
        return web.Response(status=left.pop(0), headers=headers) if left else web.Response()

    return answer


class Telegram:
    """The stand-in under test, with short words for its pages."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self.client = client

    async def call(self, method: str, **values: Any) -> dict[str, Any]:
        response = await self.client.post(f"/bot{TOKEN}/{method}", data=values)
        return dict(await response.json())

    async def result(self, method: str, **values: Any) -> Any:
        answer = await self.call(method, **values)
        assert answer["ok"], answer
        return answer["result"]

    async def control(self, page: str, **values: Any) -> dict[str, Any]:
        response = await self.client.post(f"/control/{page}", json=values)
        assert response.status == 200, await response.text()
        return dict(await response.json())

    async def look(self, page: str, **query: Any) -> dict[str, Any]:
        response = await self.client.get(f"/control/{page}", params=query)
        assert response.status == 200, await response.text()
        return dict(await response.json())

    async def say(self, text: str, chat_id: int = 1) -> int:
        return int((await self.control("say", text=text, chat_id=chat_id))["update_id"])

    async def settled(self) -> dict[str, Any]:
        """The figures, once nothing waits any more."""
        async with asyncio.timeout(30):
            while (stats := await self.look("stats"))["updates"]["pending"]:
                await asyncio.sleep(0.02)
        return stats

    async def attempts(self) -> list[dict[str, Any]]:
        deliveries = (await self.look("deliveries"))["deliveries"]
        return [attempt for delivery in deliveries for attempt in delivery["attempts"]]


@pytest.fixture
async def telegram() -> AsyncIterator[Telegram]:
    registry = Registry(factor=FACTOR, local=True, seed=1)
    async with TestClient(TestServer(make_app(registry))) as client:
        yield Telegram(client)


@pytest.fixture
async def hook(telegram: Telegram) -> AsyncIterator[Callable[..., Awaitable[Receiver]]]:
    servers: list[TestServer] = []

    async def start(answer: Handler = ok, **settings: Any) -> Receiver:
        receiver = Receiver(answer)
        server = receiver.server()
        await server.start_server()
        servers.append(server)
        async with asyncio.timeout(10):
            while not (await telegram.call("setWebhook", url=str(server.make_url("/hook")), **settings))[
                "ok"
            ]:
                await asyncio.sleep(0.02)  # Telegram takes one setWebhook a (virtual) second.
        return receiver

    yield start
    for server in servers:
        await server.close()


async def test_an_update_arrives_with_the_secret(telegram: Telegram, hook: Any) -> None:
    receiver = await hook(secret_token="s3cret")
    update_id = await telegram.say("/start")
    await telegram.settled()
    assert receiver.seen[0]["update_id"] == update_id
    assert receiver.seen[0]["message"]["entities"][0]["type"] == "bot_command"
    assert receiver.secrets == ["s3cret"]


async def test_setting_the_webhook_without_a_secret_clears_it(telegram: Telegram, hook: Any) -> None:
    first = await hook(secret_token="s3cret")
    await telegram.say("one")
    await telegram.settled()
    second = await hook()
    await telegram.say("two")
    await telegram.settled()
    assert (first.secrets, second.secrets) == (["s3cret"], [None])


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_any_2xx_ends_it(telegram: Telegram, hook: Any, status: int) -> None:
    receiver = await hook(sequence(status))
    await telegram.say("x")
    stats = await telegram.settled()
    assert len(receiver.seen) == 1
    assert stats["updates"]["delivered"] == 1


async def test_failures_repeat_at_once_then_after_2_4_and_8_seconds(telegram: Telegram, hook: Any) -> None:
    receiver = await hook(sequence(500, 503, 302, 404))
    await telegram.say("x")
    stats = await telegram.settled()
    assert len({update["update_id"] for update in receiver.seen}) == 1
    assert stats["attempts"] == {"500": 1, "503": 1, "302": 1, "404": 1, "200": 1}
    starts = [attempt["at"] - attempt["seconds"] for attempt in await telegram.attempts()]
    gaps = [(later - sooner) * FACTOR for sooner, later in pairwise(starts)]
    for gap, least in zip(gaps, (0, 2, 4, 8), strict=True):
        assert gap >= least - 0.2  # "at" is rounded to a millisecond.
    info = await telegram.result("getWebhookInfo")
    assert info["last_error_message"] == "Wrong response from the webhook: 404 Not Found"
    assert info["pending_update_count"] == 0


async def test_retry_after_is_obeyed(telegram: Telegram, hook: Any) -> None:
    await hook(sequence(503, **{"Retry-After": "30"}))
    await telegram.say("x")
    await telegram.settled()
    first, second = await telegram.attempts()
    assert (second["at"] - first["at"]) * FACTOR >= 29


async def test_a_chat_stays_in_order_while_others_go_on(telegram: Telegram, hook: Any) -> None:
    failures = 3

    async def stubborn(update: dict[str, Any]) -> web.Response:
        nonlocal failures
        if update["message"]["text"] == "a1" and failures:
            failures -= 1
            return web.Response(status=500)
        return web.Response()

    receiver = await hook(stubborn)
    for text, chat in (("a1", 1), ("a2", 1), ("a3", 1), ("b1", 2)):
        await telegram.say(text, chat)
    await telegram.settled()
    assert [text for text in receiver.texts if text[0] == "a"] == ["a1"] * 4 + ["a2", "a3"]
    assert receiver.texts.index("b1") < len(receiver.texts) - 1


async def test_no_more_than_max_connections_at_once(telegram: Telegram, hook: Any) -> None:
    async def slow(_: dict[str, Any]) -> web.Response:
        await asyncio.sleep(0.03)
        return web.Response()

    receiver = await hook(slow, max_connections="3")
    for chat in range(12):
        await telegram.say("x", chat + 1)
    await telegram.settled()
    assert receiver.most_at_once == 3


async def test_a_minute_without_an_answer_is_a_failure(telegram: Telegram, hook: Any) -> None:
    hang = True

    async def once(_: dict[str, Any]) -> web.Response:
        nonlocal hang
        if hang:
            hang = False
            await asyncio.Event().wait()
        return web.Response()

    receiver = await hook(once)
    await telegram.say("x")
    stats = await telegram.settled()
    assert len(receiver.seen) == 2
    assert stats["attempts"] == {"closed": 1, "200": 1}
    assert (await telegram.result("getWebhookInfo"))["last_error_message"] == "Read timeout expired"


async def test_a_button_press_is_lost_after_150_seconds(telegram: Telegram, hook: Any) -> None:
    await telegram.control("time", factor=1000)

    async def never(_: dict[str, Any]) -> web.Response:
        return web.Response(status=500)

    receiver = await hook(never)
    await telegram.control("press", data="buy:1", chat_id=1)
    stats = await telegram.settled()
    assert stats["updates"]["dropped"] == 1
    assert receiver.seen[0]["callback_query"]["data"] == "buy:1"
    assert 5 <= len(receiver.seen) <= 8


async def test_a_closed_port_is_no_failure_of_the_update(telegram: Telegram) -> None:
    receiver = Receiver(ok)
    port = unused_port()
    await telegram.result("setWebhook", url=f"http://127.0.0.1:{port}/hook")
    await telegram.say("x")
    async with asyncio.timeout(30):
        while (await telegram.look("stats"))["attempts"].get("connection", 0) < 3:
            await asyncio.sleep(0.02)
    assert (await telegram.result("getWebhookInfo"))["pending_update_count"] == 1
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    server = TestServer(app, port=port)
    await server.start_server()
    try:
        await telegram.settled()
    finally:
        await server.close()
    assert receiver.texts == ["x"]


async def test_a_method_in_the_answer_is_executed(telegram: Telegram, hook: Any) -> None:
    async def reply(update: dict[str, Any]) -> web.Response:
        return web.json_response(
            {"method": "sendMessage", "chat_id": update["message"]["chat"]["id"], "text": "hi"}
        )

    await hook(reply)
    answer = await telegram.control("say", text="/start", chat_id=7, wait=10)
    (sent,) = answer["replies"]
    assert (sent["chat_id"], sent["text"], sent["via"]) == (7, "hi", "webhook")
    assert sent["update_id"] == answer["update_id"]


async def test_a_get_or_set_webhook_in_the_answer_is_not_executed(telegram: Telegram, hook: Any) -> None:
    async def reply(_: dict[str, Any]) -> web.Response:
        return web.json_response({"method": "deleteWebhook"})

    await hook(reply)
    await telegram.say("x")
    await telegram.settled()
    assert (await telegram.result("getWebhookInfo"))["url"]


async def test_410_for_a_day_deletes_the_webhook(telegram: Telegram, hook: Any) -> None:
    async def gone(_: dict[str, Any]) -> web.Response:
        return web.Response(status=410)

    receiver = await hook(gone)
    await telegram.say("x")
    async with asyncio.timeout(30):
        while not receiver.seen:
            await asyncio.sleep(0.02)
    assert (await telegram.result("getWebhookInfo"))["url"]
    await telegram.control("time", advance=23 * 3600)
    async with asyncio.timeout(30):
        while (await telegram.result("getWebhookInfo"))["url"]:
            await asyncio.sleep(0.05)


async def test_updates_wait_for_a_webhook_and_can_be_dropped(telegram: Telegram, hook: Any) -> None:
    await telegram.result("getMe")
    await telegram.say("old")
    assert (await telegram.result("getWebhookInfo"))["pending_update_count"] == 1
    receiver = await hook(drop_pending_updates="true")
    await telegram.say("new")
    await telegram.settled()
    assert receiver.texts == ["new"]


async def test_a_kind_that_was_not_asked_for_never_comes(telegram: Telegram, hook: Any) -> None:
    await hook(allowed_updates='["callback_query"]')
    response = await telegram.client.post("/control/say", json={"text": "x"})
    assert (response.status, (await response.json())["error"]) == (
        400,
        "the bot's allowed_updates leave out message",
    )
    info = await telegram.result("getWebhookInfo")
    assert info["allowed_updates"] == ["callback_query"]


async def test_a_load_is_delivered_and_measured(telegram: Telegram, hook: Any) -> None:
    receiver = await hook()
    load = await telegram.control("load", count=50, rate=500, chats=5, texts=["/browse", "/mine"])
    async with asyncio.timeout(30):
        while (progress := await telegram.look(f"load/{load['id']}"))["stats"]["updates"]["delivered"] < 50:
            await asyncio.sleep(0.02)
    assert progress["stats"]["attempts"] == {"200": 50}
    assert progress["stats"]["delivery_ms"]["p99"] > 0
    assert sorted(set(receiver.texts)) == ["/browse", "/mine"]


def self_signed(directory: Path, name: str) -> tuple[bytes, ssl.SSLContext]:
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-days", "2"]
    subprocess.run([*argv, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return certificate.read_bytes(), context


@pytest.mark.parametrize(
    ("uploaded", "host", "arrives"),
    [("localhost", "localhost", True), (None, "localhost", False), ("other.test", "localhost", False)],
)
async def test_tls_is_verified_against_the_uploaded_certificate(
    telegram: Telegram, tmp_path: Path, uploaded: str | None, host: str, arrives: bool
) -> None:
    served, context = self_signed(tmp_path, host)
    receiver = Receiver(ok)
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    form = aiohttp.FormData({"url": f"https://{host}:{server.port}/hook"})
    if uploaded:
        certificate = served if uploaded == host else self_signed(tmp_path, uploaded)[0]
        form.add_field("certificate", certificate, filename="cert.pem")
    try:
        response = await telegram.client.post(f"/bot{TOKEN}/setWebhook", data=form)
        assert (await response.json())["ok"]
        info = await telegram.result("getWebhookInfo")
        assert info["has_custom_certificate"] is bool(uploaded)
        await telegram.say("x")
        if arrives:
            await telegram.settled()
        else:
            async with asyncio.timeout(30):
                while "last_error_message" not in (info := await telegram.result("getWebhookInfo")):
                    await asyncio.sleep(0.02)
            assert "certificate" in info["last_error_message"].lower()
    finally:
        await server.close()
    assert bool(receiver.seen) is arrives
