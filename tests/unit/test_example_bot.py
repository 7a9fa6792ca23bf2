"""Pure parts of the example bot: prices, outgoing calls, dialogue steps, and how a version is put together."""

import json
from pathlib import Path
from typing import Any

import pytest
from aiogram import Bot
from aiogram.fsm.storage.base import StorageKey
from aiogram.methods import SendDocument, SendMessage
from aiogram.types import BufferedInputFile, InlineKeyboardButton, InlineKeyboardMarkup
from assemble import assemble, numbers
from marketplace_bot.dialogue import Dialogues
from marketplace_bot.features.trading import parse_price, price
from marketplace_bot.outbox import delay
from marketplace_bot.replies import as_call, from_call

EXAMPLE = Path(__file__).parents[2] / "examples" / "marketplace"


@pytest.fixture
def bot() -> Bot:
    return Bot("123456:" + "A" * 35)


@pytest.mark.parametrize(
    ("text", "cents"),
    [("12", 1200), ("12.5", 1250), (" 12,05 ", 1205), ("0.01", 1), ("1000000", 100_000_000)],
)
def test_prices(text: str, cents: int) -> None:
    assert parse_price(text) == cents


@pytest.mark.parametrize(
    "text", ["", "0", "0.00", "-1", "1.234", "abc", "1e5", "1000000.01", "12 50", "١٢", "9" * 40]
)
def test_what_is_no_price(text: str) -> None:
    assert parse_price(text) is None


def test_a_price_is_shown_as_it_is_read() -> None:
    assert [price(cents) for cents in (1, 50, 1205)] == ["0.01", "0.50", "12.05"]
    assert parse_price(price(1205)) == 1205


def test_a_call_survives_being_stored(bot: Bot) -> None:
    keyboard = InlineKeyboardMarkup(
        inline_keyboard=[[InlineKeyboardButton(text="Buy", callback_data="buy:1")]]
    )
    call = as_call(SendMessage(chat_id=7, text="hello", reply_markup=keyboard), bot)
    assert call == {
        "method": "sendMessage",
        "chat_id": 7,
        "text": "hello",
        "reply_markup": {"inline_keyboard": [[{"text": "Buy", "callback_data": "buy:1"}]]},
    }
    again = from_call(json.loads(json.dumps(call)))
    assert isinstance(again, SendMessage)
    assert as_call(again, bot) == call


def test_a_file_can_not_ride_in_an_answer(bot: Bot) -> None:
    with pytest.raises(ValueError, match="sendDocument carries a file"):
        as_call(SendDocument(chat_id=7, document=BufferedInputFile(b"x", "x.txt")), bot)


def test_delays_grow_and_stop_growing() -> None:
    assert [delay(n) for n in (1, 2, 3, 8, 9, 1000)] == [2, 4, 8, 256, 300, 300]


class MemoryRedis:
    """Just enough of Redis: reads of one hash, and a script that must not run before `apply`."""

    def __init__(self) -> None:
        self.state: dict[str, list[str | None]] = {}
        self.written: list[Any] = []

    async def hmget(self, name: str, _: list[str]) -> list[str | None]:
        return self.state.get(name, [None, None])

    def register_script(self, _: str) -> Any:
        async def run(keys: list[str], args: list[Any]) -> None:
            self.written.append((keys, args))

        return run


async def test_dialogue_steps_reach_redis_only_when_applied() -> None:
    redis = MemoryRedis()
    redis.state["dialogue:1:7:7"] = ["Sale:title", '{"a": 1}']
    dialogues = Dialogues(redis)  # type: ignore[arg-type]
    key = StorageKey(bot_id=1, chat_id=7, user_id=7)
    with dialogues.collect() as changes:
        assert await dialogues.get_state(key) == "Sale:title"
        assert changes.to_rows() == []
        await dialogues.set_state(key, "Sale:price")
        await dialogues.set_data(key, {"title": "Lamp"})
        assert await dialogues.get_state(key) == "Sale:price"
    assert redis.written == []
    assert changes.to_rows() == [{"key": "dialogue:1:7:7", "state": "Sale:price", "data": {"title": "Lamp"}}]
    await dialogues.apply(5, changes.to_rows())
    assert redis.written == [(["dialogue:1:7:7"], [5, "Sale:price", '{"title": "Lamp"}', 86400])]


async def test_updates_at_the_same_time_do_not_see_each_others_steps() -> None:
    dialogues = Dialogues(MemoryRedis())  # type: ignore[arg-type]
    key = StorageKey(bot_id=1, chat_id=7, user_id=7)
    with dialogues.collect():
        await dialogues.set_state(key, "Sale:price")
        with dialogues.collect() as inner:
            assert await dialogues.get_state(key) is None
            assert inner.to_rows() == []


@pytest.mark.parametrize(
    ("version", "variant", "revisions"),
    [
        ("1.0.0", "", ["0001_initial.py"]),
        ("1.0.9", "", ["0001_initial.py"]),
        ("1.1.0", "", ["0001_initial.py", "0002_likes.py"]),
        ("1.2.5", "", ["0001_initial.py", "0002_likes.py", "0003_reminders.py"]),
        ("1.1.10", "migration-fails", ["0001_initial.py", "0002_likes.py", "9001_fails.py"]),
    ],
)
def test_a_version_has_the_revisions_of_its_time(
    tmp_path: Path, version: str, variant: str, revisions: list[str]
) -> None:
    assemble(EXAMPLE, tmp_path / "app", version, variant)
    assert sorted(file.name for file in (tmp_path / "app/migrations/versions").iterdir()) == revisions
    assert (tmp_path / "app/marketplace_bot/features/favourites.py").exists() == (
        "0002_likes.py" in revisions
    )


def test_an_unknown_variant_is_an_error_that_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no variant 'crush'; there are: crash"):
        assemble(EXAMPLE, tmp_path, "1.0.0", "crush")


def test_versions_are_compared_as_numbers() -> None:
    assert sorted(["1.10.0", "1.9.0", "1.2"], key=numbers) == ["1.2", "1.9.0", "1.10.0"]
    assert numbers("1.1.0-rc1") == (1, 1, 0)
    assert numbers("latest") == ()
