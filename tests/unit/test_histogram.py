"""How long things took, counted into buckets, and the guess at that from mean and deviation."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_histogram import LEAST, MOST, bucket, counted, guessed, guessed_above, percentile, upper

DURATIONS = st.lists(st.floats(0.1, 200_000), min_size=1, max_size=200)


@given(st.floats(0, 1e7))
def test_a_duration_is_in_its_bucket(milliseconds):
    index = bucket(milliseconds)
    assert LEAST <= index <= MOST
    assert milliseconds <= upper(index) * (1 + 1e-9) or index == MOST
    assert milliseconds > upper(index - 1) * (1 - 1e-9) or index == LEAST


def test_a_bucket_has_its_own_end():
    assert [bucket(upper(index)) for index in range(LEAST, MOST + 1)] == list(range(LEAST, MOST + 1))


@given(DURATIONS, st.sampled_from([50, 95, 99]))
def test_a_percentile_is_no_more_than_a_bucket_off(durations, percent):
    exact = sorted(durations)[math.ceil(len(durations) * percent / 100) - 1]
    told = percentile(counted(durations), percent)
    assert exact / math.sqrt(2) * 0.999 <= told <= exact * math.sqrt(2) * 1.001


def test_of_nothing_there_is_no_percentile():
    assert percentile({}, 95) is None
    assert guessed(0, 1, 1) == {}


@given(st.floats(1, 1e6), st.floats(0.01, 1e5), st.floats(0, 1e6))
def test_a_guess_loses_nobody(count, mean, deviation):
    assert sum(guessed(count, mean, deviation).values()) == pytest.approx(count)
    assert 0 <= guessed_above(500, count, mean, deviation) <= count


@pytest.mark.parametrize("deviation", [0.0, 1e-9])
def test_what_is_all_the_same_is_no_guess(deviation):
    assert guessed(7, 600, deviation) == {bucket(600): 7}
    assert guessed_above(500, 7, 600, deviation) == 7
    assert guessed_above(500, 7, 400, deviation) == 0


@pytest.mark.parametrize("slow", [0.0, 0.02, 0.1, 0.2])
@pytest.mark.parametrize("spread", [0.1, 0.8])
def test_a_guess_tells_one_in_twenty_from_fewer_and_more(slow, spread):
    """Queries of some milliseconds of which a share takes two seconds: not log-normal at all."""
    chance = random.Random(5)  # noqa: S311
    durations = [
        math.exp(chance.gauss(math.log(2000 if chance.random() < slow else 4), spread)) for _ in range(20_000)
    ]
    mean, deviation = statistics.fmean(durations), statistics.pstdev(durations)
    share = guessed_above(500, 1.0, mean, deviation)
    assert (share > 0.05) == (slow > 0.05)
    assert share == pytest.approx(slow, abs=0.08)


def test_a_guess_is_right_where_durations_are_as_it_takes_them_to_be():
    chance = random.Random(7)  # noqa: S311
    durations = [math.exp(chance.gauss(math.log(20), 1.0)) for _ in range(20_000)]
    told = guessed(20_000, statistics.fmean(durations), statistics.pstdev(durations))
    for percent in (50, 95, 99):
        exact = sorted(durations)[20_000 * percent // 100]
        assert percentile(told, percent) == pytest.approx(exact, rel=0.2)
