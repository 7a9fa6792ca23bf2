"""The process: starts whatever the state of PostgreSQL and Redis, and stops without losing a request."""

import asyncio
import contextlib
import logging
import signal
import socket
import time

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from . import database
from .bot import make_bot, make_dispatcher
from .config import Config
from .dialogue import Dialogues
from .health import Health, check_redis, check_schema
from .outbox import Outbox
from .processing import Processor
from .webhook import Webhook

log = logging.getLogger(__name__)

REDIS_SECONDS = 2.0
BACKLOG = 1024
# Longer than any proxy keeps an idle connection: if we closed first, a request might just be on its way.
KEEP_ALIVE_SECONDS = 3600
# A request may be on its way on a connection that is open already: so long nothing must come before we close it.
QUIET_SECONDS = 0.5
# Kept back from the stop grace for closing pools and connections.
CLOSING_SECONDS = 2.0


class InFlight:
    """Counts requests at work, and closes connections after their answer once `draining` is set."""

    def __init__(self) -> None:
        self.draining = False
        self._count = 0
        self._last = time.monotonic()

    def middleware(self) -> Middleware:
        @web.middleware
        async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._count += 1
            try:
                response = await handler(request)
            finally:
                self._count -= 1
                self._last = time.monotonic()
            if self.draining:
                response.force_close()
            return response

        return count

    async def quiet(self, seconds: float, deadline: float) -> bool:
        """Wait until nothing has been at work for `seconds`; False if the monotonic `deadline` came first."""
        while self._count or time.monotonic() - self._last < seconds:
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(0.05)
        return True


def redis_client(config: Config) -> Redis:
    """A Redis client with short timeouts. Connects when first used, and again after a restart of Redis."""
    return Redis(
        host=config.redis.host,
        port=config.redis.port,
        username=config.redis.user,
        password=config.redis.password,
        ssl=config.redis.ca is not None,
        ssl_ca_certs=str(config.redis.ca) if config.redis.ca else None,
        decode_responses=True,
        socket_connect_timeout=REDIS_SECONDS,
        socket_timeout=REDIS_SECONDS,
        max_connections=config.pool_size * 4,
        # One repeat hides a restart that broke pooled connections; more would outlast the answer's time.
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 1),
    )


async def stop_listening(listener: socket.socket, site: web.SockSite, runner: web.AppRunner) -> None:
    """Close the listener without resetting connections that the kernel has made but nobody has accepted yet."""
    waiting = []
    with contextlib.suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            waiting.append(connection)
    await site.stop()
    assert runner.server is not None
    for connection in waiting:
        connection.setblocking(False)
        await asyncio.get_running_loop().connect_accepted_socket(runner.server, connection)


async def serve(config: Config, stop: asyncio.Event | None = None) -> None:
    """Run until SIGTERM or SIGINT, or until `stop` is set. Raises OSError if the port is taken."""
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)

    identity = config.identity
    engine = database.pool(config.database, config.pool_size, f"marketplace-{identity.colour}")
    # Its own connection: under load the pool may be busy, and a busy process is still ready.
    health_engine = database.pool(config.database, 1, f"marketplace-{identity.colour}-health")
    redis = redis_client(config)
    bot = make_bot(config)
    dialogues = Dialogues(redis)
    outbox = Outbox(engine, bot)
    processor = Processor(engine, make_dispatcher(dialogues, identity), bot, dialogues, outbox)
    webhook = Webhook(processor.process, config.webhook_secret)
    health = Health(identity, {"database": check_schema(health_engine), "redis": check_redis(redis)})
    in_flight = InFlight()

    app = web.Application(middlewares=[in_flight.middleware()], client_max_size=2 * 1024**2)
    app.router.add_post(config.webhook_path, webhook.handle)
    app.router.add_get("/health/live", health.live)
    app.router.add_get("/health/ready", health.ready)
    app.router.add_get("/version", health.version)
    runner = web.AppRunner(
        app, access_log=None, keepalive_timeout=KEEP_ALIVE_SECONDS, shutdown_timeout=CLOSING_SECONDS / 2
    )
    await runner.setup()
    listener = socket.create_server(("0.0.0.0", config.port), backlog=BACKLOG)
    listener.setblocking(False)
    site = web.SockSite(runner, listener, backlog=BACKLOG)
    await site.start()
    sender = asyncio.create_task(outbox.run(), name="outbox")
    log.info("started", extra={"fields": {"port": config.port, "build": identity.build}})

    await stop.wait()
    log.info("stopping")
    deadline = time.monotonic() + config.stop_grace - CLOSING_SECONDS
    await stop_listening(listener, site, runner)
    # Only now: an answer that closes its connection makes the client come again.
    health.draining = in_flight.draining = True
    outbox.stop()
    finished = await in_flight.quiet(QUIET_SECONDS, deadline)
    await asyncio.wait({sender}, timeout=max(0.0, deadline - time.monotonic()))
    sender.cancel()
    await runner.cleanup()
    await bot.session.close()
    await redis.aclose()
    await health_engine.dispose()
    await engine.dispose()
    log.info("stopped", extra={"fields": {"all_requests_finished": finished}})
