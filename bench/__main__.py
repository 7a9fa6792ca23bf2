"""``python -m bench``: measures on a local droplet, and writes docs/measurements/*-bench.md."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.droplet.conftest import prepared
from tests.support import measured, results, shipping
from tests.support.droplet import host
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.progress import Progress
from tests.support.droplet.salt import call
from tests.support.droplet.site import Site

from . import converge, footprint, ours, report, side_by_side

RECORDS = (10, 1000)
Series = dict[str, list[tuple[str, float]]]
Document = tuple[str, list[str], list[str], Series]
"""A title, its parts, what was measured in words that can be judged, and what is drawn (docs/evidence.md)."""


def main() -> int:
    """Measure everything. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how often each thing is measured (default 5)")
    parser.add_argument("--site", help="use this site of local droplets, and keep it")
    parser.add_argument("what", nargs="*", help=f"some of {', '.join(MEASURED)} (default: all)")
    options = parser.parse_args()
    if unknown := set(options.what) - MEASURED.keys():
        parser.error(f"unknown: {', '.join(sorted(unknown))}. There are {', '.join(MEASURED)}")
    progress = Progress()
    site = Site(options.site or f"bench-{os.getpid()}", host.ensure(progress.note), progress.note)
    try:
        droplet = converged(site, progress)
        for name in options.what or MEASURED:
            started = time.monotonic()
            title, parts, notes, series = MEASURED[name](site, droplet, options.runs, progress)
            seconds = time.monotonic() - started
            text = measured.document(title, f"python -m bench {name}", seconds, parts)
            print(measured.write(f"{name}-bench.md", text))
            tally = results.Tally()
            tally.add(f"bench/{name}::measured", True, seconds, notes)
            tally.series |= series
            results.keep({f"bench/{name}": tally})
    finally:
        if not options.site:
            site.destroy()
    return 0


def converged(site: Site, progress: Progress) -> Droplet:
    """A droplet that serves, with its first backup restored."""
    with progress.step("a converged droplet"):
        images = site.images()
        site.botapi()
        droplet = prepared(site, images, "droplet")
        droplet.run(["/srv/deploy/bootstrap.sh", "development"])
        # The ledgers that are made here are of long ago, and a droplet of that age has to have restored a backup.
        drill = call(droplet, "backup.drill")
        if drill.returncode != 0:
            raise RuntimeError(f"backup.drill: {drill.value}")
    return droplet


def nothing_to_do(site: Site, droplet: Droplet, runs: int, progress: Progress) -> Document:
    """Converging what is converged."""
    found, ways, states = converge.all_ways(site, droplet, runs, progress)
    drawn = [(way.name.replace("`", ""), round(way.median, 2)) for way in ways if not way.problem]
    return (
        "Converging, measured", [report.converge(found, ways, states)], [report.converge_note(found, ways)],
        {"a run with nothing to do": drawn},
    )  # fmt: skip


def droplet_itself(site: Site, droplet: Droplet, runs: int, progress: Progress) -> Document:
    """What it takes to be there."""
    found = footprint.measure(site, droplet, runs, progress)
    return "A droplet, measured", [report.footprint(found)], report.footprint_notes(found), {}


def releases(site: Site, droplet: Droplet, runs: int, progress: Progress) -> Document:
    """Shipping and going back."""
    neighbour = site.neighbour()
    with progress.step("two versions"):
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
    return (
        "Releases, measured",
        [
            report.side_by_side(ways),
            report.overhead(short),
            report.rollbacks(warm, cold),
            report.ledger(short, long, RECORDS),
        ],
        report.release_notes(ways, short, warm, cold),
        {},
    )


MEASURED = {"converge": nothing_to_do, "footprint": droplet_itself, "release": releases}


if __name__ == "__main__":
    sys.exit(main())
