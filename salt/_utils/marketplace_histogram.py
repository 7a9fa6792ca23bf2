"""How long things took, counted into buckets of one size ratio: small, and added up without loss. Pure.

Also the guess at such counts where only number, mean and deviation are known.
"""

import math
from collections.abc import Iterable, Mapping

Histogram = Mapping[int, float]

# Bucket i ends at 2 ** (i / 2) ms: what it says is at most 41% too much, and interpolated a good deal less.
_PER_DOUBLING = 2
# From 0.06 ms to 262 s; what is beyond counts as the last of them.
LEAST, MOST = -8, 36
# Of less than this no bucket of a guess is made.
_CRUMB = 0.1


def upper(index: int) -> float:
    """Where a bucket ends, in milliseconds; itself included."""
    return math.exp2(index / _PER_DOUBLING)


def bucket(milliseconds: float) -> int:
    """The bucket that a duration belongs to."""
    if milliseconds <= upper(LEAST):
        return LEAST
    # Less a hair, so that a bucket's own end is in it whatever the logarithm rounds to.
    return min(MOST, math.ceil(_PER_DOUBLING * math.log2(milliseconds) - 1e-9))


def counted(durations: Iterable[float]) -> dict[int, float]:
    """The histogram of durations in milliseconds."""
    found: dict[int, float] = {}
    for duration in durations:
        index = bucket(duration)
        found[index] = found.get(index, 0.0) + 1
    return found


def percentile(histogram: Histogram, percent: float) -> float | None:
    """The duration (milliseconds) that ``percent`` of all stay below; None where there are none.

    Within a bucket they are taken to lie evenly, on the scale of the buckets.
    """
    whole = sum(histogram.values())
    if whole <= 0:
        return None
    wanted, passed = whole * percent / 100, 0.0
    for index in sorted(histogram):
        inside = histogram[index]
        if inside and passed + inside >= wanted:
            return math.exp2((index - 1 + (wanted - passed) / inside) / _PER_DOUBLING)
        passed += inside
    return upper(max(histogram))


def guessed(count: float, mean: float, deviation: float) -> dict[int, float]:
    """The histogram that so many durations of that mean and standard deviation (milliseconds) may have had.

    They are taken to be log-normal, as durations mostly are: many short ones, a long tail.
    """
    if count <= 0:
        return {}
    shape = _shape(mean, deviation)
    if shape is None:
        return {bucket(mean): count}
    ends = [_below(upper(index), *shape) for index in range(LEAST, MOST)]
    parts = [after - before for before, after in zip([0.0, *ends], [*ends, 1.0], strict=True)]
    found = {LEAST + number: count * part for number, part in enumerate(parts) if count * part >= _CRUMB}
    middle = bucket(math.exp(shape[0]))
    found[middle] = found.get(middle, 0.0) + count - sum(found.values())
    return found


def guessed_above(limit: float, count: float, mean: float, deviation: float) -> float:
    """How many of them may have taken longer than ``limit`` (milliseconds)."""
    shape = _shape(mean, deviation)
    if shape is None:
        return count if mean > limit else 0.0
    return count * (1 - _below(limit, *shape))


def _shape(mean: float, deviation: float) -> tuple[float, float] | None:
    """Mean and deviation of the logarithm; None where all are as good as equal."""
    if mean <= 0 or deviation / mean < 1e-3:
        return None
    variance = math.log1p((deviation / mean) ** 2)
    return math.log(mean) - variance / 2, math.sqrt(variance)


def _below(milliseconds: float, mean: float, deviation: float) -> float:
    """The share of a log-normal distribution below a duration."""
    return 0.5 * math.erfc((mean - math.log(milliseconds)) / (deviation * math.sqrt(2)))
