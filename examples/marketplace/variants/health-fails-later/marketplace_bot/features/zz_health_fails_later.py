"""Ready for eight seconds from when it first was, long enough to go live; not ready ever after. Updates still work."""

import time

from aiogram import Router
from aiohttp import web

from ..health import Health

router = Router(name="health-fails-later")

READY_SECONDS = 8
first: list[float] = []
honest = Health.ready


async def ready(self: Health, request: web.Request) -> web.Response:
    response = await honest(self, request)
    if response.status == 200 and not first:
        first.append(time.monotonic())
    if first and time.monotonic() - first[0] > READY_SECONDS:
        checks = {"database": "ok", "redis": f"this variant fails after {READY_SECONDS} s"}
        return web.json_response({"status": "not ready", "checks": checks}, status=503)
    return response


Health.ready = ready  # type: ignore[method-assign]
