"""Puts the bot together: features first, then the answer to everything else."""

from aiogram import Bot, Dispatcher, Router
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.methods import SendMessage
from aiogram.types import Message

from . import features
from .config import Config, Identity
from .dialogue import Dialogues

fallback = Router(name="fallback")


@fallback.message()
async def unknown(message: Message) -> SendMessage:
    return message.answer("I don't understand that. /help shows what I can do.")


def make_bot(config: Config) -> Bot:
    """A client of the Bot API at `telegram_api_url`. Connects when first used."""
    return Bot(
        config.telegram_token,
        session=AiohttpSession(api=TelegramAPIServer.from_base(config.telegram_api_url)),
    )


def make_dispatcher(dialogues: Dialogues, identity: Identity) -> Dispatcher:
    """A dispatcher with every feature. Its handlers get `session` from the processor and `identity` from here."""
    dispatcher = Dispatcher(storage=dialogues, identity=identity)
    dispatcher.include_routers(*features.routers(), fallback)
    return dispatcher
