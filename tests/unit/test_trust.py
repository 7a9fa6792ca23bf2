"""What the live release was started with, from what releases leave behind."""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from marketplace_ledger import Ledger
from marketplace_paths import Paths
from marketplace_records import ReleaseRecord
from marketplace_service_authority import Trust
from marketplace_trust import trust, unencrypted_release

STARTED = "2026-11-24T12:00:00+00:00"
AT = datetime.fromisoformat(STARTED).timestamp()
ONE, OTHER = (
    f"-----BEGIN CERTIFICATE-----\n{word}\n-----END CERTIFICATE-----\n" for word in ("one", "other")
)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path)


def ship(paths: Paths, release: str, variables: dict[str, Any] | None, outcome: str = "live") -> None:
    Ledger(paths.ledger).append(
        ReleaseRecord(
            release, "1.0", "i@sha256:0", None, outcome, "", "blue", {"before": None, "after": None},
            "alice", "abc", STARTED, 1.0, "sha256:0",
        )
    )  # fmt: skip
    if variables is not None:
        directory = paths.releases / release
        directory.mkdir(parents=True)
        document = {"services": {"backend": {"environment": variables}}}
        (directory / "compose.yaml").write_text(json.dumps(document))


def deliver(paths: Paths, text: str, at: float) -> None:
    file = paths.delivered / "backend/ca.pem"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (at, at))


def test_without_a_live_release_nobody_needs_the_old_way(paths: Paths) -> None:
    assert unencrypted_release(paths) is None
    ship(paths, "20261124T000000Z", {}, outcome="failed")
    assert unencrypted_release(paths) is None


def test_what_the_live_container_was_started_with_decides(paths: Paths) -> None:
    ship(paths, "20261124T000000Z", {"REDIS_PORT": "6379"})
    live = unencrypted_release(paths)
    assert live is not None
    assert live.release == "20261124T000000Z"
    ship(paths, "20261124T000001Z", {"REDIS_TLS": "true"})
    assert unencrypted_release(paths) is None
    # One that failed changes nothing.
    ship(paths, "20261124T000002Z", {}, outcome="rolled_back")
    assert unencrypted_release(paths) is None


def test_what_is_not_known_is_not_taken_away(paths: Paths) -> None:
    ship(paths, "20261124T000000Z", None)
    assert unencrypted_release(paths) is not None


def test_a_release_trusts_what_was_there_when_it_began(paths: Paths) -> None:
    assert trust(paths, ONE) == Trust(live=False, successor=False)
    ship(paths, "20261124T000000Z", {})
    assert trust(paths, ONE) == Trust(live=True, successor=False)
    deliver(paths, OTHER + ONE, AT + 1)
    assert trust(paths, ONE).successor is False
    deliver(paths, OTHER + ONE, AT - 1)
    assert trust(paths, ONE).successor is True
    deliver(paths, OTHER, AT - 1)
    assert trust(paths, ONE).successor is False
    assert trust(paths, None).successor is False
