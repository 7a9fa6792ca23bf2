"""Works for five seconds from its first update on, then answers every update with 500. It stays ready."""

import time

from aiogram import Router
from aiogram.types import TelegramObject

router = Router(name="errors-later")

GOOD_SECONDS = 5
first: list[float] = []


def worn_out(_: TelegramObject) -> bool:
    if not first:
        first.append(time.monotonic())
    return time.monotonic() - first[0] > GOOD_SECONDS


@router.message(worn_out)
@router.callback_query(worn_out)
async def fail(_: TelegramObject) -> None:
    raise RuntimeError(f"this variant fails {GOOD_SECONDS} s after its first update")
