"""``python -m audit``: tools look at a local droplet; their reports and a summary go to docs/audit."""

from __future__ import annotations

import argparse
import os
import sys

from tests.droplet.conftest import prepared
from tests.support.droplet import host
from tests.support.droplet.progress import Progress
from tests.support.droplet.site import Site

from . import summary
from .outcome import Outcome, Place
from .tools import TOOLS


def main() -> int:
    """Run the tools. Returns 1 where a goal is missed without a written explanation."""
    parser = argparse.ArgumentParser(prog="python -m audit", description=__doc__)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=f"some of {', '.join(TOOLS)} (default: all)")
    parser.add_argument("--site", help="use this site of local droplets, and keep it")
    options = parser.parse_args()
    unknown = set(options.tools) - TOOLS.keys()
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}. There are {', '.join(TOOLS)}")
    progress = Progress()
    site = Site(options.site or f"audit-{os.getpid()}", host.ensure(progress.note), progress.note)
    try:
        outcomes = run(site, options.tools or list(TOOLS), progress)
    finally:
        if not options.site:
            site.destroy()
    print(summary.write(outcomes, progress.started, complete=not options.tools))
    for outcome in outcomes:
        for finding in outcome.unexplained:
            print(f"{outcome.tool}: {finding.id} is not explained: {finding.says}", file=sys.stderr)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def run(site: Site, tools: list[str], progress: Progress) -> list[Outcome]:
    """A converged droplet, and what the tools say of it."""
    with progress.step("a converged droplet"):
        images = site.images()
        site.botapi()
        droplet = prepared(site, images, "droplet")
        droplet.run(["/srv/deploy/bootstrap.sh", "development"])
        place = Place(site, droplet, site.neighbour())
    outcomes = []
    for name in tools:
        with progress.step(name):
            outcomes.append(TOOLS[name](place))
        progress.note(f"{name}: {outcomes[-1].figure} (goal: {outcomes[-1].goal})")
    hidden = summary.names_to_hide(droplet)
    return [summary.scrubbed(outcome, hidden) for outcome in outcomes]


if __name__ == "__main__":
    sys.exit(main())
