"""``python -m bench``: measures on a local droplet, and writes docs/measurements/release-bench.md."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.droplet.conftest import prepared
from tests.support import measured, shipping
from tests.support.droplet import host
from tests.support.droplet.progress import Progress
from tests.support.droplet.salt import call
from tests.support.droplet.site import Site

from . import ours, report, side_by_side

RECORDS = (10, 1000)


def main() -> int:
    """Measure everything. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often each thing is measured (default 5)")
    parser.add_argument("--site", help="use this site of local droplets, and keep it")
    options = parser.parse_args()
    progress = Progress()
    site = Site(options.site or f"bench-{os.getpid()}", host.ensure(progress.note), progress.note)
    try:
        parts = measure(site, options.runs, progress)
    finally:
        if not options.site:
            site.destroy()
    seconds = time.monotonic() - progress.started
    path = measured.write(
        "release-bench.md", measured.document("Releases, measured", "make bench", seconds, parts)
    )
    print(path)
    return 0


def measure(site: Site, runs: int, progress: Progress) -> list[str]:
    """All the document's parts."""
    with progress.step("a converged droplet"):
        images = site.images()
        site.botapi()
        droplet = prepared(site, images, "droplet")
        droplet.run(["/srv/deploy/bootstrap.sh", "development"])
        # The ledgers that are made here are of long ago, and a droplet of that age has to have restored a backup.
        drill = call(droplet, "backup.drill")
        if drill.returncode != 0:
            raise RuntimeError(f"backup.drill: {drill.value}")
        neighbour = site.neighbour()
        for version in ours.VERSIONS:
            site.backend(version)
            shipping.ensure_live(droplet, version)
    with progress.step("releases without load, by length of the ledger"):
        short, long = (ours.releases(droplet, runs, records, progress) for records in RECORDS)
        ours.keep_records(droplet, RECORDS[0])
    with progress.step("rollbacks"):
        warm = [ours.warm_rollback(droplet) for _ in range(runs)]
        cold = [ours.cold_rollback(droplet) for _ in range(runs)]
        progress.note(f"to the cut-over: warm {warm}, cold {cold}")
    ways = side_by_side.all_ways(site, droplet, neighbour, runs, progress)
    return [
        report.side_by_side(ways),
        report.overhead(short),
        report.rollbacks(warm, cold),
        report.ledger(short, long, RECORDS),
    ]


if __name__ == "__main__":
    sys.exit(main())
