"""The example backend's log lines."""

import json
import logging

from marketplace_bot.config import Identity
from marketplace_bot.logs import JsonFormatter, about_update

IDENTITY = Identity(version="1.0.0", release="r7", colour="green", environment="test", build="1.0.0")


def line(formatter: JsonFormatter, message: str = "hello", **values: object) -> dict[str, object]:
    record = logging.LogRecord("bot", logging.ERROR, __file__, 1, message, (), None)
    record.__dict__.update(values)
    text = formatter.format(record)
    assert "\n" not in text
    return dict(json.loads(text))


def test_says_who_and_which_update() -> None:
    with about_update(42):
        inside = line(JsonFormatter(IDENTITY), fields={"milliseconds": 3})
    assert inside.items() >= {"release": "r7", "colour": "green", "update_id": 42, "milliseconds": 3}.items()
    assert "update_id" not in line(JsonFormatter(IDENTITY))


def test_a_stack_trace_stays_on_one_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        logged = line(JsonFormatter(), exc_info=(ValueError, error, error.__traceback__))
    assert "Traceback" in str(logged["exception"])
    assert "first\nsecond" in str(logged["exception"])


def test_secrets_are_blotted_out_wherever_they_are() -> None:
    formatter = JsonFormatter(IDENTITY, ("12:token", ""))
    logged = line(formatter, "POST /bot12:token/getMe", fields={"url": "http://x/bot12:token/"})
    assert "12:token" not in str(logged)
    assert logged["message"] == "POST /bot[secret]/getMe"
