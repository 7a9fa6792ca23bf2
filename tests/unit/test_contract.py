"""What an image's labels declare, and the migrations that its plan prints."""

import json
from typing import Any

import pytest
from marketplace_contract import Contract, ContractError, parse_contract, wrong_variables
from marketplace_migrations import Migration, UnknownRevision, between, parse_plan, pending

LABELS = {
    "marketplace.contract": "1",
    "marketplace.port": "8080",
    "marketplace.health.live": "/health/live",
    "marketplace.health.ready": "/health/ready",
    "marketplace.version.path": "/version",
    "marketplace.migrate": '["migrate"]',
    "marketplace.migrate.current": '["current"]',
    "marketplace.migrate.heads": '["heads"]',
}
OPTIONAL = {
    "marketplace.migrate.plan": "migrate_plan",
    "marketplace.migrate.down": "migrate_down",
    "marketplace.worker": "worker",
    "marketplace.before": "before",
    "marketplace.after": "after",
}


def parse(labels: dict[str, str]) -> Contract:
    return parse_contract("image", labels, 8080, has_healthcheck=True)


def test_what_is_optional_may_be_missing_or_empty() -> None:
    for labels in (LABELS, LABELS | dict.fromkeys(OPTIONAL, "")):
        contract = parse(labels)
        assert [getattr(contract, name) for name in OPTIONAL.values()] == [None] * len(OPTIONAL)
    assert (contract.migrate, contract.migrate_current, contract.migrate_heads) == (
        ("migrate",),
        ("current",),
        ("heads",),
    )


def test_what_is_optional_is_read() -> None:
    contract = parse(LABELS | {label: json.dumps([name, "--now"]) for label, name in OPTIONAL.items()})
    for name in OPTIONAL.values():
        assert getattr(contract, name) == (name, "--now")


@pytest.mark.parametrize("value", ["python -m hook", "[]", '["a", 1]', '{"a": 1}', '"hook"'])
def test_a_command_that_is_no_list_is_named_with_an_example(value: str) -> None:
    with pytest.raises(ContractError) as caught:
        parse(LABELS | dict.fromkeys(OPTIONAL, value))
    assert len(caught.value.problems) == len(OPTIONAL)
    for label, problem in zip(OPTIONAL, sorted(caught.value.problems, key=_place), strict=True):
        assert f"label {label} is '{value}', expected a JSON list of strings such as [\"" in problem


def _place(problem: str) -> int:
    return list(OPTIONAL).index(problem.split()[1])


def test_a_contract_survives_the_journal() -> None:
    for labels in (LABELS, LABELS | {"marketplace.before": '["check"]', "marketplace.environment": "A B"}):
        contract = parse(labels)
        assert Contract.from_dict(json.loads(json.dumps(contract.to_dict()))) == contract


def test_an_older_trees_journal_is_read() -> None:
    old = {
        "migrate": ["m"],
        "migrate_current": ["c"],
        "migrate_heads": ["h"],
        "worker": None,
        "environment": [],
    }
    assert Contract.from_dict(old) == Contract(("m",), ("c",), ("h",), None, ())


def entry(revision: str, *down: str, **more: Any) -> dict[str, Any]:
    facts = {"summary": "", "breaking": False, "transactional": True, "reversible": True, "loses": ""}
    return {"revision": revision, "down": list(down), **facts, **more}


def plan(*entries: dict[str, Any]) -> tuple[Migration, ...]:
    return parse_plan(json.dumps(entries))


def revisions(found: tuple[Migration, ...]) -> list[str]:
    return [migration.revision for migration in found]


LINE = plan(entry("1"), entry("2", "1"), entry("3", "2"))
# 1 - 2a - 3a - 4 and 1 - 2b - 4; 5 stands alone.
GRAPH = plan(
    entry("1"), entry("2a", "1"), entry("2b", "1"), entry("3a", "2a"), entry("4", "3a", "2b"), entry("5")
)


def test_a_plan_says_what_each_migration_is() -> None:
    found = plan(
        entry("1"),
        entry("2", "1", summary="drop", breaking=True, transactional=False, reversible=False, loses="x"),
    )
    assert found[0] == Migration("1", (), "", False, True, True, "")
    assert found[1] == Migration("2", ("1",), "drop", True, False, False, "x")
    assert parse_plan("[]\n") == ()


