"""The long versions of what tests/droplet does a few times, and what takes long: `make soak`, an hour or two.

Every file that runs as a whole renews its part of docs/measurements/soak.md. `pytest` without a place leaves this
directory out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.droplet.conftest import (  # noqa: F401 - fixtures
    botapi,
    converged,
    copied,
    docker_client,
    droplet,
    fresh,
    images,
    load,
    neighbour,
    progress,
    site,
    storage,
    undone,
)
from tests.droplet.conftest import pytest_addoption as add_option
from tests.support import soak_results
from tests.support.backend_fixtures import blue, empty, stack  # noqa: F401 - fixtures

HERE = Path(__file__).parent
NOTES = pytest.StashKey[list[tuple[str, str]]]()
TALLIES = pytest.StashKey[dict[str, soak_results.Tally]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    with contextlib.suppress(ValueError):  # Both directories were asked for.
        add_option(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOTES] = []
    config.stash[TALLIES] = {}
    _CONFIG.append(config)


_CONFIG: list[pytest.Config] = []


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only who asks for the soak gets it."""
    return None if any("soak" in str(argument) for argument in config.args) else True


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """``note(words)``: something measured, for the document."""
    return lambda words: request.config.stash[NOTES].append((request.node.nodeid, words))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" or report.failed:
        tally = (
            _CONFIG[0].stash[TALLIES].setdefault(soak_results.part_of(report.nodeid), soak_results.Tally())
        )
        tally.add(report.nodeid, report.passed, report.duration)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down every part that ran as a whole, and the document."""
    config: Any = session.config
    if config.option.collectonly or config.option.keyword or config.option.markexpr:
        return
    asked = {Path(argument).resolve() for argument in config.args}
    files = {path for path in HERE.glob("test_*.py") if asked & {path, HERE}}
    whole = {soak_results.part_of(path.name) for path in files}
    tallies, notes = config.stash[TALLIES], config.stash[NOTES]
    soak_results.keep(tallies, [item.nodeid for item in session.items], notes, whole)
