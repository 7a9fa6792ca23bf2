"""What the example backend answers to Telegram, whatever becomes of the update."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from marketplace_bot import webhook
from marketplace_bot.webhook import SECRET_HEADER, Webhook
from redis.exceptions import ConnectionError as RedisGone
from sqlalchemy.exc import DBAPIError, ProgrammingError

Process = Callable[[dict[str, Any]], Awaitable[dict[str, Any] | None]]
GOOD = {SECRET_HEADER: "secret"}


async def post(
    process: Process, headers: dict[str, str] = GOOD, body: str = '{"update_id": 5}'
) -> tuple[Any, Any]:
    app = web.Application()
    app.router.add_post("/hook", Webhook(process, "secret").handle)
    async with TestClient(TestServer(app)) as client:
        response = await client.post("/hook", data=body, headers=headers)
        return response, await response.json()


def failing(error: BaseException) -> Process:
    async def process(_: dict[str, Any]) -> None:
        raise error

    return process


class PostgresError(Exception):
    def __init__(self, sqlstate: str) -> None:
        self.sqlstate = sqlstate


async def test_answers_with_the_reply() -> None:
    async def process(raw: dict[str, Any]) -> dict[str, Any]:
        return {"method": "sendMessage", "text": str(raw["update_id"])}

    response, body = await post(process)
    assert (response.status, body["text"]) == (200, "5")


@pytest.mark.parametrize(
    "headers", [{}, {SECRET_HEADER: "wrong"}, {SECRET_HEADER: ""}, {SECRET_HEADER: "sécret"}]
)
async def test_a_wrong_secret_is_refused_before_the_body_is_read(headers: dict[str, str]) -> None:
    response, _ = await post(failing(AssertionError("processed")), headers)
    assert response.status == 403


@pytest.mark.parametrize("body", ["", "x", "[]", "{}", '{"update_id": "5"}', '{"update_id": true}', "\udcff"])
async def test_what_is_no_update_is_refused(body: str) -> None:
    response, _ = await post(failing(AssertionError("processed")), body=body.encode(errors="surrogateescape"))  # type: ignore[arg-type]
    assert response.status == 400


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        TimeoutError(),
        RedisGone("away"),
        DBAPIError("x", None, PostgresError("57P01")),
        DBAPIError("x", None, PostgresError("40001")),
        DBAPIError("x", None, PostgresError("00000"), connection_invalidated=True),
    ],
    ids=repr,
)
async def test_a_passing_failure_asks_telegram_to_come_back_soon(error: Exception) -> None:
    response, _ = await post(failing(error))
    assert response.status == 503
    assert response.headers["Retry-After"] == "3"


@pytest.mark.parametrize(
    "error", [KeyError("bug"), ProgrammingError("x", None, PostgresError("42P01"))], ids=repr
)
async def test_a_bug_keeps_the_update_at_telegram(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    response, _ = await post(failing(error))
    assert response.status == 500
    assert [record for record in caplog.records if record.message == "update failed" and record.exc_info]


async def test_an_update_that_hangs_is_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", 0.05)

    async def process(_: dict[str, Any]) -> None:
        await asyncio.Event().wait()

    response, _ = await post(process)
    assert response.status == 503
