"""What the load's users say, and what they take for a right answer."""

from __future__ import annotations

from tests.support.load.conversation import Shelf, User


def say(user: User, reply: str) -> tuple[str, bool]:
    line = user.next()
    return line.text, user.hear(line, reply)


def test_round_of_a_user_who_is_understood() -> None:
    shelf = Shelf()
    user = User(6001, "run", shelf)
    shelf.put(3, 6002)
    heard = [
        say(user, "Welcome, Load!"),
        say(user, "What do you sell? Send me a title."),
        say(user, "And the price of run-6001-1? For example 12.50"),
        say(user, "Listed #7: run-6001-1 for 12.50"),
        say(user, "#7 run-6001-1: 12.50"),
        say(user, "You bought #3: run-6002-1 for 12.50"),
        say(user, "#7 run-6001-1: for sale at 12.50"),
    ]
    texts = ["/start", "/sell", "run-6001-1", "12.50", "/browse", "/buy 3", "/mine"]
    assert heard == [(text, True) for text in texts]
    assert list(shelf.items) == [(7, 6001)]
    assert say(user, "What do you sell? Send me a title.") == ("/sell", True)
    assert user.next().text == "run-6001-2"


def test_nobody_buys_his_own() -> None:
    user = User(6001, "run", Shelf())
    for reply in (
        "Welcome",
        "What do you sell?",
        "And the price of run-6001-1?",
        "Listed #7: run-6001-1 for 12.50",
    ):
        assert say(user, reply)[1]
    assert say(user, "#7 run-6001-1: 12.50")[0] == "/browse"
    assert say(user, "#7 run-6001-1: for sale at 12.50")[0] == "/mine"


def test_forgotten_dialogue_is_wrong_and_begins_anew() -> None:
    user = User(6001, "run", Shelf())
    assert say(user, "Welcome") == ("/start", True)
    assert say(user, "What do you sell?") == ("/sell", True)
    assert say(user, "I don't understand that. /help shows what I can do.") == ("run-6001-1", False)
    assert say(user, "Nothing is for sale. /sell something!") == ("/browse", True)


def test_one_item_is_offered_to_one_buyer() -> None:
    shelf = Shelf()
    shelf.put(1, 6001)
    shelf.put(2, 6001)
    assert (shelf.take(6001), shelf.take(6002), shelf.take(6002), shelf.take(6002)) == (None, 1, 2, None)
