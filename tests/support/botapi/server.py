"""The HTTP face: /bot<token>/METHOD as Telegram has it, and /control/ for tests."""

from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from . import parameters
from .control import Control
from .methods import ApiError
from .registry import Registry


def make_app(registry: Registry) -> web.Application:
    """The application. Closing it stops all deliveries."""

    async def call(request: web.Request) -> web.Response:
        try:
            bot = registry.authorise(request.match_info["token"])
            values: dict[str, Any] = dict(request.query)
            try:
                values.update(parameters.parse(request.headers.get("Content-Type", ""), await request.read()))
            except ValueError as error:
                raise ApiError(400, f"Bad Request: {error}") from error
            result = await registry.methods.call(bot, request.match_info["method"], values)
        except ApiError as error:
            return _failure(error)
        return web.json_response({"ok": True, "result": result})

    async def running(_: web.Application) -> AsyncIterator[None]:
        yield
        await registry.close()

    app = web.Application(client_max_size=50 * 1024**2)
    app.cleanup_ctx.append(running)
    app.router.add_route("*", r"/bot{token:[^/]+}/{method:\w+}", call)
    app.router.add_routes(Control(registry).routes())
    return app


def _failure(error: ApiError) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
    headers = {}
    if error.retry_after is not None:
        body["parameters"] = {"retry_after": error.retry_after}
        headers["Retry-After"] = str(error.retry_after)
    return web.json_response(body, status=error.code, headers=headers)
