"""How long queries took, from what PostgreSQL counts of each statement."""

import json
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_statements import Statement, question, read, since, summed


class Server:
    """A server that gives one answer."""

    def __init__(self, answer):
        self.answer, self.asked = answer, ""

    def script(self, database, text, timeout):
        assert database == "postgres"
        self.asked = text
        return json.dumps(self.answer)


def counted(*durations):
    """What the server counts of them."""
    row = ["1/2/true", len(durations), sum(durations), statistics.pstdev(durations)]
    return read(Server([row]), "app")


def test_it_is_asked_for_one_role_only_where_there_is_something_to_ask():
    assert read(Server(None), "app") is None
    server = Server([])
    assert read(server, "o'app") == {}
    assert "rolname = 'o''app'" in server.asked
    assert question("app").index("\\if") < question("app").index("FROM pg_stat_statements")


DURATIONS = st.lists(st.floats(0.01, 1e5), min_size=1, max_size=30)


@given(DURATIONS, DURATIONS)
def test_what_came_in_between_is_as_if_it_were_alone(before, after):
    found = since(counted(*before), counted(*before, *after))[0]
    assert found.calls == len(after)
    assert found.total == pytest.approx(sum(after), rel=1e-6)
    assert found.squares == pytest.approx(sum(one**2 for one in after), rel=1e-4, abs=1e-3 * sum(before) ** 2)


def test_what_was_counted_anew_counts_as_it_is():
    old = {"a": Statement(10, 100, 2000), "b": Statement(3, 30, 300), "gone": Statement(1, 1, 1)}
    new = {"a": Statement(4, 40, 500), "b": Statement(3, 30, 300), "c": Statement(1, 7, 49)}
    assert since(old, new) == [Statement(4, 40, 500), Statement(1, 7, 49)]


def test_the_sum_of_statements():
    # One alone took as long as it took; a hundred that are all alike, too.
    found = summed([Statement(1, 700, 490_000), Statement(100, 400, 1600)], 500)
    assert (found["count"], found["slow"]) == (101, 1)
    assert sum(found["milliseconds"].values()) == 101
    assert summed([], 500) == {"count": 0, "slow": 0, "milliseconds": {}}
