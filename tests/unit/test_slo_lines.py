"""The record's lines: read twice or in another order they say the same, and a day's line says what its minutes did."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_slo import share_up, tallied
from marketplace_slo_lines import (
    DAY,
    MOST_SPANS,
    Line,
    added,
    clipped,
    histogram,
    length,
    merged,
    named,
    pieces,
    read,
    rolled,
    united,
    written,
)

MIDNIGHT = 1_700_006_400
SPANS = st.lists(
    st.tuples(st.integers(0, 500), st.integers(0, 500)).map(
        lambda pair: (float(min(pair)), float(max(pair)))
    ),
    max_size=12,
)
COUNTS = st.dictionaries(
    st.sampled_from(["up", "planned", "probes", "answers", "answers.5xx", "answers~7"]),
    st.integers(0, 1000).map(float),
)


@st.composite
def lines(draw, writers=("one-1", "two-2")):
    at = MIDNIGHT + 60 * draw(st.integers(0, 4))
    down = united((MIDNIGHT + begin, MIDNIGHT + end) for begin, end in draw(SPANS))
    return Line(at, draw(st.sampled_from(writers)), at + draw(st.integers(0, 60)), down, draw(COUNTS))


ROWS = st.lists(lines(), max_size=12)


@given(SPANS)
def test_united_spans_are_apart_and_as_long_as_the_time_they_cover(spans):
    found = united(spans)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(found))
    covered = {second for begin, end in spans for second in range(int(begin), int(end))}
    assert length(found) == len(covered)
    assert united(found) == found


@given(SPANS, st.integers(0, 500), st.integers(0, 500))
def test_what_is_clipped_and_what_is_not_add_up(spans, first, second):
    since, until = sorted((first, second))
    parts = (clipped(spans, 0, since), clipped(spans, since, until), clipped(spans, until, 500))
    assert sum(map(length, parts)) == length(united(spans))


@given(st.floats(0, 1e9), st.floats(0, 1e5))
def test_pieces_are_the_whole(since, seconds):
    found = list(pieces(since, since + seconds, 60))
    assert sum(end - begin for _, (begin, end) in found) == pytest.approx(seconds, abs=1e-3)
    assert all(at <= begin and end <= at + 60 for at, (begin, end) in found)


@given(ROWS, st.randoms())
def test_what_is_merged_does_not_depend_on_order_or_on_copies(rows, chance):
    once = merged(rows)
    again = [*rows, *once]
    chance.shuffle(again)
    assert merged(again) == once
    assert merged(merged(rows)) == once


@given(ROWS, ROWS)
def test_two_records_that_overlap_are_one(one, other):
    assert merged([*merged(one), *merged(other)]) == merged([*other, *one])


@given(ROWS)
def test_a_day_says_what_its_minutes_did(rows):
    once = merged(rows)
    day = rolled(once, MIDNIGHT)
    assert tallied([day]) == pytest.approx(tallied(once))
    # Behind it, its minutes count no more; rolled again, it is the same.
    assert merged([*once, day]) == [day]
    assert rolled([day], MIDNIGHT) == day


def test_a_day_of_many_outages_keeps_the_longest_and_the_sum():
    down = tuple(
        (MIDNIGHT + 60.0 * number, MIDNIGHT + 60.0 * number + 1 + number % 7) for number in range(300)
    )
    line = Line(MIDNIGHT, "one-1", MIDNIGHT + 1.0, down)
    day = rolled([line], MIDNIGHT)
    assert len(day.down) == MOST_SPANS
    assert min(end - begin for begin, end in day.down) == 5
    assert tallied([day])["down"] == pytest.approx(tallied([line])["down"])
    assert len(written(day)) < 4000


@given(ROWS)
def test_the_share_is_a_share(rows):
    share = share_up(tallied(merged(rows)))
    assert share is None or 0 <= share <= 1


@given(st.lists(lines(), min_size=1))
def test_what_is_written_is_read(rows):
    once = merged(rows)
    known = merged(read("".join(map(written, once))))
    assert [tallied([line])["down"] for line in known] == pytest.approx(
        [tallied([line])["down"] for line in once]
    )
    counts = added(line.counts for line in once)
    kept = added(line.counts for line in known)
    assert {name: kept.get(name, 0) for name in counts} == counts


def test_what_can_not_be_read_is_passed_over():
    whole = written(Line(MIDNIGHT, "one-1", MIDNIGHT + 60.0, ((1.0, 2.5),), {"up": 57.5}))
    cut = whole[:-9]
    other = '{"at": 1}\n[]\n{"at": 1, "by": "x", "to": 2, "n": {"up": "many"}}\n\x00\x00\n'
    assert read(whole + cut + "\n" + other + whole) == [*read(whole), *read(whole)]
    assert read(whole)[0] == Line(MIDNIGHT, "one-1", MIDNIGHT + 60.0, ((1.0, 2.5),), {"up": 57.5})


def test_a_histogram_is_among_the_counts():
    counts = {**named("answers", {-3: 2.0, 7: 1.0}), **named("queries", {7: 5.0}), "answers.2xx": 3.0}
    assert histogram(counts, "answers") == {-3: 2.0, 7: 1.0}


def test_a_busy_minute_is_small():
    chance = random.Random(1)  # noqa: S311
    buckets = {index: chance.random() * 100 for index in range(-8, 37)}
    counts = {"up": 60.0, "probes": 6.0, **named("answers", buckets), **named("queries", buckets)}
    assert len(written(Line(MIDNIGHT + DAY, "0123abcd-1700006400", 0.0, (), counts))) < 2000