def test_words_may_be_left_out() -> None:
    facts = {"breaking": False, "transactional": True, "reversible": True}
    assert plan({"revision": "1", "down": [], **facts}) == (Migration("1", (), "", False, True, True, ""),)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("", "the plan is no JSON"),
        ("Loading ...\n[]", "starts with 'Loading ...\\\\n\\[\\]'"),
        ("{}", "the plan is an object, expected a list"),
        ("null", "the plan is null, expected a list"),
        ('["1"]', "migration 1 of the plan is a string, expected an object"),
        (json.dumps([entry("")]), "has the revision '', expected an id"),
        (json.dumps([entry("base")]), "not 'base'"),
        (json.dumps([entry("-x")]), "does not start with '-'"),
        (json.dumps([entry("a b")]), "without spaces"),
        (json.dumps([entry("1") | {"down": "0"}]), "migration 1 has down='0', expected a list"),
        (json.dumps([entry("1") | {"down": None}]), "migration 1 has down=None"),
        (json.dumps([entry("1", breaking="no")]), "migration 1 has breaking='no', expected true or false"),
        (json.dumps([entry("1", reversible=None)]), "migration 1 has reversible=None"),
        (json.dumps([{"revision": "1", "down": []}]), "migration 1 has breaking=None"),
        (json.dumps([entry("1", loses=True)]), "migration 1 has loses=True, expected words"),
        (json.dumps([entry("1"), entry("1")]), "migration 1 twice"),
        (
            json.dumps([entry("2", "1"), entry("1")]),
            "migration 2 builds on 1, which .* the oldest comes first",
        ),
    ],
)
def test_a_wrong_plan_is_named(output: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_plan(output)


@pytest.mark.parametrize(
    ("current", "lacks"),
    [
        ([], ["1", "2a", "2b", "3a", "4", "5"]),
        (["1"], ["2a", "2b", "3a", "4", "5"]),
        (["3a", "5"], ["2b", "4"]),
        (["2b", "3a"], ["4", "5"]),
        (["4"], ["5"]),
        (["4", "5"], []),
    ],
)
def test_pending_is_what_a_schema_lacks_the_oldest_first(current: list[str], lacks: list[str]) -> None:
    assert revisions(pending(GRAPH, current)) == lacks


def test_pending_of_a_line() -> None:
    assert revisions(pending(LINE, ["2"])) == ["3"]
    assert pending((), []) == ()


@pytest.mark.parametrize(
    ("current", "target", "back"),
    [
        (["4"], ["3a", "2b"], ["4"]),
        (["4"], ["3a"], ["4", "2b"]),
        (["4"], ["1"], ["4", "3a", "2b", "2a"]),
        (["4", "5"], [], ["5", "4", "3a", "2b", "2a", "1"]),
        (["3a"], ["4"], []),
        (["3a"], ["2b"], ["3a", "2a"]),
        ([], ["4"], []),
    ],
)
def test_between_is_what_to_take_back_the_newest_first(
    current: list[str], target: list[str], back: list[str]
) -> None:
    assert revisions(between(GRAPH, current, target)) == back


def test_a_revision_that_the_plan_does_not_know_is_named() -> None:
    with pytest.raises(UnknownRevision, match=r"does not know 7, 9 \(its newest is 3\)") as caught:
        pending(LINE, ["9", "2", "7"])
    assert caught.value.revisions == ("7", "9")
    with pytest.raises(UnknownRevision, match="does not know 8"):
        between(LINE, ["3"], ["8"])
    with pytest.raises(UnknownRevision, match=r"does not know 1 \(it has none\)"):
        between((), ["1"], [])


def test_variables_that_are_missing_or_malformed_are_named_without_their_values() -> None:
    declared = ("HOST", "WORKERS:number", "PAY:url", "DEBUG:flag", "OK:number")
    given = {"HOST": " ", "WORKERS": "many", "PAY": "pay.test/secret", "DEBUG": "yes", "OK": "0.5"}
    wrong = wrong_variables(declared, given)
    assert [words.split()[0] for words in wrong] == ["HOST", "WORKERS", "PAY", "DEBUG"]
    assert "missing" in wrong[0]
    assert "secret" not in str(wrong)


def test_kind_of_variable_that_nobody_knows_is_a_problem() -> None:
    labels = LABELS | {"marketplace.environment": "PAY:uri"}
    with pytest.raises(ContractError, match="PAY:uri"):
        parse_contract("image", labels, 8080, has_healthcheck=True)
