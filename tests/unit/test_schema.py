"""What a release does to the schema, as pure logic."""

import pytest
from marketplace_migrations import Migration
from marketplace_schema import backward, forward, kind


def migration(revision: str, *down: str, **how: object) -> Migration:
    known: dict[str, object] = {
        "summary": f"adds {revision}",
        "breaking": False,
        "transactional": True,
        "reversible": True,
        "loses": "",
    }
    return Migration(revision, down, **(known | how))  # type: ignore[arg-type]


PLAN = (migration("1"), migration("2", "1"), migration("3", "2"))


def ids(migrations: tuple[Migration, ...]) -> list[str]:
    return [item.revision for item in migrations]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({}, "expand"),
        ({"transactional": False}, "not transactional"),
        ({"breaking": True}, "breaking"),
        ({"breaking": True, "transactional": False}, "breaking"),
    ],
)
def test_kinds_of_migrations(how: dict[str, object], words: str) -> None:
    assert kind(migration("1", **how)) == words


def test_forward_applies_what_is_missing_in_order() -> None:
    change = forward(["1"], ["3"], PLAN, closed=False)
    assert (ids(change.migrations), change.heads, change.backwards) == (["2", "3"], ("3",), False)
    assert (change.refusals, change.stays, change.loses) == ([], "", [])
    assert ids(forward([], ["3"], PLAN, closed=False).migrations) == ["1", "2", "3"]


def test_forward_leaves_a_schema_that_is_there_or_ahead() -> None:
    assert forward(["3"], ["3"], PLAN, closed=False).migrations == ()
    assert forward(["3"], ["3"], None, closed=False).migrations == ()
    ahead = forward(["9"], ["3"], PLAN, closed=False)
    assert (ahead.migrations, ahead.heads, ahead.refusals) == ((), ("9",), [])
    assert "ahead of this version's 3" in ahead.stays


def test_forward_with_an_image_that_does_not_tell_its_plan() -> None:
    change = forward(["1"], ["3"], None, closed=False)
    assert ids(change.migrations) == ["3"]
    assert not change.migrations[0].reversible


@pytest.mark.parametrize("how", [{"breaking": True}, {"transactional": False}])
def test_forward_needs_maintenance_for_what_live_cannot_bear(how: dict[str, object]) -> None:
    plan = (PLAN[0], migration("2", "1", **how))
    refused = forward(["1"], ["2"], plan, closed=False)
    assert len(refused.refusals) == 1
    assert "migration 2 (adds 2)" in refused.refusals[0]
    assert "maintenance=True" in refused.refusals[0]
    assert forward(["1"], ["2"], plan, closed=True).refusals == []


def test_backward_takes_back_the_newest_first() -> None:
    change = backward(["3"], ["1"], PLAN, maintenance=False, force=False)
    assert (ids(change.migrations), change.heads, change.backwards) == (["3", "2"], ("1",), True)
    assert change.refusals == []
    to_nothing = backward(["1"], [], PLAN, maintenance=False, force=False)
    assert (ids(to_nothing.migrations), to_nothing.heads) == (["1"], ())


def test_backward_leaves_a_schema_that_is_there_or_behind() -> None:
    assert backward(["1"], ["1"], None, False, False).migrations == ()
    behind = backward(["1"], ["3"], PLAN, False, False)
    assert (behind.migrations, behind.refusals) == ((), [])
    assert "behind" in behind.stays


@pytest.mark.parametrize("plan", [None, PLAN[:2]])
def test_backward_with_nobody_who_knows_how(plan: tuple[Migration, ...] | None) -> None:
    refused = backward(["3"], ["1"], plan, False, force=False)
    assert "force_schema=True goes back and leaves the schema there" in refused.refusals[0]
    forced = backward(["3"], ["1"], plan, False, force=True)
    assert (forced.migrations, forced.heads, forced.refusals) == ((), ("3",), [])


def test_backward_stops_at_what_cannot_be_taken_back() -> None:
    plan = (PLAN[0], migration("2", "1", reversible=False, loses="old names"), PLAN[2], migration("4", "3"))
    refused = backward(["4"], ["1"], plan, False, force=False)
    assert "migration 2 (adds 2) cannot be taken back" in refused.refusals[0]
    assert "it has lost old names" in refused.refusals[0]
    forced = backward(["4"], ["1"], plan, False, force=True)
    assert (ids(forced.migrations), forced.heads, forced.refusals) == (["4", "3"], ("2",), [])


def test_backward_says_what_is_lost_before_it_is() -> None:
    plan = (PLAN[0], migration("2", "1", loses="all likes"))
    refused = backward(["2"], ["1"], plan, False, force=False)
    assert refused.refusals == ["taking the schema back loses 2: all likes. force_schema=True accepts that"]
    forced = backward(["2"], ["1"], plan, False, force=True)
    assert (forced.refusals, forced.loses) == ([], ["2: all likes"])


def test_backward_needs_maintenance_for_what_live_cannot_bear() -> None:
    plan = (PLAN[0], migration("2", "1", breaking=True))
    refused = backward(["2"], ["1"], plan, maintenance=False, force=True)
    assert "can only be taken back with maintenance=True" in refused.refusals[0]
    assert backward(["2"], ["1"], plan, maintenance=True, force=False).refusals == []


def test_branches_are_taken_back_down_to_what_is_wanted() -> None:
    plan = (migration("1"), migration("a", "1"), migration("b", "1"), migration("m", "a", "b"))
    change = backward(["m"], ["a", "b"], plan, False, False)
    assert (ids(change.migrations), change.heads) == (["m"], ("a", "b"))
    stuck = (plan[0], migration("a", "1", reversible=False), plan[2], plan[3])
    forced = backward(["m"], ["1"], stuck, False, force=True)
    assert (ids(forced.migrations), forced.heads) == (["m", "b"], ("a",))
