"""`python -m marketplace_bot`: the server."""

import sys

from .process import run
from .server import serve

if __name__ == "__main__":
    sys.exit(run(serve))
