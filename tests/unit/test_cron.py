"""Cron's five fields: what they mean, what is refused, and clocks that are put forward and back."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from marketplace_cron import Cron, latest

BERLIN = ZoneInfo("Europe/Berlin")
UTC_ZONE = ZoneInfo("UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("time", "after", "expected"),
    [
        ("* * * * *", "2026-01-01T00:00:30", "2026-01-01T00:01:00"),
        ("*/15 * * * *", "2026-01-01T00:15:00", "2026-01-01T00:30:00"),
        ("5/20 * * * *", "2026-01-01T00:26:00", "2026-01-01T00:45:00"),
        ("10 3 * * *", "2026-01-01T03:10:00", "2026-01-02T03:10:00"),
        ("0 9 * * mon-FRI", "2026-01-02T09:00:00", "2026-01-05T09:00:00"),
        ("0 9 * * 7", "2026-01-01T00:00:00", "2026-01-04T09:00:00"),
        ("0 0 29 feb *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("0,30 8-9 1 * *", "2026-01-01T08:30:00", "2026-01-01T09:00:00"),
        # Of a date and a weekday one is enough, unless one of them is left open.
        ("0 0 13 * fri", "2026-01-01T00:00:00", "2026-01-02T00:00:00"),
        ("0 0 */2 * fri", "2026-01-01T00:00:00", "2026-01-09T00:00:00"),
    ],
)
def test_the_next_time(time: str, after: str, expected: str) -> None:
    assert Cron.parse(time).next(at(after), UTC_ZONE) == at(expected)


@pytest.mark.parametrize(
    ("time", "words"),
    [
        ("", "has 0 fields, expected five"),
        ("@daily", "has 1 fields"),
        ("0 3 * * * root", "has 6 fields"),
        ("60 3 * * *", "minute '60' is not from 0 to 59"),
        ("0 24 * * *", "hour '24' is not from 0 to 23"),
        ("0 3 0 * *", "day '0' is not from 1 to 31"),
        ("0 3 * * someday", "weekday 'someday' is not from 0 to 7"),
        ("0 5-3 * * *", "hour '5-3' is no range from low to high"),
        ("*/0 3 * * *", "minute '*/0' is no range"),
        ("*-5 3 * * *", "minute '*-5' is no range"),
        ("0 3, * * *", "hour '' is not *, a number"),
        ("-1 3 * * *", "minute '-1' is not *, a number"),
        ("0 3 30 2 *", "means a day that never comes"),
    ],
)
def test_what_is_no_time_is_refused(time: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("*", r"\*")):
        Cron.parse(time)


def test_the_latest_time_of_those_that_passed() -> None:
    cron = Cron.parse("*/10 * * * *")
    assert latest(cron, UTC_ZONE, at("2026-01-01T00:05:00"), at("2026-01-01T00:34:20")) == at(
        "2026-01-01T00:30:00"
    )
    assert latest(cron, UTC_ZONE, at("2026-01-01T00:30:00"), at("2026-01-01T00:39:59")) is None
    assert latest(cron, UTC_ZONE, at("2026-01-01T00:29:59"), at("2026-01-01T00:30:00")) is not None


def times(time: str, since: str, hours: int) -> list[datetime]:
    """When cron's minutely look finds a time due."""
    cron, begun = Cron.parse(time), at(since)
    looks = [begun + timedelta(minutes=number) for number in range(hours * 60)]
    return [moment for moment in looks if latest(cron, BERLIN, moment - timedelta(minutes=1), moment)]


def test_an_hour_that_clocks_leave_out_comes_at_once() -> None:
    # 2026-03-29 01:00 UTC: Berlin goes from 02:00 to 03:00.
    assert times("30 2 * * *", "2026-03-29T00:00:00", 4) == [at("2026-03-29T01:00:00")]
    assert len(times("30 * * * *", "2026-03-29T00:00:00", 4)) == 4


def test_an_hour_that_comes_twice_counts_once() -> None:
    # 2026-10-25 01:00 UTC: Berlin goes from 03:00 back to 02:00.
    assert times("30 2 * * *", "2026-10-25T00:00:00", 4) == [at("2026-10-25T00:30:00")]
    assert len(times("*/30 * * * *", "2026-10-25T00:00:00", 4)) == 8
