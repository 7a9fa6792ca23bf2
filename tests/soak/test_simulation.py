"""The engine in its simulated world: twenty times as many stories as in `make unit`, and other ones each time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STORIES = 10_000


@pytest.mark.timeout(3600)
def test_ten_thousand_stories(note: Callable[[str], None]) -> None:
    # In a process of its own: the stories have their number from the environment when they are collected.
    argv = [sys.executable, "-m", "pytest", "-q", "tests/unit/test_simulation_stories.py"]
    begun = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=ROOT,
        env={**os.environ, "SIMULATION": str(STORIES)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    note(
        f"{STORIES:,} stories of releases, rollbacks, faults and crashes in {time.monotonic() - begun:.0f} s"
    )
