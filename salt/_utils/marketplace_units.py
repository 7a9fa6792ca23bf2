"""Sizes and durations as people write them, and as the rest of the tree reads them (bytes, seconds)."""

import re

KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40

_SIZE_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}
SIZE = r"([0-9]+(?:\.[0-9]+)?)([KMGT]?)(?:iB)?"
_DURATION_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
DURATION = r"([0-9]+)([smhd]?)"


def parse_size(raw: object) -> int:
    """Bytes of ``raw``: an integer number of bytes, or a number with K, M, G or T (binary: 1K is 1024).

    Raises:
        ValueError: ``raw`` is no size; the message doesn't repeat it.
    """
    if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
        return raw
    match = re.fullmatch(SIZE, raw) if isinstance(raw, str) else None
    if match is None:
        raise ValueError("is not a size: a number of bytes, or a number with K, M, G or T (1K is 1024 bytes)")
    return int(float(match[1]) * _SIZE_UNITS[match[2]])


def format_size(size: int) -> str:
    """``size`` bytes for people: the largest unit that keeps it exact, else one decimal place."""
    for unit in ("T", "G", "M", "K"):
        if size and size % _SIZE_UNITS[unit] == 0:
            return f"{size // _SIZE_UNITS[unit]}{unit}"
    for unit in ("T", "G", "M", "K"):
        if size >= _SIZE_UNITS[unit]:
            return f"{size / _SIZE_UNITS[unit]:.1f}{unit}"
    return str(size)


def amount(size: float) -> str:
    """``size`` bytes as they are told while something runs: ``312.5M``, ``17 bytes``."""
    return f"{round(size)} bytes" if size < KIB else format_size(round(size))


def rough_size(size: float) -> str:
    """``size`` bytes as people compare them: ``1.5G``, ``20G``, ``312M``."""
    return f"{size / GIB:.1f}".removesuffix(".0") + "G" if size >= GIB else f"{size / MIB:.0f}M"


def parse_duration(raw: object) -> int:
    """Seconds of ``raw``: an integer number of seconds, or a number with s, m, h or d.

    Raises:
        ValueError: ``raw`` is no duration; the message doesn't repeat it.
    """
    if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
        return raw
    match = re.fullmatch(DURATION, raw) if isinstance(raw, str) else None
    if match is None:
        raise ValueError("is not a duration: a number of seconds, or a number with s, m, h or d")
    return int(match[1]) * _DURATION_UNITS[match[2]]
