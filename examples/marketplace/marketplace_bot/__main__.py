"""`python -m marketplace_bot`: the server."""

import gc
import sys

if __name__ == "__main__":
    # What is imported is there to stay: to look for garbage among it takes a fifth of the start, and some of each
    # millisecond afterwards.
    gc.disable()
    from .process import run
    from .server import serve

    gc.freeze()
    gc.enable()
    sys.exit(run(serve))
