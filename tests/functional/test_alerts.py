"""alerts.test and health.check, through Salt's own loader."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.salt_host import Host


def test_where_nobody_is_told_the_test_says_how_to_change_that(host: Host) -> None:
    answer, code = host.call("alerts.test")
    assert code == 1
    assert "run state.apply" in answer["reason"]
    host.apply_settings()
    answer, code = host.call("alerts.test")
    assert (code, answer["told"]) == (1, False)
    assert "alerts.telegram.chat" in answer["reason"]


@pytest.mark.parametrize("age", [1, 3600])
def test_health_shows_what_the_watchdog_has_found(host: Host, age: int) -> None:
    finding = {
        "name": "resource.disk",
        "service": "redis",
        "severity": "warning",
        "summary": "the disk of redis is 81% full",
        "cause": "",
        "command": "du",
    }
    shown = {
        "looked": time.time() - age,
        "trouble": "",
        "alerts": [{"finding": finding, "since": 1_700_000_000.0}],
        "figures": {"webhook": {"registered": True, "pending_update_count": 4}},
    }
    host.paths.watched.parent.mkdir(parents=True, exist_ok=True)
    host.paths.watched.write_text(json.dumps(shown))
    answer, _ = host.call("health.check")
    if age == 1:
        assert answer["alerts"] == [finding | {"since": "2023-11-14T22:13:20+00:00"}]
        assert answer["watch"] == {"watching": True, "problem": None}
        assert answer["webhook"] == {"registered": True, "pending": 4, "last_error": None}
    else:
        assert answer["alerts"] == []
        assert "nobody watches" in answer["watch"]["problem"]
        assert answer["webhook"] is None
    assert answer["backups"]["newest"] == dict.fromkeys(("postgres", "dump", "redis", "house"))
    assert answer["droplet"]["uptime_seconds"] > 0
