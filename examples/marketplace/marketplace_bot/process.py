"""How a process of this image begins and ends. Exit code 2: the environment is unusable, and the log says how."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable

from . import config, logs


def run(serve: Callable[[config.Config], Awaitable[None]]) -> int:
    """Read the environment, `serve` until it ends, and return the exit code."""
    logs.configure("INFO")
    log = logging.getLogger("marketplace_bot")
    try:
        settings = config.load(os.environ)
    except config.ConfigError as error:
        for problem in error.problems:
            log.error(problem)
        return 2
    logs.configure(settings.log_level, settings.identity, settings.secrets)

    async def main() -> None:
        await serve(settings)

    try:
        asyncio.run(main())
    except Exception:
        log.critical("crashed", exc_info=True)
        return 1
    return 0
