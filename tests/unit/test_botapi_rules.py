"""The stand-in's arithmetic and parsing, against the Bot API server's source."""

import asyncio
from random import Random

import pytest
from aiohttp import FormData

from tests.support.botapi.clock import Clock
from tests.support.botapi.parameters import parse
from tests.support.botapi.retry import MESSAGE_SECONDS, Attempts, lifetime


def waits(attempts: Attempts, retry_after: list[int]) -> list[float]:
    """The delays after failures in a row, each happening at the moment of its attempt."""
    found, random = [], Random(1)  # noqa: S311
    for asked in retry_after:
        now = attempts.wake_at
        if not attempts.fail(now, asked, random):
            break
        found.append(attempts.wake_at - now)
    return found


def fresh(seconds: float = MESSAGE_SECONDS) -> Attempts:
    return Attempts(expires_at=seconds, wake_at=0)


def test_the_first_repetition_is_immediate_and_then_delays_double() -> None:
    assert waits(fresh(), [0] * 6) == [0, 2, 4, 8, 16, 32]


def test_delays_stay_between_one_and_two_minutes_in_the_end() -> None:
    late = waits(fresh(), [0] * 40)[8:]
    assert all(60 <= wait <= 120 for wait in late)
    assert len(set(late)) > 1


def test_retry_after_replaces_the_delay_and_does_not_lengthen_the_next() -> None:
    assert waits(fresh(), [0, 0, 7, 7, 7, 0, 0]) == [0, 2, 7, 7, 7, 4, 8]


@pytest.mark.parametrize(("asked", "wait"), [(3, 3), (99_999, 3600), (-5, 0)])
def test_retry_after_is_capped_at_an_hour(asked: int, wait: int) -> None:
    assert waits(fresh(), [asked]) == [wait]


def test_a_message_is_given_up_after_a_day() -> None:
    attempts = fresh()
    total = sum(waits(attempts, [0] * 10_000))
    assert MESSAGE_SECONDS - 120 < total <= MESSAGE_SECONDS


@pytest.mark.parametrize(("kind", "repetitions"), [("callback_query", 7), ("inline_query", 5)])
def test_buttons_and_inline_queries_are_given_up_soon(kind: str, repetitions: int) -> None:
    # 0 + 2 + 4 + 8 + 16 = 30 and, for 150 s, + 32 + 64 = 126.
    assert len(waits(fresh(lifetime(kind)), [0] * 50)) == repetitions


async def test_a_clock_runs_faster_also_for_those_who_already_sleep() -> None:
    clock = Clock()
    sleeper = asyncio.create_task(clock.sleep_until(clock.now() + 3600))
    await asyncio.sleep(0)
    clock.set_factor(1_000_000)
    await asyncio.wait_for(sleeper, 5)
    assert clock.now() >= 3600


@pytest.mark.parametrize("factor", [0, -1, float("nan")])
def test_a_clock_does_not_stop(factor: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Clock().set_factor(factor)


async def multipart() -> tuple[str, bytes]:
    form = FormData()
    form.add_field("url", "https://bot.test/h")
    form.add_field("certificate", b"-----BEGIN\r\n\r\nx", filename="cert.pem")
    payload = form()
    written = bytearray()

    class Writer:
        async def write(self, chunk: bytes) -> None:
            written.extend(chunk)

    await payload.write(Writer())  # type: ignore[arg-type]
    return payload.content_type, bytes(written)


async def test_parameters_come_in_every_encoding() -> None:
    assert parse("application/json; charset=utf-8", b'{"a": 1}') == {"a": 1}
    assert parse("application/x-www-form-urlencoded", b"a=1&b=x%20y") == {"a": "1", "b": "x y"}
    kind, body = await multipart()
    assert parse(kind, body) == {"url": "https://bot.test/h", "certificate": b"-----BEGIN\r\n\r\nx"}
    assert parse("application/json", b"") == {}


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff"])
def test_broken_json_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        parse("application/json", body)
