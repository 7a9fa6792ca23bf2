"""What the engine takes for granted of its effects holds for the real ones. For the simulated: tests/unit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.every import CHECKS
from tests.support.droplet.droplets import Droplet

COMMAND = ["/opt/salt/bin/python", "-m", "tests.contract"]


@pytest.fixture(scope="module")
def results(droplet: Droplet) -> dict[str, Any]:
    """All checks in one run, so that the droplet is asked for it once."""
    environment = [
        "env",
        "-C",
        "/srv/deploy",
        "PYTHONDONTWRITEBYTECODE=1",
        "PYTHONPATH=/srv/deploy:/srv/deploy/salt/_utils",
    ]
    before = _found(droplet)
    ran = droplet.run([*environment, *COMMAND], check=False)
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    found = {line["check"]: line for line in lines}
    assert set(found) == set(CHECKS), ran
    assert _found(droplet) == before
    return found


def _found(droplet: Droplet) -> list[str]:
    """What there is of containers, images, databases and files, for the checks leave it so."""
    psql = [
        "docker",
        "exec",
        "postgres",
        "psql",
        "-U",
        "postgres",
        "-qAtc",
        "SELECT datname FROM pg_database ORDER BY 1",
    ]
    commands = (
        ["docker", "ps", "--all", "--format={{.Names}} {{.Image}} {{.State}}"],
        ["docker", "image", "ls", "--digests", "--format={{.Repository}}:{{.Tag}}@{{.Digest}} {{.ID}}"],
        psql,
        ["find", "/var/lib/marketplace", "-type", "f", "-not", "-name", "*.lock"],
        ["cat", "/var/lib/marketplace/live.map", "/var/lib/marketplace/maintenance.map"],
    )
    return sorted(line for command in commands for line in droplet.run(command).stdout.splitlines())


@pytest.mark.parametrize("name", CHECKS)
def test_real_effects(results: dict[str, Any], name: str) -> None:
    assert results[name]["error"] == ""


def test_they_take_less_than_a_minute(results: dict[str, Any]) -> None:
    seconds = {name: round(result["seconds"], 1) for name, result in results.items()}
    assert sum(seconds.values()) < 60, sorted(seconds.items(), key=lambda item: -item[1])[:5]
