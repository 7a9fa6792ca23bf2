"""The stand-in's methods answer as the Bot API does, its errors included."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.support.botapi.registry import Registry
from tests.support.botapi.server import make_app

TOKEN = "123456:" + "A" * 35


@pytest.fixture
async def client() -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(make_app(Registry(factor=100)))) as client:
        yield client


async def call(
    client: TestClient[Any, Any], method: str, token: str = TOKEN, **values: Any
) -> dict[str, Any]:
    response = await client.post(f"/bot{token}/{method}", json=values)
    return {"status": response.status, **await response.json()}


async def say(client: TestClient[Any, Any], text: str, chat_id: int = 1) -> int:
    response = await client.post("/control/say", json={"text": text, "chat_id": chat_id})
    return int((await response.json())["update_id"])


async def test_get_me(client: TestClient[Any, Any]) -> None:
    assert (await call(client, "getMe"))["result"]["id"] == 123456
    assert (await call(client, "getme"))["ok"]
    assert (await call(client, "noSuchThing"))["status"] == 404
    assert (await call(client, "getMe", token="1:short"))["status"] == 401


@pytest.mark.parametrize(
    ("values", "description"),
    [
        ({"url": "http://bot.test/h"}, "An HTTPS URL must be provided for webhook"),
        ({"url": "https://bot.test:8080/h"}, "Webhook can be set up only on ports 80, 88, 443 or 8443"),
        ({"url": "https://no-such-host.invalid/h"}, "Failed to resolve host"),
        (
            {"url": "https://127.0.0.1/h", "secret_token": "no spaces"},
            "secret token contains unallowed characters",
        ),
        ({"url": "https://127.0.0.1/h", "secret_token": "x" * 257}, "secret token is too long"),
        ({"url": "https://"}, "invalid webhook URL specified"),
    ],
)
async def test_a_bad_webhook_is_refused(
    client: TestClient[Any, Any], values: dict[str, str], description: str
) -> None:
    answer = await call(client, "setWebhook", **values)
    assert answer["status"] == 400
    assert description in answer["description"]
    assert (await call(client, "getWebhookInfo"))["result"]["url"] == ""


async def test_setting_the_webhook_twice_in_a_second_is_too_much(client: TestClient[Any, Any]) -> None:
    await client.post("/control/time", json={"factor": 0.001})
    assert (await call(client, "setWebhook", url="https://127.0.0.1/h"))["ok"]
    answer = await call(client, "setWebhook", url="https://127.0.0.1/h")
    assert (answer["error_code"], answer["parameters"]) == (429, {"retry_after": 1})
    assert (await call(client, "deleteWebhook"))["ok"]


async def test_polling_and_a_webhook_exclude_each_other(client: TestClient[Any, Any]) -> None:
    assert (await call(client, "setWebhook", url="https://127.0.0.1/h"))["ok"]
    answer = await call(client, "getUpdates")
    assert answer["error_code"] == 409
    assert "webhook is active" in answer["description"]
    await call(client, "deleteWebhook")
    assert (await call(client, "getUpdates"))["result"] == []


async def test_two_pollers_get_409(client: TestClient[Any, Any]) -> None:
    await client.post("/control/time", json={"factor": 1})
    first = asyncio.create_task(call(client, "getUpdates", timeout=30))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(call(client, "getUpdates", timeout=30))
    answer = await asyncio.wait_for(first, 5)
    assert answer["error_code"] == 409
    assert "terminated by other getUpdates request" in answer["description"]
    update_id = await say(client, "x")
    assert [update["update_id"] for update in (await second)["result"]] == [update_id]


async def test_an_offset_confirms_what_came_before(client: TestClient[Any, Any]) -> None:
    await call(client, "getMe")
    first, second = await say(client, "a", 1), await say(client, "b", 2)
    assert [u["update_id"] for u in (await call(client, "getUpdates"))["result"]] == [first, second]
    assert [u["update_id"] for u in (await call(client, "getUpdates", offset=second))["result"]] == [second]
    assert (await call(client, "getWebhookInfo"))["result"]["pending_update_count"] == 1


@pytest.mark.parametrize(
    ("values", "description"),
    [
        ({"chat_id": 1}, "message text is empty"),
        ({"chat_id": 1, "text": " "}, "message text is empty"),
        ({"chat_id": 1, "text": "x" * 4097}, "message is too long"),
        ({"text": "x"}, "chat_id is empty"),
        ({"chat_id": "@nobody", "text": "x"}, "chat not found"),
    ],
)
async def test_a_message_that_telegram_would_not_take(
    client: TestClient[Any, Any], values: dict[str, Any], description: str
) -> None:
    answer = await call(client, "sendMessage", **values)
    assert answer["status"] == 400
    assert description in answer["description"]


async def test_what_the_bot_says_can_be_waited_for(client: TestClient[Any, Any]) -> None:
    await call(client, "getMe")
    query = {"chat_id": "5", "contains": "Sold", "wait": "10"}
    waiting = asyncio.create_task(client.get("/control/messages", params=query))
    await asyncio.sleep(0.02)
    await call(client, "sendMessage", chat_id=5, text="Hello")
    await call(client, "sendMessage", chat_id=6, text="Sold")
    assert not waiting.done()
    await call(client, "sendMessage", chat_id=5, text="Sold #1")
    found = (await (await waiting).json())["messages"]
    assert [(sent["text"], sent["via"]) for sent in found] == [("Sold #1", "api")]


async def test_failures_can_be_ordered(client: TestClient[Any, Any]) -> None:
    await call(client, "getMe")
    fault = {"method": "sendMessage", "error_code": 429, "retry_after": 3, "times": 2}
    assert (await client.post("/control/faults", json=fault)).status == 200
    for _ in range(2):
        answer = await call(client, "sendMessage", chat_id=1, text="x")
        assert (answer["status"], answer["parameters"]) == (429, {"retry_after": 3})
    assert (await call(client, "sendMessage", chat_id=1, text="x"))["ok"]


async def test_a_user_can_block_the_bot(client: TestClient[Any, Any]) -> None:
    await call(client, "getMe")
    await client.post("/control/block", json={"chat_id": 1})
    assert (await call(client, "sendMessage", chat_id=1, text="x"))["status"] == 403
    await client.post("/control/reset", json={})
    assert (await call(client, "sendMessage", chat_id=1, text="x"))["ok"]


async def test_a_button_can_be_answered_once(client: TestClient[Any, Any]) -> None:
    await call(client, "getMe")
    await client.post("/control/press", json={"chat_id": 1, "data": "x"})
    query = (await call(client, "getUpdates"))["result"][0]["callback_query"]["id"]
    assert (await call(client, "answerCallbackQuery", callback_query_id=query))["ok"]
    assert (await call(client, "answerCallbackQuery", callback_query_id=query))["status"] == 400


@pytest.mark.parametrize(
    ("page", "body", "words"),
    [
        ("say", {}, "text is missing"),
        ("say", {"text": "x", "chat_id": "abc"}, "abc"),
        ("load", {"count": 0, "rate": 1}, "count must be 1 to"),
        ("time", {"factor": 0}, "above zero"),
        ("reset", {"token": "9:x"}, "no bot with this token"),
    ],
)
async def test_a_wrong_control_request_says_why(
    client: TestClient[Any, Any], page: str, body: dict[str, Any], words: str
) -> None:
    await call(client, "getMe")
    response = await client.post(f"/control/{page}", json=body)
    assert response.status == 400
    assert words in (await response.json())["error"]


async def test_control_without_a_bot_says_so(client: TestClient[Any, Any]) -> None:
    response = await client.get("/control/stats")
    assert "there are 0 bots" in (await response.json())["error"]
