"""What is an alarm in a soak, and what is not."""

from dataclasses import replace

import pytest
from marketplace_container import ContainerState
from marketplace_edge import Counters
from marketplace_soak import Baseline, containers_alarm, errors_alarm, webhook_alarm

BASELINE = Baseline(Counters(100, 10), {"backend-green": 0, "worker-green": 2}, 4, 1000.0)


def state(name: str, restarts: int = 0) -> ContainerState:
    return ContainerState(name, "running", "healthy", 0, restarts, False, "2026-01-01T00:00:00Z", "i", {})


STATES = {"backend-green": state("backend-green"), "worker-green": state("worker-green", 2)}


def test_containers_that_go_on_are_no_alarm() -> None:
    assert containers_alarm(BASELINE, STATES) is None
    starting = replace(STATES["backend-green"], health="starting")
    assert containers_alarm(BASELINE, STATES | {"backend-green": starting}) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"oom_killed": True}, "worker-green was killed, most likely for using more than its memory limit"),
        ({"restarts": 3, "exit_code": 4}, "worker-green exited with code 4 and was started again (1 times)"),
        ({"restarts": 3, "exit_code": 137}, "worker-green was killed, most likely for using more than"),
        ({"status": "exited", "exit_code": 3}, "worker-green is exited (exit code 3)"),
        ({"health": "unhealthy"}, "fails its own health check"),
    ],
)
def test_containers_that_are_unwell_are_an_alarm(changes: dict[str, object], words: str) -> None:
    unwell = replace(STATES["worker-green"], **changes)  # type: ignore[arg-type]
    assert words in str(containers_alarm(BASELINE, STATES | {"worker-green": unwell}))
    assert containers_alarm(BASELINE, {"worker-green": STATES["worker-green"]}) == (
        "container backend-green is gone"
    )


@pytest.mark.parametrize(
    ("answers", "errors", "percent", "alarm"),
    [
        (0, 0, 5, False),
        (2, 2, 5, False),  # a single update that fails is repeated by Telegram
        (3, 3, 5, True),
        (60, 3, 5, True),
        (61, 3, 5, False),
        (1000, 49, 5, False),
        (1000, 50, 5, True),
        (1000, 999, 100, False),
        (3, 3, 0, True),
    ],
)
def test_share_of_errors(answers: int, errors: int, percent: int, alarm: bool) -> None:
    found = errors_alarm(BASELINE, Counters(100 + answers, 10 + errors), percent)
    assert bool(found) is alarm
    if found:
        assert f"{errors} of {answers} requests failed" in found


def test_haproxy_that_was_restarted_counts_anew() -> None:
    assert errors_alarm(BASELINE, Counters(5, 0), 5) is None


@pytest.mark.parametrize(
    ("info", "alarm"),
    [
        (None, False),
        ({}, False),
        ({"pending_update_count": 500}, False),
        ({"pending_update_count": 500, "last_error_date": 1000}, False),
        ({"pending_update_count": 9, "last_error_date": 1001, "last_error_message": "Bad Gateway"}, False),
        ({"pending_update_count": 10, "last_error_date": 1001, "last_error_message": "Bad Gateway"}, True),
    ],
)
def test_telegrams_errors_count_since_the_switch(info: dict[str, object] | None, alarm: bool) -> None:
    found = webhook_alarm(BASELINE, info)
    assert bool(found) is alarm
    if found:
        assert found == "Telegram reports 'Bad Gateway', 10 updates wait there"


def test_edge_that_was_reloaded_counts_from_zero_again() -> None:
    busy = replace(BASELINE, counters=Counters(100_000, 500))
    assert errors_alarm(busy, Counters(900, 2), 5) is None
    assert "400 of 400" in str(errors_alarm(busy, Counters(400, 400), 5))
