"""A row of numbers as a row of characters, the larger the higher. Pure."""

from collections.abc import Sequence

_BARS = "▁▂▃▄▅▆▇█"
_ASCII = "_.-:=+*#"
# Where there is no number.
_NOTHING = {True: "·", False: " "}


def sparkline(
    values: Sequence[float | None], unicode: bool, least: float | None = None, most: float | None = None
) -> str:
    """One character a value.

    Args:
        unicode: whether the reader can show bars; else there are ASCII characters of growing weight.
        least, most: what the lowest and the highest character stand for; by default the smallest and the largest value.
            What is beyond is shown as they are.
    """
    known = [value for value in values if value is not None]
    if not known:
        return _NOTHING[unicode] * len(values)
    bottom = min(known) if least is None else least
    top = max(known) if most is None else most
    steps = _BARS if unicode else _ASCII
    return "".join(
        _NOTHING[unicode] if value is None else steps[_step(value, bottom, top, len(steps))]
        for value in values
    )


def _step(value: float, bottom: float, top: float, steps: int) -> int:
    if top <= bottom:
        return 0
    share = (value - bottom) / (top - bottom)
    return min(steps - 1, max(0, int(share * steps)))
