"""The long versions of what tests/droplet does a few times, and what takes long: `make soak`, an hour or two.

A whole run writes docs/measurements/soak.md. `pytest` without a place leaves this directory out.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.droplet.conftest import (  # noqa: F401 - fixtures
    botapi,
    converged,
    docker_client,
    droplet,
    images,
    load,
    neighbour,
    progress,
    site,
    undone,
)
from tests.droplet.conftest import pytest_addoption as add_option
from tests.support import measured
from tests.support.backend_fixtures import blue, empty, stack  # noqa: F401 - fixtures

HERE = Path(__file__).parent
STARTED = pytest.StashKey[float]()
NOTES = pytest.StashKey[list[tuple[str, str]]]()
REPORTS = pytest.StashKey[list[pytest.TestReport]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    with contextlib.suppress(ValueError):  # Both directories were asked for.
        add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[STARTED] = time.monotonic()
    config.stash[NOTES] = []
    config.stash[REPORTS] = []
    _CONFIG.append(config)


_CONFIG: list[pytest.Config] = []


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only who asks for the soak gets it."""
    return None if any("soak" in str(argument) for argument in config.args) else True


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """``note(words)``: something measured, for the document."""
    return lambda words: request.config.stash[NOTES].append((request.node.name, words))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.failed:
        _CONFIG[0].stash[REPORTS].append(report)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the document, if everything ran."""
    config: Any = session.config
    whole = [Path(argument).resolve() for argument in config.args] == [HERE] and not config.option.keyword
    if not whole or config.option.collectonly:
        return
    rows: dict[str, list[float]] = {}
    failed = [report.nodeid for report in config.stash[REPORTS] if report.failed]
    for report in config.stash[REPORTS]:
        found = rows.setdefault(Path(report.nodeid.partition("::")[0]).stem.removeprefix("test_"), [0, 0, 0])
        found[0] += report.passed
        found[1] += report.failed
        found[2] += report.duration
    parts = [
        measured.table(
            ("part", "passed", "failed", "minutes"),
            [
                (name, int(good), int(bad), f"{seconds / 60:.1f}")
                for name, (good, bad, seconds) in rows.items()
            ],
        ),
        *([f"Failed: {', '.join(failed)}"] if failed else []),
        measured.table(("test", "measured"), config.stash[NOTES]),
    ]
    seconds = time.monotonic() - config.stash[STARTED]
    measured.write("soak.md", measured.document("Soak", "make soak", seconds, parts))
