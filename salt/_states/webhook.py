"""The bot's webhook is registered at the Bot API, with our secret."""

import time
from pathlib import Path

from marketplace_durable import read_json, to_json, write_atomic
from marketplace_paths import Paths
from marketplace_telegram import BotApi, TelegramError, Webhook

__virtualname__ = "webhook"


def __virtual__():
    return __virtualname__


def registered(name, certificate=""):
    """The webhook that the Bot API knows is this droplet's edge, with the secret from the store.

    name
        A sentence; address, allowed updates and connections come from the settings.
    certificate
        File with the edge's certificate (PEM), for an edge that no public authority vouches for: Telegram then trusts
        exactly that. "" otherwise: then ``edge.root`` goes along, where there is one.

    Compares with getWebhookInfo and does nothing when that is right. Pending updates are never dropped. Registers again
    where Telegram has complained since the last time that the edge has another certificate or wants another secret.
    """
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}
    settings = __pillar__["settings"]
    edge, telegram = settings["edge"], settings["telegram"]
    if not telegram["register"]:
        return ret | {
            "comment": "Another host serves the bot (telegram:register), so its webhook is left alone."
        }
    shown = f"https://{edge['domains'][0]}{edge['webhook_path']}/..."
    try:
        unguessable = (_paths().secrets / "webhook_path").read_text().strip()
        token = (_paths().secrets / "telegram_token").read_text().strip()
        wanted = Webhook(
            url=f"https://{edge['domains'][0]}{edge['webhook_path']}/{unguessable}",
            secret=(_paths().secrets / "webhook_secret").read_text().strip(),
            allowed_updates=tuple(telegram["allowed_updates"]),
            max_connections=telegram["max_connections"],
            certificate=Path(certificate).read_text() if certificate else edge["root"],
        )
    except FileNotFoundError as error:
        if __opts__["test"]:
            return ret | {
                "result": None,
                "changes": {"webhook": {"old": "unknown", "new": shown}},
                "comment": f"{error.filename} is not there yet; the webhook would be registered.",
            }
        return ret | {"result": False, "comment": f"{error.filename} is missing; run state.apply as a whole"}
    bot = BotApi(telegram["api_url"], token)
    try:
        noted = read_json(_paths().webhook) or {}
        changes = wanted.differences(bot.webhook_info(), noted.get("fingerprint"), noted.get("at"))
        if not changes:
            return ret | {"comment": f"The webhook is {shown}."}
        if __opts__["test"]:
            return ret | {
                "result": None,
                "changes": changes,
                "comment": f"The webhook would be set to {shown}.",
            }
        bot.set_webhook(wanted)
        # Written only now: a registration that failed is tried again by the next run.
        write_atomic(
            _paths().webhook, to_json({"fingerprint": wanted.fingerprint(), "at": time.time()}), mode=0o600
        )
        left = wanted.differences(bot.webhook_info(), wanted.fingerprint())
    except TelegramError as error:
        return ret | {"result": False, "comment": str(error)}
    if left:
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"The Bot API did not take: {', '.join(left)}",
        }
    return ret | {"changes": changes, "comment": f"The webhook is {shown}."}


def _paths():
    return Paths(Path(__opts__.get("marketplace_root", "/")))
