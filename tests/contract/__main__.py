"""Runs the checks against the real effects: a line of JSON for each. Started in a droplet, as root."""

import json
import sys
import time
import traceback

from tests.contract.every import CHECKS
from tests.contract.real import effects


def main(names: list[str]) -> int:
    failed = 0
    for name in names or list(CHECKS):
        begun, error = time.monotonic(), ""
        with effects() as real:
            try:
                CHECKS[name](real)
            except Exception:
                error = traceback.format_exc()
                failed += 1
        print(json.dumps({"check": name, "seconds": time.monotonic() - begun, "error": error}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
