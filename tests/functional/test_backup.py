"""backup.* by Salt's own loaders, on a droplet that is a directory."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.salt_host import Host

PROVIDER = {"host": "cache.team.dev", "user": "app", "ca": "system"}


@pytest.mark.parametrize(
    ("service", "given"),
    [("postgres", "dump"), ("postgres", "data"), ("redis", "cache")],
)
def test_nothing_is_imported_into_a_service_at_a_provider(
    tmp_path: Path, options: dict[str, Any], service: str, given: str
) -> None:
    names = {"postgres": "PostgreSQL", "redis": "Redis"}
    managed = PROVIDER | ({"port": 25060, "database": "bot"} if service == "postgres" else {})
    password = {f"secrets.{service}_app_password": {"value": "AVNS_1"}}
    host = Host(tmp_path, options, {f"{service}.managed": managed} | password)
    host.apply_settings()
    answer, code = host.call("backup.import", **{given: "/root/moving"})
    assert (answer["outcome"], code) == ("refused", 1)
    assert answer["reason"].startswith(f"{names[service]} is at a provider (cache.team.dev:")
    # What is here is no matter of the provider's: the next thing that is asked for is a closed edge.
    other = "cache" if service == "postgres" else "dump"
    answer, _ = host.call("backup.import", **{other: "/root/moving"})
    assert answer["reason"].startswith("the edge is open")


def test_what_does_not_give_a_restore_up_is_refused_in_words(tmp_path: Path, options: dict[str, Any]) -> None:
    host = Host(tmp_path, options)
    host.apply_settings()
    asked: dict[str, dict[str, Any]] = {
        "expected undo=True": {"undo": "please"},
        "given by itself": {"undo": True, "time": "2026-11-25T12:00:00"},
        "about the restore that was begun": {"undo": True, "what": "cache", "to": "live"},
        "the edge is open": {"undo": True},
    }
    for says, arguments in asked.items():
        answer, code = host.call("backup.restore", **arguments)
        assert (answer["outcome"], code) == ("refused", 1)
        assert says in answer["reason"]
