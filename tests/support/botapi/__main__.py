"""`python -m tests.support.botapi --port 8081`: the stand-in as a process."""

import argparse
import logging
import os

from aiohttp import web

from .registry import Registry
from .server import make_app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--token", action="append", default=[], help="accept this token only (repeatable)")
    parser.add_argument(
        "--factor", type=float, default=1.0, help="Telegram's delays pass so many times as fast"
    )
    parser.add_argument("--ca", help="PEM file of authorities to trust beside the system's")
    parser.add_argument(
        "--local",
        action="store_true",
        help="like a local Bot API server: webhooks may use plain HTTP, any port and any name",
    )
    arguments = parser.parse_args()
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"), format="%(levelname)s %(message)s")
    registry = Registry(tuple(arguments.token), arguments.factor, arguments.local, arguments.ca)
    web.run_app(
        make_app(registry),
        host=arguments.host,
        port=arguments.port,
        access_log=None,
        shutdown_timeout=1,
        print=None,
    )


main()
