"""The long versions of what tests/droplet does a few times, and what takes long: `make soak`, several hours.

Every file that runs as a whole renews its part of docs/measurements/soak.md. `pytest` without a place leaves this
directory out.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.droplet.conftest import (  # noqa: F401 - fixtures
    botapi,
    controller,
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
from tests.support.alert_fixtures import calm, chat  # noqa: F401 - fixtures
from tests.support.backend_fixtures import blue, empty, stack  # noqa: F401 - fixtures


def pytest_addoption(parser: pytest.Parser) -> None:
    with contextlib.suppress(ValueError):  # Both directories were asked for.
        add_option(parser)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only who asks for the soak gets it."""
    return None if any("soak" in str(argument) for argument in config.args) else True
