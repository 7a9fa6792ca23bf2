"""Log segments: names, gaps, timelines."""

from hypothesis import given
from hypothesis import strategies as st
from marketplace_wal import Chain, Segment, ancestors, chain


def segments(timeline, *numbers):
    return [Segment(timeline, number) for number in numbers]


@given(st.integers(1, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF * 256 + 255))
def test_a_name_is_read_as_it_is_written(timeline, number):
    segment = Segment(timeline, number)
    assert len(segment.name) == 24
    assert Segment.parse(segment.name) == segment


def test_the_log_number_counts_four_gigabytes():
    assert Segment.parse("000000010000000200000003") == Segment(1, 2 * 256 + 3)


def test_other_files_are_no_segments():
    for name in ("00000002.history", "000000010000000000000003.partial", "postgres-xlog.db", ""):
        assert Segment.parse(name) is None


def test_a_whole_log_has_no_gap():
    assert chain(segments(1, 3, 4, 5, 6), {}, Segment(1, 4)) == Chain(Segment(1, 6), ())


def test_each_gap_is_named_once_and_ends_what_can_be_reached():
    found = chain(segments(1, 3, 4, 7, 9), {}, Segment(1, 3))
    assert found.last == Segment(1, 4)
    assert found.gaps == ((Segment(1, 5), Segment(1, 6)), (Segment(1, 8), Segment(1, 8)))


def test_a_first_segment_that_is_missing_is_a_gap():
    assert chain(segments(1, 5), {}, Segment(1, 4)) == Chain(None, ((Segment(1, 4), Segment(1, 4)),))
    assert chain([], {}, Segment(1, 4)).last is None


def test_a_history_names_where_each_ancestor_was_left():
    text = "1\t0/5000060\tbefore 2026-11-25\n\n2\t1/0A000000\tno recovery target specified\n"
    assert ancestors(text) == {1: 5, 2: 256 + 10}


def test_a_restored_server_goes_on_in_a_timeline_of_its_own():
    # Timeline 1 was left within segment 5, which timeline 2 has as well.
    present = segments(1, 3, 4) + segments(2, 5, 6)
    assert chain(present, {2: {1: 5}}, Segment(1, 3)) == Chain(Segment(2, 6), ())


def test_what_was_written_after_a_timeline_was_left_is_not_needed():
    present = segments(1, 3, 4, 5, 9) + segments(2, 5, 6)
    assert chain(present, {2: {1: 5}}, Segment(1, 3)) == Chain(Segment(2, 6), ())


def test_a_gap_in_the_middle_of_timelines_is_found():
    present = segments(1, 3) + segments(2, 5) + segments(3, 7)
    found = chain(present, {2: {1: 5}, 3: {1: 5, 2: 7}}, Segment(1, 3))
    assert found.gaps == ((Segment(1, 4), Segment(1, 4)), (Segment(2, 6), Segment(2, 6)))
    assert found.last == Segment(1, 3)


def test_a_timeline_that_goes_another_way_is_left_alone():
    # Both 2 and 3 come from 1: the newest is what the server is on.
    present = segments(1, 3, 4) + segments(2, 5) + segments(3, 4, 5)
    assert chain(present, {2: {1: 5}, 3: {1: 4}}, Segment(1, 3)) == Chain(Segment(3, 5), ())


def test_the_log_reaches_up_to_what_is_just_being_received():
    found = chain(segments(1, 3, 4), {}, Segment(1, 3), segments(1, 7, 6))
    assert found == Chain(Segment(1, 4), ((Segment(1, 5), Segment(1, 5)),))
    assert chain(segments(1, 3, 4), {}, Segment(1, 3), segments(1, 5)).gaps == ()
    # What is put away and still received by the next look is no gap, nor is what another timeline left behind.
    assert chain(segments(1, 3, 4), {}, Segment(1, 3), segments(1, 4, 5)) == Chain(Segment(1, 4), ())
    assert chain(segments(2, 5, 6), {2: {1: 5}}, Segment(2, 5), segments(1, 9)) == Chain(Segment(2, 6), ())
    # A timeline of which nothing was finished yet.
    assert chain(segments(1, 3, 4), {2: {1: 5}}, Segment(1, 3), segments(2, 5)) == Chain(Segment(1, 4), ())
