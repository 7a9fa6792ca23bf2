"""The stand-in's control pages, for tests and harnesses that are not asynchronous. Standard library only."""

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any


class BotApi:
    """Speaks to a stand-in at `base`, for example `http://127.0.0.1:8081`.

    `token` is needed where more than one bot has called. Every method raises RuntimeError with the stand-in's own words
    when it refuses, and OSError when it can't be reached.
    """

    def __init__(self, base: str, token: str | None = None) -> None:
        self._base = base.rstrip("/")
        self._token = token

    def call(self, method: str, **values: Any) -> Any:
        """Call the Bot API itself as the bot (needs `token`), for example `call("getWebhookInfo")`."""
        answer = self._request("POST", f"/bot{self._token}/{method}", values)
        return answer["result"]

    def say(self, text: str, chat_id: int = 1, wait: float = 0) -> dict[str, Any]:
        """A user's message; with `wait` seconds, the answer has the bot's `replies`."""
        return self._control("say", text=text, chat_id=chat_id, wait=wait)

    def ask(self, text: str, chat_id: int = 1, wait: float = 30) -> str:
        """A user's message, and the text of the bot's first answer. Raises RuntimeError if none comes in time."""
        replies = self.say(text, chat_id, wait)["replies"]
        if not replies:
            raise RuntimeError(f"the bot did not answer {text!r} within {wait:g} s: {self.stats()}")
        return str(replies[0]["text"])

    def press(self, data: str, chat_id: int = 1) -> int:
        """A user presses an inline button; the update's id."""
        return int(self._control("press", data=data, chat_id=chat_id)["update_id"])

    def messages(
        self, chat_id: int | None = None, after: int = 0, contains: str = "", wait: float = 0
    ) -> list[Any]:
        """What the bot said, waiting up to `wait` seconds for the first."""
        query = {"after": after, "contains": contains, "wait": wait}
        if chat_id is not None:
            query["chat_id"] = chat_id
        return list(self._look("messages", query)["messages"])

    def stats(self, after: int = 0) -> dict[str, Any]:
        """Figures over the updates after that id."""
        return self._look("stats", {"after": after})

    def deliveries(self, after: int = 0) -> list[dict[str, Any]]:
        """Each update after that id, with its attempts."""
        return list(self._look("deliveries", {"after": after})["deliveries"])

    def load(self, count: int, rate: float, chats: int = 20, texts: tuple[str, ...] = ("/browse",)) -> str:
        """Start users who write `rate` messages a second; the load's id."""
        return str(self._control("load", count=count, rate=rate, chats=chats, texts=list(texts))["id"])

    def load_progress(self, load_id: str) -> dict[str, Any]:
        return self._look(f"load/{load_id}", {})

    def set_time_factor(self, factor: float) -> None:
        """Telegram's delays, expiries and time-outs pass so many times as fast."""
        self._request("POST", "/control/time", {"factor": factor})

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at Telegram at once."""
        self._request("POST", "/control/time", {"advance": seconds})

    def fail_next(self, method: str, error_code: int, times: int = 1, retry_after: int | None = None) -> None:
        """The next `times` calls of a Bot API method fail."""
        self._control("faults", method=method, error_code=error_code, times=times, retry_after=retry_after)

    def reset(self) -> None:
        self._control("reset")

    def _control(self, page: str, **values: Any) -> dict[str, Any]:
        if self._token:
            values["token"] = self._token
        return self._request("POST", f"/control/{page}", values)

    def _look(self, page: str, query: dict[str, Any]) -> dict[str, Any]:
        if self._token:
            query["token"] = self._token
        return self._request("GET", f"/control/{page}?{urllib.parse.urlencode(query)}", None)

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - the base is the test's own
            self._base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=330) as response:  # noqa: S310
                return dict(json.load(response))
        except urllib.error.HTTPError as error:
            # Not the whole path: a Bot API call's has the token in it.
            page = path.partition("?")[0].rpartition("/")[2]
            raise RuntimeError(f"{page}: {error.read().decode(errors='replace')}") from error
