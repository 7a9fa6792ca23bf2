"""Runs on the droplet: proportional memory of processes outside of containers, by the unit that they belong to."""

import json
import os
import re
from collections import Counter
from pathlib import Path

# A line for each hierarchy of groups, one of which has the units.
UNIT = re.compile(r"/([^/\n]+\.(?:service|scope|socket))(?:/|$)", re.MULTILINE)
found: Counter[str] = Counter()
for process in Path("/proc").glob("[0-9]*"):
    if process.name == str(os.getpid()):
        continue  # Who measures is no part of it.
    try:
        group = (process / "cgroup").read_text()
        if "docker-" in group or "/docker/" in group:
            continue
        units = UNIT.findall(group)
        name = (process / "comm").read_text().strip()
        if name.startswith("containerd-shim"):
            units = ["docker.service"]
        lines = (process / "smaps_rollup").read_text().splitlines()
        memory = sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except OSError:
        continue  # It has ended meanwhile, or is the kernel's.
    found[units[0] if units else name] += memory
print(json.dumps(found))
