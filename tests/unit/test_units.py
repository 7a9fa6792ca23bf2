import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_units import GIB, KIB, MIB, TIB, format_size, parse_duration, parse_size, rough_size


@pytest.mark.parametrize(
    ("raw", "size"),
    [
        (0, 0),
        (4096, 4096),
        ("4096", 4096),
        ("1K", KIB),
        ("512M", 512 * MIB),
        ("512MiB", 512 * MIB),
        ("1.5G", GIB + GIB // 2),
        ("2T", 2 * TIB),
    ],
)
def test_sizes(raw, size):
    assert parse_size(raw) == size


@pytest.mark.parametrize(
    "raw", ["", "M", "4GB", "4 G", "-1", -1, 1.5, True, None, [], "4g", "٤G", "1e3", "4G\n", "0x10"]
)
def test_what_is_no_size(raw):
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(raw)


@given(st.integers(0, 2**60))
def test_a_size_that_is_shown_exactly_reads_back(size):
    text = format_size(size)
    if "." not in text:
        assert parse_size(text) == size
    else:
        assert abs(parse_size(text) - size) <= size * 0.05


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0"), (100, "100"), (KIB, "1K"), (1536 * MIB, "1536M"), (GIB + 1, "1.0G")]
)
def test_shown_sizes(size, text):
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0M"), (1536 * KIB, "2M"), (GIB, "1G"), (1536 * MIB, "1.5G"), (TIB, "1024G"), (1.0e9, "954M")],
)
def test_sizes_to_be_compared(size, text):
    assert rough_size(size) == text


@pytest.mark.parametrize(
    ("raw", "seconds"), [(0, 0), (90, 90), ("90", 90), ("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400)]
)
def test_durations(raw, seconds):
    assert parse_duration(raw) == seconds


@pytest.mark.parametrize("raw", ["", "s", "5 m", "1.5h", "5min", -1, 1.5, True, None, {}])
def test_what_is_no_duration(raw):
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(raw)
