"""Posts a bot's updates to its webhook, as Telegram would."""

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from . import parameters
from .bots import Bot, Pending, Webhook

log = logging.getLogger(__name__)

ANSWER_SECONDS = 60
CONNECT_SECONDS = 10
DROP_WEBHOOK_AFTER_410_SECONDS = 23 * 3600
# New connections: 10 in half a second while the webhook works, one in 2 s when nothing has for 10 s.
ACTIVE_SECONDS = 10
ACTIVE_GAP = 0.05
IDLE_GAP = 2.0
NOT_IN_ANSWERS = ("deletewebhook", "setwebhook", "close", "logout")

Execute = Callable[[str, dict[str, Any], int], Awaitable[None]]


@dataclass(frozen=True)
class _Answer:
    """What came of one attempt. `status` is None when no HTTP answer came; `connected` tells why."""

    status: int | None
    error: str = ""
    retry_after: int = 0
    connected: bool = True


class _FixedResolver(AbstractResolver):
    """Resolves every name to the address that setWebhook was given."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=self._address, port=port, family=family or 2, proto=0, flags=0)
        ]

    async def close(self) -> None:
        pass


def tls_context(certificate: str, authorities: str | None) -> ssl.SSLContext:
    """Trust the uploaded certificate alone if there is one, else the system's (and `authorities`, a PEM file).

    Raises ssl.SSLError if the certificate is no PEM.
    """
    if certificate:
        context = ssl.create_default_context(cadata=certificate)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    else:
        context = ssl.create_default_context()
        if authorities:
            context.load_verify_locations(authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python 3.13 is stricter than OpenSSL's own default, which Telegram uses.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


class Deliverer:
    """Delivers while its bot has this webhook. One task a queue, so that each chat's updates stay in order."""

    def __init__(self, bot: Bot, webhook: Webhook, execute: Execute, authorities: str | None) -> None:
        self._bot = bot
        self._webhook = webhook
        self._execute = execute
        self._slots = asyncio.Semaphore(webhook.max_connections)
        self._probe = asyncio.Lock()
        self._probe_at: float | None = None
        self._last_success = float("-inf")
        self._first_410: float | None = None
        self._queues: dict[str, asyncio.Task[None]] = {}
        resolver = _FixedResolver(webhook.ip_address) if webhook.ip_address else aiohttp.ThreadedResolver()
        tls: ssl.SSLContext | bool = True
        if urlsplit(webhook.url).scheme == "https":
            tls = tls_context(webhook.certificate, authorities)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=webhook.max_connections,
                ssl=tls,
                resolver=resolver,
                keepalive_timeout=50,
                family=socket.AF_INET,
            )
        )
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop. What was under way is delivered again by the next webhook."""
        tasks = [self._task, *self._queues.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._session.close()

    async def _watch(self) -> None:
        while True:
            async with self._bot.changed:
                for queue in self._bot.queues:
                    if queue not in self._queues:
                        self._queues[queue] = asyncio.create_task(self._drain(queue))
                await self._bot.changed.wait()

    async def _drain(self, queue: str) -> None:
        try:
            while waiting := self._bot.queues.get(queue):
                first = waiting[0]
                await self._bot.clock.sleep_until(first.attempts.wake_at)
                if not self._bot.queues.get(queue) or self._bot.queues[queue][0] is not first:
                    continue
                if self._bot.clock.now() > first.attempts.expires_at:
                    self._bot.finish(queue, "dropped")
                    continue
                async with self._slots:
                    await self._deliver(queue, first)
        finally:
            self._queues.pop(queue, None)
            # An update may have come between the last look and here.
            if self._bot.queues.get(queue) and not self._task.cancelling():
                self._queues[queue] = asyncio.create_task(self._drain(queue))

    async def _deliver(self, queue: str, waiting: Pending) -> None:
        if self._probe_at is None:
            answer = await self._post(waiting)
        else:
            async with self._probe:
                if self._probe_at is not None:
                    await self._bot.clock.sleep_until(self._probe_at)
                answer = await self._post(waiting)
                self._note_connection(answer)
        self._note_connection(answer)
        if not self._bot.queues.get(queue) or self._bot.queues[queue][0] is not waiting:
            return  # A reset took it away meanwhile.
        now = self._bot.clock.now()
        if answer.status is not None and 200 <= answer.status <= 299:
            self._last_success = now
            self._first_410 = None
            self._bot.finish(queue, "delivered")
            await self._bot.wake()
            return
        self._bot.complain(answer.error)
        if not answer.connected:
            return
        await self._check_410(answer.status, now)
        if not waiting.attempts.fail(now, answer.retry_after, self._bot.random):
            log.warning("dropped update %s: %s", waiting.delivery.update_id, answer.error)
            self._bot.finish(queue, "dropped")
            await self._bot.wake()

    def _note_connection(self, answer: _Answer) -> None:
        if answer.connected:
            self._probe_at = None
        else:
            active = self._bot.clock.now() - self._last_success < ACTIVE_SECONDS
            self._probe_at = self._bot.clock.now() + (ACTIVE_GAP if active else IDLE_GAP)

    async def _check_410(self, status: int | None, now: float) -> None:
        if status != 410:
            self._first_410 = None
        elif self._first_410 is None:
            self._first_410 = now
        elif now > self._first_410 + DROP_WEBHOOK_AFTER_410_SECONDS:
            log.warning("webhook deleted after 23 h of 410")
            self._bot.webhook = Webhook()
            asyncio.get_running_loop().call_soon(asyncio.ensure_future, self.close())

    async def _post(self, waiting: Pending) -> _Answer:
        started = time.monotonic()
        answer = await self._exchange(waiting)
        result = (
            str(answer.status)
            if answer.status is not None
            else ("closed" if answer.connected else "connection")
        )
        self._bot.statuses[result] += 1
        waiting.delivery.attempts.append(
            {
                "at": round(time.time(), 3),
                "seconds": round(time.monotonic() - started, 4),
                "result": result,
                "error": answer.error,
            }
        )
        return answer

    async def _exchange(self, waiting: Pending) -> _Answer:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self._webhook.secret} if self._webhook.secret else {}
        timeout = aiohttp.ClientTimeout(
            total=self._bot.clock.real(ANSWER_SECONDS), sock_connect=self._bot.clock.real(CONNECT_SECONDS)
        )
        try:
            async with self._session.post(
                self._webhook.url, json=waiting.body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                body = await response.read()
                if 200 <= response.status <= 299:
                    await self._reply(
                        response.headers.get("Content-Type", ""), body, waiting.delivery.update_id
                    )
                    return _Answer(response.status)
                error = f"Wrong response from the webhook: {response.status} {response.reason}"
                asked = response.headers.get("Retry-After", "")
                return _Answer(response.status, error, int(asked) if asked.isdigit() else 0)
        except aiohttp.ClientConnectorCertificateError as error:
            return _Answer(None, f"SSL error {{{error.certificate_error}}}", connected=False)
        except aiohttp.ClientConnectorError as error:
            return _Answer(None, str(error.os_error.strerror or error), connected=False)
        except aiohttp.ConnectionTimeoutError:
            return _Answer(None, "Connection timed out", connected=False)
        except TimeoutError:
            return _Answer(None, "Read timeout expired")
        except aiohttp.ClientError as error:
            return _Answer(None, f"Webhook connection closed: {error}")

    async def _reply(self, content_type: str, body: bytes, update_id: int) -> None:
        try:
            values = parameters.parse(content_type, body)
        except ValueError:
            return
        method = str(values.pop("method", "")).lower()
        if method and method not in NOT_IN_ANSWERS and not method.startswith("get"):
            await self._execute(method, values, update_id)
