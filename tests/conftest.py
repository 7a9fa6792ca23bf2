"""What all tests share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.support.recording import MEASURED, SERIES, Recorder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--keep-results", action="store_true",
        help="write what tests/functional and tests/droplet found to docs/measurements, for docs/evidence.md",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # Of processes side by side, the first hears of all.
        config.pluginmanager.register(Recorder(config))


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """``note(words)``: something measured, for the documents."""
    return lambda words: request.node.user_properties.append((MEASURED, words))


@pytest.fixture
def series(request: pytest.FixtureRequest) -> Callable[[str, Sequence[Sequence[Any]]], None]:
    """``series(name, points)``: something measured that is drawn, for docs/evidence.md."""
    return lambda name, points: request.node.user_properties.append((SERIES, {name: points}))
