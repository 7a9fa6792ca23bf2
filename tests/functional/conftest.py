"""A droplet that is a directory, and Salt's own loaders over the tree."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.backend_fixtures import blue, empty, stack  # noqa: F401 - fixtures
from tests.support.salt_host import Host, options


@pytest.fixture(scope="module", name="options")
def minion_options() -> dict[str, Any]:
    return options()


@pytest.fixture
def host(tmp_path: Path, options: dict[str, Any]) -> Host:
    return Host(tmp_path, options)
