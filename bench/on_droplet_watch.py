"""Runs on the droplet: prints the moment at which the colour that the argument names is live, looking each 5 ms."""

import sys
import time
from pathlib import Path

LIVE = Path("/var/lib/marketplace/live.map")
deadline = time.time() + 180
while LIVE.read_text().split()[1] != sys.argv[1]:
    if time.time() > deadline:
        sys.exit("it never was")
    time.sleep(0.005)
print(time.time())
