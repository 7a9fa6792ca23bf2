"""The load's own log against what the droplet has: everything that differs is found, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.load.effects import Found, Item, differences
from tests.support.load.entry import Entry

SELLER, BUYER = 6001, 6002


def line(update_id: int, chat: int, text: str, reply: str, status: int = 200, attempt: int = 1) -> Entry:
    return Entry(update_id, chat, text, attempt, float(update_id), 5.0, status, "", "reused", reply, True)


LOG = [
    line(1, SELLER, "/start", "Welcome, Load! ..."),
    line(2, BUYER, "/start", "Welcome, Load! ..."),
    line(3, SELLER, "/sell", "What do you sell? Send me a title."),
    line(4, SELLER, "run-6001-1", "And the price of run-6001-1? For example 12.50"),
    line(5, SELLER, "12.50", "", status=502),
    line(5, SELLER, "12.50", "Listed #7: run-6001-1 for 12.50", attempt=2),
    line(6, BUYER, "/buy 7", "You bought #7: run-6001-1 for 12.50"),
    line(7, BUYER, "/sell", "What do you sell? Send me a title."),
    line(8, BUYER, "run-6002-1", "And the price of run-6002-1? For example 12.50"),
]
THERE = Found(
    handled=[1, 2, 3, 4, 5, 6, 7, 8],
    users=[SELLER, BUYER],
    items=[Item(7, "run-6001-1", SELLER, BUYER)],
    dialogues={SELLER: (5, "", "{}"), BUYER: (8, "Sale:price", '{"title": "run-6002-1"}')},
)


def test_as_promised() -> None:
    assert differences(LOG, THERE) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (replace(THERE, handled=[1, 2, 3, 4, 5, 6, 7]), "1 updates were answered and are not in handled_updates: 8"),
        (replace(THERE, handled=[*THERE.handled, 8]), "1 updates are in handled_updates more than once: 8"),
        (replace(THERE, handled=[*THERE.handled, 9]), "1 updates are in handled_updates and were never answered: 9"),
        (replace(THERE, users=[SELLER]), "1 users were welcomed and are not there: 6002"),
        (replace(THERE, items=[]), "1 listings were promised and are not there"),
        (
            replace(THERE, items=[*THERE.items, Item(8, "run-6001-1", SELLER, None)]),
            "1 titles are there more than once: run-6001-1",
        ),
        (
            replace(THERE, items=[*THERE.items, Item(8, "run-6001-2", SELLER, None)]),
            "1 listings are there that nobody was told of",
        ),
        (replace(THERE, items=[Item(7, "run-6001-1", BUYER, BUYER)]), "1 listings were promised and are not there"),
        (replace(THERE, items=[Item(7, "run-6001-1", SELLER, None)]), "1 purchases were promised and are not there"),
        (replace(THERE, items=[Item(7, "run-6001-1", SELLER, 9)]), "1 purchases are there that nobody was told of"),
        (replace(THERE, dialogues={}), "2 dialogues are not as their users left them"),
        (
            replace(THERE, dialogues=THERE.dialogues | {BUYER: (7, "Sale:title", "{}")}),
            "1 dialogues are not as their users left them: 6002",
        ),
        (
            replace(THERE, dialogues=THERE.dialogues | {BUYER: (8, "Sale:price", '{"title": "another"}')}),
            "1 dialogues are not as their users left them: 6002",
        ),
    ],
)  # fmt: skip
def test_everything_that_differs_is_named(found: Found, words: str) -> None:
    assert any(words in difference for difference in differences(LOG, found)), differences(LOG, found)


def test_update_without_an_answer_is_named() -> None:
    assert differences([*LOG, line(9, BUYER, "9.00", "", status=503)], THERE) == [
        "1 updates were never answered: 9"
    ]


def test_dialogues_are_left_out_where_redis_may_have_forgotten() -> None:
    assert differences(LOG, replace(THERE, dialogues={}), dialogues=False) == []


def test_long_lists_are_cut() -> None:
    answered = differences(LOG, replace(THERE, handled=[]))
    assert answered == ["8 updates were answered and are not in handled_updates: 1, 2, 3, 4, 5 and 3 more"]
