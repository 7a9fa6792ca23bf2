"""How long no colour answered, from the edge's log."""

from marketplace_cutover import measure
from marketplace_edge import Answered


def request(
    end: float, active_ms: int = 20, held_ms: int = 0, retries: int = 0, status: int = 200
) -> Answered:
    return Answered(end, active_ms, held_ms, retries, status, "green")


def test_nothing_was_asked_so_nothing_was_measured() -> None:
    assert measure([], 100, 110) is None
    assert measure([request(99), request(111)], 100, 110) is None
    assert measure([request(105, status=-1)], 100, 110) is None  # the client had gone


def test_requests_that_were_answered_at_once_leave_no_gap() -> None:
    assert measure([request(101), request(102, active_ms=80)], 100, 110) == {
        "milliseconds": 0,
        "requests": 2,
        "failed": 0,
        "slowest_ms": 80,
    }


def test_time_in_which_requests_failed_counts_once() -> None:
    failed = [request(101, 500, status=503), request(101.2, 500, status=502), request(103, 100, status=500)]
    measured = measure([*failed, request(104)], 100, 110)
    assert measured == {"milliseconds": 800, "requests": 4, "failed": 3, "slowest_ms": 500}


def test_time_that_requests_were_held_counts_only_where_a_colour_was_not_there() -> None:
    held = request(102, active_ms=1000, held_ms=700, retries=1)
    assert measure([held], 100, 110) == {
        "milliseconds": 700,
        "requests": 1,
        "failed": 0,
        "slowest_ms": 1000,
    }
    slow = request(102, active_ms=1000, held_ms=700)  # a queue, not a gap
    assert measure([slow], 100, 110)["milliseconds"] == 0  # type: ignore[index]


def test_client_errors_are_no_failure_of_the_server() -> None:
    assert measure([request(101, status=403)], 100, 110)["failed"] == 0  # type: ignore[index]
