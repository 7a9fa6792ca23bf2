"""What a test or a demonstration asks of the stand-in: play a user, look at what the bot said, order a failure."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from aiohttp import web

from . import stats
from .bots import Bot, Sent
from .registry import Registry

LONGEST_WAIT = 300
LONGEST_LOAD = 100_000
FASTEST_LOAD = 500

_ids = itertools.count(1)


class Refused(Exception):
    """The request can't be done; the text says why."""


def text_message(chat_id: int, user_id: int, name: str, text: str) -> dict[str, Any]:
    """The Message of a private chat, as Telegram writes it: commands are marked as entities."""
    message: dict[str, Any] = {
        "message_id": next(_ids),
        "date": int(time.time()),
        "chat": {"id": chat_id, "type": "private", "first_name": name},
        "from": {"id": user_id, "is_bot": False, "first_name": name, "language_code": "en"},
        "text": text,
    }
    if text.startswith("/"):
        message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split()[0])}]
    return message


async def say(bot: Bot, chat_id: int, text: str, user_id: int | None = None, name: str = "Ann") -> int:
    """A user writes `text`. Returns the update's id. Raises Refused if the bot wants no messages."""
    update_id = await bot.inject(
        "message", text_message(chat_id, user_id or chat_id, name, text), f"chat {chat_id}"
    )
    if update_id is None:
        raise Refused("the bot's allowed_updates leave out message")
    return update_id


async def press(bot: Bot, chat_id: int, data: str, name: str = "Ann") -> int:
    """A user presses an inline button. Returns the update's id. Raises Refused if the bot wants none."""
    callback_id = str(next(_ids) + 7_000_000)
    query = {
        "id": callback_id,
        "from": {"id": chat_id, "is_bot": False, "first_name": name},
        "chat_instance": str(chat_id),
        "data": data,
        "message": text_message(chat_id, bot.id, "Marketplace", "buttons"),
    }
    # Telegram keeps button presses in a queue of their own, apart from the chat's messages.
    bot.callbacks[callback_id] = bot.clock.now() + 150
    update_id = await bot.inject("callback_query", query, f"buttons of {chat_id}")
    if update_id is None:
        raise Refused("the bot's allowed_updates leave out callback_query")
    return update_id


async def wait_for(bot: Bot, after: int, chat_id: int | None, contains: str, seconds: float) -> list[Sent]:
    """What the bot said after sequence number `after`, waiting up to `seconds` real ones for the first."""

    def found() -> list[Sent]:
        return [
            sent
            for sent in bot.sent
            if sent.sequence > after and chat_id in (None, sent.chat_id) and contains in sent.text
        ]

    try:
        async with asyncio.timeout(min(seconds, LONGEST_WAIT)), bot.changed:
            await bot.changed.wait_for(found)
    except TimeoutError:
        pass
    return found()


