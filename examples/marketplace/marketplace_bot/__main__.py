"""`python -m marketplace_bot`: the server. Exit code 2 means that the environment is unusable, and the log says how."""

import asyncio
import logging
import os
import sys

from . import config, logs
from .server import serve


def main() -> int:
    logs.configure("INFO")
    try:
        settings = config.load(os.environ)
    except config.ConfigError as error:
        for problem in error.problems:
            logging.getLogger("marketplace_bot").error(problem)
        return 2
    logs.configure(settings.log_level, settings.identity, settings.secrets)
    try:
        asyncio.run(serve(settings))
    except Exception:
        logging.getLogger("marketplace_bot").critical("crashed", exc_info=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
