"""The label marketplace.schedule, and which of its jobs are due."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from marketplace_contract import Contract, ContractError, parse_contract
from marketplace_schedule import EXAMPLE, TIMEOUT, Job, due, parse_schedule

from tests.simulation.images import LABELS

ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 1, 1, 3, 10, 20, tzinfo=UTC)
GOOD = {"name": "expire", "command": ["expire", "--all"], "time": "10 3 * * *", "timeout": 60}


def test_a_schedule_is_read() -> None:
    assert parse_schedule("") == ((), [])
    assert parse_schedule(json.dumps([GOOD])) == ((Job("expire", ("expire", "--all"), "10 3 * * *", 60),), [])
    ((job,), problems) = parse_schedule(EXAMPLE)
    assert (job.timeout, problems) == (TIMEOUT, [])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"name": "Expire!"}, 'name is "Expire!", expected small letters'),
        ({"command": "expire"}, 'command is "expire", expected a list of strings such as ["python"'),
        ({"command": []}, "command is [], expected a list"),
        ({"time": "10 25 * * *"}, "job expire: time \"10 25 * * *\" hour '25' is not from 0 to 23"),
        ({"time": None}, "time null has 0 fields, expected five"),
        ({"timeout": 0}, "timeout is 0, expected seconds from 1 to 21600"),
        ({"timeout": True}, "timeout is true, expected seconds"),
        ({"user": "root"}, "user is no key of a job; there are: name, command, time, timeout"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], words: str) -> None:
    jobs, problems = parse_schedule(json.dumps([GOOD | changed]))
    assert jobs == ()
    assert len(problems) == 1
    assert problems[0].startswith("label marketplace.schedule: ")
    assert words in problems[0]


@pytest.mark.parametrize("text", ["expire", '{"name": "expire"}', '"expire"'])
def test_what_is_no_list_is_shown_an_example(text: str) -> None:
    assert parse_schedule(text) == (
        (),
        [f"label marketplace.schedule is '{text}', expected a JSON list such as {EXAMPLE}"],
    )


def test_every_wrong_entry_is_named() -> None:
    _, problems = parse_schedule(json.dumps([GOOD, GOOD, 5, {**GOOD, "name": "other", "time": "x"}]))
    assert [problem.split(": ")[1] for problem in problems] == [
        "job expire",
        'entry 3 is 5, expected one such as in [{"name"',
        "job other",
    ]


def test_the_contract_holds_the_schedule_and_survives_the_journal() -> None:
    labels = LABELS | {"marketplace.schedule": json.dumps([GOOD])}
    contract = parse_contract("image", labels, 8080, True)
    assert [job.name for job in contract.schedule] == ["expire"]
    assert Contract.from_dict(json.loads(json.dumps(contract.to_dict()))) == contract
    with pytest.raises(ContractError, match=r"label marketplace\.schedule: job expire: timeout is -1"):
        parse_contract(
            "i", LABELS | {"marketplace.schedule": json.dumps([GOOD | {"timeout": -1}])}, 8080, True
        )


def test_what_is_due() -> None:
    jobs = [
        Job("nightly", ("a",), "10 3 * * *"),
        Job("often", ("b",), "*/5 * * * *"),
        Job("later", ("c",), "11 3 * * *"),
    ]
    minute = NOW.replace(second=0)
    assert due(jobs, ZONE, minute - timedelta(minutes=1), NOW, {}) == {"nightly": minute, "often": minute}
    assert due(jobs, ZONE, minute, NOW, {}) == {}


def test_several_times_that_passed_are_one_and_what_is_too_long_ago_is_none() -> None:
    jobs = [Job("often", ("b",), "*/5 * * * *"), Job("early", ("e",), "5 2 * * *")]
    minute = NOW.replace(second=0)
    early = minute.replace(hour=minute.hour - 1, minute=minute.minute - 5)
    assert due(jobs, ZONE, NOW - timedelta(days=3), NOW, {}) == {"early": early, "often": minute}
    jobs = [Job("rare", ("r",), f"0 0 {(NOW - timedelta(days=9)).day} * *")]
    assert due(jobs, ZONE, NOW - timedelta(days=30), NOW, {}) == {}


def test_what_waits_comes_first_and_is_forgotten_with_its_job() -> None:
    jobs = [Job("nightly", ("a",), "10 3 * * *"), Job("waits", ("b",), "0 0 1 1 *")]
    since = NOW - timedelta(minutes=30)
    found = due(jobs, ZONE, NOW - timedelta(minutes=1), NOW, {"waits": since, "gone": since})
    assert list(found.items()) == [("waits", since), ("nightly", NOW.replace(second=0))]
