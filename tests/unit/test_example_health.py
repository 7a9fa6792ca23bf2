"""The example backend's health pages and its drain."""

import asyncio
import json
import time
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from marketplace_bot import health
from marketplace_bot.config import Identity
from marketplace_bot.health import Check, Health
from marketplace_bot.server import InFlight

IDENTITY = Identity(version="1.0.0", release="r7", colour="green", environment="test", build="1.0.0")


async def fine() -> None:
    pass


async def refused() -> None:
    raise ConnectionRefusedError("10.213.20.10")


async def ready(**checks: Check) -> tuple[int, dict[str, Any]]:
    response = await Health(IDENTITY, checks).ready(make_mocked_request("GET", "/"))
    return response.status, json.loads(response.text or "")


async def test_ready_when_every_check_is_ok() -> None:
    assert await ready(database=fine, redis=fine) == (
        200,
        {"status": "ready", "checks": {"database": "ok", "redis": "ok"}},
    )


async def test_not_ready_names_the_check_and_why() -> None:
    status, body = await ready(database=refused, redis=fine)
    assert status == 503
    assert body["checks"] == {"database": "ConnectionRefusedError: 10.213.20.10", "redis": "ok"}


async def test_a_check_that_hangs_does_not_hang_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_SECONDS", 0.05)
    status, body = await ready(database=fine, redis=asyncio.Event().wait)
    assert (status, body["checks"]["redis"]) == (503, "no answer in 0.05 s")


async def test_many_askers_share_one_look() -> None:
    looks = 0

    async def count() -> None:
        nonlocal looks
        looks += 1

    page = Health(IDENTITY, {"database": count})
    await asyncio.gather(*(page.ready(make_mocked_request("GET", "/")) for _ in range(20)))
    assert looks == 1


async def test_draining_is_not_ready() -> None:
    page = Health(IDENTITY, {"database": fine})
    page.draining = True
    response = await page.ready(make_mocked_request("GET", "/"))
    assert response.status == 503
    assert json.loads(response.text or "")["status"] == "draining"


async def test_version_says_who_answers() -> None:
    response = await Health(IDENTITY, {}).version(make_mocked_request("GET", "/"))
    assert json.loads(response.text or "") == {
        "version": "1.0.0",
        "release": "r7",
        "colour": "green",
        "build": "1.0.0",
    }


async def test_drain_waits_for_requests_at_work_and_then_closes_connections() -> None:
    in_flight, go = InFlight(), asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await go.wait()
        return web.Response(text="done")

    app = web.Application(middlewares=[in_flight.middleware()])
    app.router.add_get("/", slow)
    async with TestClient(TestServer(app)) as client:
        request = asyncio.create_task(client.get("/"))
        while in_flight._count == 0:
            await asyncio.sleep(0)
        in_flight.draining = True
        assert not await in_flight.quiet(0, time.monotonic() + 0.1)
        go.set()
        response = await request
        assert (response.status, response.headers["Connection"]) == (200, "close")
        assert await in_flight.quiet(0, time.monotonic() + 5)
