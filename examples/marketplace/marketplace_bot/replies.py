"""Bot API methods as plain data, to be stored with an effect and sent after it."""

from typing import Any

import aiogram.methods
from aiogram import Bot
from aiogram.methods import TelegramMethod


def as_call(method: TelegramMethod[Any], bot: Bot) -> dict[str, Any]:
    """`{"method": ..., parameters}` as Telegram reads it from a webhook's answer. Files can't be sent this way.

    Raises ValueError for a method that carries a file.
    """
    files: dict[str, Any] = {}
    call: dict[str, Any] = {"method": method.__api_method__}
    for name, value in method.model_dump(warnings=False).items():
        prepared = bot.session.prepare_value(value, bot=bot, files=files, _dumps_json=False)
        if prepared is not None:
            call[name] = prepared
    if files:
        raise ValueError(
            f"{method.__api_method__} carries a file; send files with a Bot API call of their own"
        )
    return call


def from_call(call: dict[str, Any]) -> TelegramMethod[Any]:
    """The method that `as_call` wrote down. Raises AttributeError for a method this aiogram does not know."""
    name = str(call["method"])
    kind: type[TelegramMethod[Any]] = getattr(aiogram.methods, name[0].upper() + name[1:])
    return kind.model_validate({key: value for key, value in call.items() if key != "method"})
