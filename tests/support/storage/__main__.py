"""`python -m tests.support.storage --access-key NAME`: the stand-in as a process."""

import argparse
import logging
import os

# Read when moto is imported: without it "storage.test" is taken for a bucket "storage" at "test".
os.environ["S3_IGNORE_SUBDOMAIN_BUCKETNAME"] = "true"

from moto.moto_server.werkzeug_app import MotoRequestHandler, create_backend_app
from werkzeug.serving import run_simple

from .wrapper import Wrapper


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--access-key", required=True, help="accept this access key only")
    arguments = parser.parse_args()
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"), format="%(levelname)s %(message)s")
    # A line for each request, half of them from the health check.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    # Only the one service: moto's own server guesses which of Amazon's many is meant, and needs what they all need.
    store = Wrapper(create_backend_app("s3"), arguments.access_key)
    run_simple(
        arguments.host, arguments.port, store, threaded=True, request_handler=MotoRequestHandler
    )  # fmt: skip


main()