class Control:
    """The pages under /control/. Bodies and answers are JSON."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._loads: dict[str, dict[str, Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/control/health", self.health),
            web.post("/control/say", self.say),
            web.post("/control/press", self.press),
            web.post("/control/inject", self.inject),
            web.get("/control/messages", self.messages),
            web.get("/control/deliveries", self.deliveries),
            web.get("/control/stats", self.stats),
            web.post("/control/load", self.load),
            web.get("/control/load/{id}", self.load_progress),
            web.post("/control/time", self.time),
            web.post("/control/faults", self.faults),
            web.post("/control/block", self.block),
            web.post("/control/reset", self.reset),
        ]

    @asynccontextmanager
    async def _values(self, request: web.Request) -> AsyncIterator[dict[str, Any]]:
        """What a request says in its query and its JSON body. Answers 400 with the reason for a wrong one."""
        try:
            values: dict[str, Any] = dict(request.query)
            if request.body_exists:
                body = await request.json()
                if not isinstance(body, dict):
                    raise Refused("the body must be a JSON object")
                values.update(body)
            yield values
        except KeyError as error:
            raise _bad(f"{error.args[0]} is missing") from error
        except (Refused, ValueError, LookupError, TypeError) as error:
            raise _bad(str(error)) from error

    @asynccontextmanager
    async def _asked(self, request: web.Request) -> AsyncIterator[tuple[Bot, dict[str, Any]]]:
        """The bot that a request speaks of, and its values."""
        async with self._values(request) as values:
            yield self._registry.bot(values.get("token")), values

    async def health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def say(self, request: web.Request) -> web.Response:
        """{chat_id, text, user_id?, name?, wait?}: a user's message; with `wait` seconds, also the bot's answer."""
        async with self._asked(request) as (bot, values):
            started = time.monotonic()
            after = bot.sent[-1].sequence if bot.sent else 0
            chat_id = int(values.get("chat_id", 1))
            update_id = await say(
                bot, chat_id, str(values["text"]), values.get("user_id"), str(values.get("name", "Ann"))
            )
            answer: dict[str, Any] = {"update_id": update_id}
            if (wait := float(values.get("wait", 0))) > 0:
                replies = await wait_for(bot, after, chat_id, "", wait)
                answer["replies"] = [asdict(sent) for sent in replies]
                answer["seconds"] = round(time.monotonic() - started, 3)
            return web.json_response(answer)

    async def press(self, request: web.Request) -> web.Response:
        """{chat_id, data}: a user presses an inline button."""
        async with self._asked(request) as (bot, values):
            update_id = await press(bot, int(values.get("chat_id", 1)), str(values["data"]))
            return web.json_response({"update_id": update_id})

    async def inject(self, request: web.Request) -> web.Response:
        """{kind, content, queue?}: any update, for example kind `inline_query`."""
        async with self._asked(request) as (bot, values):
            kind = str(values["kind"])
            update_id = await bot.inject(kind, dict(values["content"]), str(values.get("queue", kind)))
            return web.json_response({"update_id": update_id})

    async def messages(self, request: web.Request) -> web.Response:
        """?chat_id&after&contains&wait: what the bot said, waiting up to `wait` seconds for the first."""
        async with self._asked(request) as (bot, values):
            chat_id = int(values["chat_id"]) if "chat_id" in values else None
            found = await wait_for(
                bot,
                int(values.get("after", 0)),
                chat_id,
                str(values.get("contains", "")),
                float(values.get("wait", 0)),
            )
            last = bot.sent[-1].sequence if bot.sent else 0
            return web.json_response({"messages": [asdict(sent) for sent in found], "last": last})

    async def deliveries(self, request: web.Request) -> web.Response:
        """?after&outcome: each update with its attempts, oldest first."""
        async with self._asked(request) as (bot, values):
            after, outcome = int(values.get("after", 0)), values.get("outcome")
            found = [
                delivery.as_dict()
                for delivery in bot.deliveries
                if delivery.update_id > after and outcome in (None, delivery.outcome)
            ]
            return web.json_response({"deliveries": found})

    async def stats(self, request: web.Request) -> web.Response:
        """?after: figures over the updates after that id. Times are real milliseconds."""
        async with self._asked(request) as (bot, values):
            return web.json_response(stats.figures(bot, int(values.get("after", 0))))

    async def load(self, request: web.Request) -> web.Response:
        """{count, rate, chats?, texts?, first_chat?}: users who write `rate` messages a second, `count` in all."""
        async with self._asked(request) as (bot, values):
            count, rate = int(values["count"]), float(values["rate"])
            if not 0 < count <= LONGEST_LOAD or not 0 < rate <= FASTEST_LOAD:
                raise Refused(
                    f"count must be 1 to {LONGEST_LOAD} and rate above 0 up to {FASTEST_LOAD} a second"
                )
            chats, first = int(values.get("chats", 20)), int(values.get("first_chat", 1000))
            texts = [str(text) for text in values.get("texts", ["/browse"])]
            progress: dict[str, Any] = {
                "id": str(next(_ids)),
                "injected": 0,
                "count": count,
                "first_update": None,
            }
            self._loads[progress["id"]] = progress
            task = asyncio.create_task(_generate(bot, progress, rate, range(first, first + chats), texts))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return web.json_response(progress)

    async def load_progress(self, request: web.Request) -> web.Response:
        async with self._asked(request) as (bot, _):
            progress = self._loads[request.match_info["id"]]
            after = (progress["first_update"] or 1) - 1
            return web.json_response({**progress, "stats": stats.figures(bot, after)})

    async def time(self, request: web.Request) -> web.Response:
        """{factor?, advance?}: Telegram's time passes so many times as fast; so many seconds pass at once."""
        async with self._values(request) as values:
            clock = self._registry.clock
            clock.set_factor(float(values.get("factor", clock.factor)))
            clock.advance(float(values.get("advance", 0)))
            return web.json_response({"factor": clock.factor})

    async def faults(self, request: web.Request) -> web.Response:
        """{method, error_code, description?, retry_after?, times?}: the next calls of the method fail like this."""
        async with self._asked(request) as (bot, values):
            fault = {
                "method": str(values["method"]),
                "error_code": int(values["error_code"]),
                "description": str(values.get("description", "Internal Server Error: ordered by a test")),
                "retry_after": values.get("retry_after"),
                "times": int(values.get("times", 1)),
            }
            bot.faults.append(fault)
            return web.json_response(fault)

    async def block(self, request: web.Request) -> web.Response:
        """{chat_id, blocked?}: the user blocks the bot, or takes it back."""
        async with self._asked(request) as (bot, values):
            (bot.blocked.add if values.get("blocked", True) else bot.blocked.discard)(int(values["chat_id"]))
            return web.json_response({"blocked": sorted(bot.blocked)})

    async def reset(self, request: web.Request) -> web.Response:
        """Forget updates, messages, figures, faults and blocks. The webhook stays."""
        async with self._asked(request) as (bot, _):
            bot.forget()
            bot.faults.clear()
            bot.blocked.clear()
            return web.json_response({"status": "ok"})


async def _generate(bot: Bot, progress: dict[str, Any], rate: float, chats: range, texts: list[str]) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number in range(progress["count"]):
        await asyncio.sleep(max(0.0, started + number / rate - loop.time()))
        update_id = await say(bot, chats[number % len(chats)], texts[number % len(texts)])
        progress["first_update"] = progress["first_update"] or update_id
        progress["last_update"] = update_id
        progress["injected"] += 1


def _bad(reason: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": reason}), content_type="application/json")
