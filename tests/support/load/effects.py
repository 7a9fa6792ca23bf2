"""What the log promises against what the droplet has: nothing lost, nothing doubled. Pure.

What a user was told is what counts: an answer "Listed #7" is a promise that item 7 is there, once. That holds for an
update that was sent five times as for one that was sent once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .conversation import BOUGHT, LISTED
from .entry import Entry, acknowledged

SHOWN = 5
WELCOME = re.compile(r"Welcome")


@dataclass(frozen=True)
class Item:
    """A listing in the database."""

    number: int
    title: str
    seller: int
    buyer: int | None


@dataclass(frozen=True)
class Found:
    """What the droplet has of one run: ids of handled updates, users, listings, and each chat's dialogue.

    A dialogue is (update that wrote it, state, data): what Redis has under the chat's key.
    """

    handled: Sequence[int]
    users: Sequence[int]
    items: Sequence[Item]
    dialogues: Mapping[int, tuple[int, str, str]]


def differences(entries: Sequence[Entry], found: Found, dialogues: bool = True) -> list[str]:
    """Everything that is not as the log promises, in words; empty when all is well.

    Args:
        entries: the whole log of a run that has ended, so that nothing is under way.
        found: what is there.
        dialogues: look at Redis, too; after a loss of power it may have forgotten the last minutes.
    """
    answers = acknowledged(entries)
    sent = {entry.update_id for entry in entries}
    wrong = [
        *_sets("updates were never answered", sent - set(answers)),
        *_sets("updates were answered and are not in handled_updates", set(answers) - set(found.handled)),
        *_sets("updates are in handled_updates and were never answered", set(found.handled) - set(answers)),
        *_sets("updates are in handled_updates more than once", _repeated(found.handled)),
        *_users(answers.values(), found.users),
        *_listings(answers.values(), found.items, dialogues),
        *_purchases(answers.values(), found.items),
    ]
    if dialogues:
        wrong += _dialogues(answers.values(), found.dialogues)
    return wrong


def dialogue(answers: Iterable[Entry]) -> dict[int, tuple[int, str, str]]:
    """By chat: the dialogue that its last line in it left, as (update, state, title so far)."""
    left: dict[int, tuple[int, str, str]] = {}
    for entry in sorted(answers, key=lambda entry: entry.update_id):
        if entry.reply.startswith("And the price of "):
            left[entry.chat] = (entry.update_id, "Sale:price", entry.text)
        elif entry.reply.startswith("What do you sell?"):
            left[entry.chat] = (entry.update_id, "Sale:title", "")
        elif LISTED.match(entry.reply) or entry.text == "/start":
            left[entry.chat] = (entry.update_id, "", "")
    return left


def _users(answers: Iterable[Entry], users: Sequence[int]) -> list[str]:
    welcomed = {entry.chat for entry in answers if WELCOME.match(entry.reply)}
    return [
        *_sets("users were welcomed and are not there", welcomed - set(users)),
        *_sets("users are there twice", _repeated(users)),
    ]


def _listings(answers: Iterable[Entry], items: Sequence[Item], once: bool) -> list[str]:
    """Each title under the number and of the seller that its seller was told; ``once``: and no title twice.

    Where Redis has forgotten the last minutes it is back in a dialogue of then, waiting for the price of what is listed
    long since: the next price that its user says lists that once more, and he is told so.
    """
    titles = _repeated(item.title for item in items) if once else set()
    promised = {
        (int(match[1]), match[2], entry.chat) for entry in answers if (match := LISTED.match(entry.reply))
    }
    there = {(item.number, item.title, item.seller) for item in items}
    return [
        *_sets("listings were promised and are not there", promised - there),
        *_sets("listings are there that nobody was told of", there - promised),
        *_sets("titles are there more than once", titles),
    ]


def _purchases(answers: Iterable[Entry], items: Sequence[Item]) -> list[str]:
    promised = {(int(match[1]), entry.chat) for entry in answers if (match := BOUGHT.match(entry.reply))}
    there = {(item.number, item.buyer) for item in items if item.buyer is not None}
    return [
        *_sets("purchases were promised and are not there", promised - there),
        *_sets("purchases are there that nobody was told of", there - promised),
    ]


def _dialogues(answers: Iterable[Entry], dialogues: Mapping[int, tuple[int, str, str]]) -> list[str]:
    wrong = []
    for chat, (update_id, state, title) in dialogue(answers).items():
        has = dialogues.get(chat)
        if has is None or has[:2] != (update_id, state) or title not in has[2]:
            wrong.append(f"{chat}: {has} instead of {(update_id, state, title)}")
    return _sets("dialogues are not as their users left them", wrong)


def _repeated(values: Iterable[object]) -> set[object]:
    return {value for value, count in Counter(values).items() if count > 1}


def _sets(words: str, found: Iterable[object]) -> list[str]:
    listed = sorted(map(str, found))
    if not listed:
        return []
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return [f"{len(listed)} {words}: {', '.join(listed[:SHOWN])}{more}"]
