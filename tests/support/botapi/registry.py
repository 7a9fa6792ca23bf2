"""The bots, by token."""

import logging
import re
from random import Random
from typing import Any

from .bots import Bot, Webhook
from .clock import Clock
from .delivery import Deliverer
from .methods import ApiError, Methods

log = logging.getLogger(__name__)

TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]{30,}")


class Registry:
    """Makes bots when they first call, and delivers to their webhooks.

    `tokens` are the only ones accepted; none means any well-formed one. `authorities` is a PEM file of certificate
    authorities to trust beside the system's.
    """

    def __init__(
        self,
        tokens: tuple[str, ...] = (),
        factor: float = 1.0,
        local: bool = False,
        authorities: str | None = None,
        seed: int | None = None,
    ) -> None:
        self.clock = Clock(factor)
        self.methods = Methods(self._set_webhook, local)
        self._tokens = tokens
        self._authorities = authorities
        self._random = Random(seed)  # noqa: S311 - jitter of a test double
        self._bots: dict[str, Bot] = {}
        self._deliverers: dict[str, Deliverer] = {}
        for token in tokens:
            self.authorise(token)

    def authorise(self, token: str) -> Bot:
        """The bot of a token. Raises ApiError 401 for one that Telegram would not know."""
        if not TOKEN.fullmatch(token) or (self._tokens and token not in self._tokens):
            raise ApiError(401, "Unauthorized")
        if token not in self._bots:
            self._bots[token] = Bot(token, self.clock, self._random)
        return self._bots[token]

    def bot(self, token: object = None) -> Bot:
        """The bot a test speaks of: by token, or the only one. Raises LookupError with the way out."""
        if token:
            if str(token) not in self._bots:
                raise LookupError("no bot with this token has called yet")
            return self._bots[str(token)]
        if len(self._bots) != 1:
            raise LookupError(f"there are {len(self._bots)} bots: say which by token")
        return next(iter(self._bots.values()))

    async def _set_webhook(self, bot: Bot, webhook: Webhook) -> None:
        if old := self._deliverers.pop(bot.token, None):
            await old.close()
        bot.webhook = webhook
        if webhook.url:
            self._deliverers[bot.token] = Deliverer(bot, webhook, self._executor(bot), self._authorities)

    def _executor(self, bot: Bot) -> Any:
        async def execute(method: str, values: dict[str, Any], update_id: int) -> None:
            try:
                await self.methods.call(bot, method, values, "webhook", update_id)
            except ApiError as error:
                # Telegram tells nobody either: a bot can't know what became of a call in a webhook's answer.
                log.warning("%s in the answer to update %s: %s", method, update_id, error.description)

        return execute

    async def close(self) -> None:
        for deliverer in self._deliverers.values():
            await deliverer.close()
        self._deliverers.clear()
