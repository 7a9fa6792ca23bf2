"""A plugin of pytest that keeps what tests found: of tests/soak always, of the guards with --keep-results."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import results
from tests.support.droplet.paths import REPOSITORY

MEASURED, SERIES = "measured", "series"
"""Under these names a test's report carries what it measured, also from another process."""


class Recorder:
    """What a run has seen of each part."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tallies: dict[str, results.Tally] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        place = results.place_of(report.nodeid)
        if place and (report.when == "call" or report.failed):
            notes = [str(words) for name, words in report.user_properties if name == MEASURED]
            tally = self.tallies.setdefault(place, results.Tally())
            tally.add(report.nodeid, report.passed, report.duration, notes)
            for name, given in report.user_properties:
                if name == SERIES and isinstance(given, dict):
                    tally.series |= given

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write down every part that ran as a whole: it was asked for by name, and the run came to its end."""
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        chosen = self.config.option.keyword or self.config.option.markexpr
        if ended and not (session.shouldfail or session.shouldstop or chosen):
            results.keep({place: tally for place, tally in self.tallies.items() if self._whole(place)})

    def _whole(self, place: str) -> bool:
        if place in results.GUARDS and not self.config.getoption("--keep-results"):
            return False
        path = REPOSITORY / place
        asked = {Path(argument).resolve() for argument in self.config.args}
        return bool(asked & {path, *path.parents})
