"""The Bot API's methods, as far as a deployment and a small bot need them."""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from .bots import Bot, Webhook
from .delivery import tls_context
from .parameters import flag, structure

PORTS = (80, 88, 443, 8443)
LONGEST_TEXT = 4096
LONGEST_POLL = 50


class ApiError(Exception):
    """An answer with `ok: false`."""

    def __init__(self, code: int, description: str, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after


SetWebhook = Callable[[Bot, Webhook], Awaitable[None]]
_Method = Callable[["Methods", Bot, dict[str, Any], str, int | None], Awaitable[Any]]


class Methods:
    """Executes calls. `set_webhook` starts and stops delivery."""

    def __init__(self, set_webhook: SetWebhook, local: bool = False) -> None:
        self._set_webhook = set_webhook
        self._local = local
        self._polls: dict[str, asyncio.Future[str]] = {}

    async def call(
        self, bot: Bot, method: str, values: dict[str, Any], via: str = "api", update_id: int | None = None
    ) -> Any:
        """The method's result. Raises ApiError. `update_id` is the update whose answer carried the call."""
        name = method.lower()
        known = _METHODS.get(name)
        if known is None:
            raise ApiError(404, "Not Found: method not found")
        bot.calls[name] += 1
        if fault := bot.take_fault(name):
            raise ApiError(fault["error_code"], fault["description"], fault.get("retry_after"))
        return await known(self, bot, values, via, update_id)

    async def get_me(self, bot: Bot, *_: Any) -> dict[str, Any]:
        return {
            "id": bot.id,
            "is_bot": True,
            "first_name": "Marketplace",
            "username": f"marketplace_{bot.id}_bot",
            "can_join_groups": True,
            "can_read_all_group_messages": False,
            "supports_inline_queries": False,
        }

    async def set_webhook(self, bot: Bot, values: dict[str, Any], *_: Any) -> bool:
        url = str(values.get("url") or "")
        if not url:
            return await self.delete_webhook(bot, values)
        if bot.clock.now() < bot.next_set_webhook_at:
            raise ApiError(429, "Too Many Requests: retry after 1", 1)
        bot.next_set_webhook_at = bot.clock.now() + 1
        webhook = await self._checked(url, values)
        if "allowed_updates" in values:
            bot.allowed_updates = list(structure(values["allowed_updates"]))
        self._abort_poll(bot, "Conflict: terminated by setWebhook request")
        if flag(values.get("drop_pending_updates")):
            bot.drop_pending()
        if webhook != bot.webhook or webhook.certificate:
            bot.last_error = None
            await self._set_webhook(bot, webhook)
        return True

    async def _checked(self, url: str, values: dict[str, Any]) -> Webhook:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        if not parts.hostname:
            raise ApiError(400, "Bad Request: invalid webhook URL specified")
        if parts.scheme != "https" and not (self._local and parts.scheme == "http"):
            raise ApiError(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        if not self._local and (parts.port or 443) not in PORTS:
            raise ApiError(
                400, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443"
            )
        secret = str(values.get("secret_token") or "")
        if len(secret) > 256:
            raise ApiError(400, "Bad Request: secret token is too long")
        if not re.fullmatch(r"[A-Za-z0-9_-]*", secret):
            raise ApiError(400, "Bad Request: secret token contains unallowed characters")
        certificate = values.get("certificate") or b""
        pem = certificate.decode(errors="replace") if isinstance(certificate, bytes) else ""
        if pem:
            try:
                tls_context(pem, None)
            except (ssl.SSLError, ValueError) as error:
                raise ApiError(400, "Bad Request: bad webhook: Can't create an SSL context") from error
        address = str(values.get("ip_address") or "")
        if not address and not self._local:
            await self._resolve(parts.hostname, parts.port or 443)
        maximum = str(values.get("max_connections") or 40)
        return Webhook(
            url=parts.geturl(),
            secret=secret,
            certificate=pem,
            max_connections=min(max(int(maximum) if maximum.isdigit() else 40, 1), 100),
            ip_address=address,
        )

    @staticmethod
    async def _resolve(host: str, port: int) -> None:
        try:
            await asyncio.get_running_loop().getaddrinfo(host, port, family=socket.AF_INET)
        except OSError as error:
            text = f"Bad Request: bad webhook: Failed to resolve host: {error.strerror}"
            raise ApiError(400, text) from error

    async def delete_webhook(self, bot: Bot, values: dict[str, Any], *_: Any) -> bool:
        if flag(values.get("drop_pending_updates")):
            bot.drop_pending()
        bot.last_error = None
        await self._set_webhook(bot, Webhook())
        return True

    async def get_webhook_info(self, bot: Bot, *_: Any) -> dict[str, Any]:
        webhook = bot.webhook
        info: dict[str, Any] = {
            "url": webhook.url,
            "has_custom_certificate": bool(webhook.certificate),
            "pending_update_count": bot.pending,
        }
        if bot.last_error:
            info["last_error_date"], info["last_error_message"] = bot.last_error
        if webhook.url:
            info["max_connections"] = webhook.max_connections
            host = urlsplit(webhook.url).hostname or ""
            info["ip_address"] = webhook.ip_address or await _address(host)
        if bot.allowed_updates:
            info["allowed_updates"] = bot.allowed_updates
        return info

    async def get_updates(self, bot: Bot, values: dict[str, Any], *_: Any) -> list[dict[str, Any]]:
        if bot.webhook.url:
            raise ApiError(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        self._abort_poll(
            bot,
            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
        )
        if "allowed_updates" in values:
            bot.allowed_updates = list(structure(values["allowed_updates"]))
        aborted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._polls[bot.token] = aborted
        poll = asyncio.create_task(self._poll(bot, values))
        try:
            waiters: list[asyncio.Future[Any]] = [poll, aborted]
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            if aborted.done():
                raise ApiError(409, aborted.result())
            return poll.result()
        finally:
            poll.cancel()
            if self._polls.get(bot.token) is aborted:
                del self._polls[bot.token]

    def _abort_poll(self, bot: Bot, reason: str) -> None:
        if poll := self._polls.pop(bot.token, None):
            poll.set_result(reason)

    @staticmethod
    async def _poll(bot: Bot, values: dict[str, Any]) -> list[dict[str, Any]]:
        offset = int(values.get("offset") or 0)
        limit = min(max(int(values.get("limit") or 100), 1), 100)
        wait = min(max(int(values.get("timeout") or 0), 0), LONGEST_POLL)
        for queue in list(bot.queues):
            while bot.queues.get(queue) and bot.queues[queue][0].delivery.update_id < offset:
                bot.finish(queue, "delivered")

        def waiting() -> list[dict[str, Any]]:
            everything = [item.body for queue in bot.queues.values() for item in queue]
            return sorted(everything, key=lambda body: int(body["update_id"]))[:limit]

        try:
            async with asyncio.timeout(bot.clock.real(wait)), bot.changed:
                await bot.changed.wait_for(waiting)
        except TimeoutError:
            pass
        return waiting()

    async def send(
        self, bot: Bot, values: dict[str, Any], via: str, update_id: int | None, method: str, content: str
    ) -> dict[str, Any]:
        chat = str(values.get("chat_id") or "")
        if not re.fullmatch(r"-?\d+", chat):
            raise ApiError(400, "Bad Request: chat not found" if chat else "Bad Request: chat_id is empty")
        if int(chat) in bot.blocked:
            raise ApiError(403, "Forbidden: bot was blocked by the user")
        if content == "text":
            _check_text(values)
        if values.get("reply_markup"):
            values = {**values, "reply_markup": structure(values["reply_markup"])}
        # A file's bytes don't belong in a record that is handed out as JSON.
        values = {key: f"{len(v)} bytes" if isinstance(v, bytes) else v for key, v in values.items()}
        sent = await bot.record(method, values, via, update_id)
        return {
            "message_id": sent.sequence,
            "date": int(time.time()),
            "chat": {"id": int(chat), "type": "private"},
            "from": {"id": bot.id, "is_bot": True, "first_name": "Marketplace"},
            "text": sent.text,
        }

    async def answer_callback_query(
        self, bot: Bot, values: dict[str, Any], via: str, update_id: int | None
    ) -> bool:
        expires = bot.callbacks.pop(str(values.get("callback_query_id")), None)
        if expires is None or bot.clock.now() > expires:
            raise ApiError(
                400,
                "Bad Request: query is too old and response timeout expired or query ID is invalid",
            )
        await bot.record("answerCallbackQuery", values, via, update_id)
        return True

    async def set_my_commands(self, bot: Bot, values: dict[str, Any], *_: Any) -> bool:
        bot.commands = list(structure(values.get("commands", [])))
        return True

    async def get_my_commands(self, bot: Bot, *_: Any) -> list[dict[str, Any]]:
        return bot.commands

    async def accept(self, _: Bot, *__: Any) -> bool:
        return True


def _check_text(values: dict[str, Any]) -> None:
    text = str(values.get("text") or "")
    if not text.strip():
        raise ApiError(400, "Bad Request: message text is empty")
    if len(text) > LONGEST_TEXT:
        raise ApiError(400, "Bad Request: message is too long")


async def _address(host: str) -> str:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, 443, family=socket.AF_INET)
    except OSError:
        return "<unknown>"
    return str(found[0][4][0])


def _sender(method: str, content: str) -> _Method:
    async def send(
        methods: Methods, bot: Bot, values: dict[str, Any], via: str, update_id: int | None
    ) -> dict[str, Any]:
        return await methods.send(bot, values, via, update_id, method, content)

    return send


_METHODS: dict[str, _Method] = {
    "getme": Methods.get_me,
    "setwebhook": Methods.set_webhook,
    "deletewebhook": Methods.delete_webhook,
    "getwebhookinfo": Methods.get_webhook_info,
    "getupdates": Methods.get_updates,
    "sendmessage": _sender("sendMessage", "text"),
    "editmessagetext": _sender("editMessageText", "text"),
    "sendphoto": _sender("sendPhoto", "file"),
    "senddocument": _sender("sendDocument", "file"),
    "answercallbackquery": Methods.answer_callback_query,
    "setmycommands": Methods.set_my_commands,
    "getmycommands": Methods.get_my_commands,
    "sendchataction": Methods.accept,
    "deletemessage": Methods.accept,
    "answerinlinequery": Methods.accept,
    "answerprecheckoutquery": Methods.accept,
    "answershippingquery": Methods.accept,
}
