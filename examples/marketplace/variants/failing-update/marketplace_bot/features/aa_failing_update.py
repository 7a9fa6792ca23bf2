"""Ready, but every message fails with 500: a bug that only traffic shows."""

from aiogram import Router
from aiogram.types import Message

router = Router(name="failing-update")


@router.message()
async def fail(message: Message) -> None:
    raise RuntimeError("this variant fails on every message")
