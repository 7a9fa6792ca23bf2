"""Figures over a log of requests: windows, percentiles, gaps."""

from __future__ import annotations

import pytest

from tests.support.load.entry import Entry, acknowledged, parse
from tests.support.load.figures import Window, around, figures, longest_gap, outside, percentile


def entry(start: float, ms: float = 10.0, status: int | None = 200, **others: object) -> Entry:
    known = {
        "update_id": int(start * 1000), "chat": 1, "text": "/mine", "attempt": 1, "error": "",
        "connection": "reused", "reply": "", "right": True,
    }  # fmt: skip
    return Entry(start=start, ms=ms, status=status, **(known | others))  # type: ignore[arg-type]


def test_line_is_read_back_and_half_a_line_is_left_out() -> None:
    first, second = entry(1.0, reply="Ünïcode\u2028"), entry(2.0)
    assert parse(first.line() + second.line() + '{"update_id": 3') == [first, second]


def test_update_that_was_sent_twice_is_acknowledged_by_its_good_answer() -> None:
    bad, good = entry(1.0, status=502), entry(1.0, attempt=2)
    assert acknowledged([bad, good]) == {1000: good}
    assert acknowledged([bad]) == {}


@pytest.mark.parametrize(
    ("values", "part", "expected"),
    [
        ([], 0.5, None),
        ([7.0], 0.99, 7.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([float(number) for number in range(1, 101)], 0.99, 99.0),
        ([float(number) for number in range(1, 101)], 1, 100.0),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], part: float, expected: float | None) -> None:
    assert percentile(values, part) == expected


def test_failures_are_counted_by_kind_and_are_in_no_latency() -> None:
    found = figures(
        [
            entry(1.0, 10, connection="new"),
            entry(1.1, 9000, status=502),
            entry(1.2, 9000, status=None, error="answer: ConnectionResetError"),
            entry(1.3, 20, right=False),
        ]
    )
    assert (found.requests, found.failed, found.wrong, found.connections) == (4, 2, 1, 1)
    assert found.failures == {"HTTP 502": 1, "answer: ConnectionResetError": 1}
    assert (found.p50_ms, found.slowest_ms) == (10, 20)
    assert "4 requests, 2 failed, 1 x HTTP 502, 1 x answer: ConnectionResetError" in str(found)


def test_window_has_what_was_under_way_within_it() -> None:
    slow, before, within = entry(1.0, 5000), entry(1.0), entry(3.0)
    found = figures([before, within, slow], [Window(2.0, 4.0)])
    assert found.requests == 2
    assert found.slowest_ms == 5000


def test_nothing_at_all_has_no_figures() -> None:
    found = figures([])
    assert (found.requests, found.failed, found.p99_ms, found.gap_ms) == (0, 0, None, None)
    assert "p99 none" in str(found)


def test_gap_reaches_to_the_edges_of_its_window() -> None:
    entries = [entry(1.0, 0), entry(2.0, 0), entry(2.5, 0, status=502)]
    assert longest_gap(entries, Window(1.0, 2.0)) == 1000
    assert longest_gap(entries, Window(1.0, 5.0)) == 3000
    assert longest_gap([], Window(1.0, 5.0)) == 4000


def test_what_is_outside_of_releases_is_at_rest() -> None:
    entries = [entry(0.0, 0), entry(10.0, 0)]
    assert outside(entries, []) == [Window(0, 10)]
    assert outside(entries, [Window(6, 7), Window(2, 3)]) == [Window(0, 2), Window(3, 6), Window(7, 10)]
    assert outside(entries, [Window(-1, 4), Window(3, 11)]) == []
    assert outside([], [Window(1, 2)]) == []


def test_requests_around_moments_are_laid_over_one_another() -> None:
    asked = [
        entry(99.5, 10),
        entry(100.2, 30),
        entry(199.6, 20),
        entry(200.9, 50),
        entry(200.1, 9, status=503),
    ]
    assert around(asked, [100.0, 200.0], before=1, after=2, width=1) == [
        (-1, 10, 20, 20),
        (0, 30, 50, 50),
        (1, None, None, None),
    ]
