"""What the bot can do. Every module here is a feature: it has a `router`, and models if it needs tables of its own."""

from importlib import import_module
from pkgutil import iter_modules

from aiogram import Router


def routers() -> list[Router]:
    """The router of every feature, in the order of their names."""
    names = sorted(module.name for module in iter_modules(__path__))
    return [import_module(f"{__name__}.{name}").router for name in names]
