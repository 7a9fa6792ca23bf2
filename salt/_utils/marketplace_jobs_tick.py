"""Cron's look at the scheduled jobs, once a minute: ``marketplace_jobs_tick.py``, and ``--stop`` to end those that run.

A plain Python program, as the release engine is: it costs a tenth of what salt-call would, 1,440 times a day.
"""

import sys
import time

from marketplace_durable import read_json
from marketplace_job_runs import stop_jobs
from marketplace_jobs import tick
from marketplace_paths import Paths
from marketplace_release import TROUBLE
from marketplace_terminal import Plain
from marketplace_world import World

# The next minute's look takes over from this one.
WATCH_SECONDS = 50.0
LOOK_SECONDS = 2.0


def main(arguments: list[str]) -> int:
    """Look, and look again while something runs; the exit code."""
    paths, progress = Paths(), Plain(sys.stdout)
    until = time.monotonic() + WATCH_SECONDS
    try:
        settings = read_json(paths.settings)
        if settings is None:  # not converged yet
            return 0
        world = World.of(paths)
        if arguments == ["--stop"]:
            stop_jobs(world, "the backend is stopped")
            return 0
        while tick(world, settings, progress) and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
    except TROUBLE as error:
        print(f"scheduled jobs: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
