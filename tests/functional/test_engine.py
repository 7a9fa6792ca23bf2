"""The engine's states by Salt's own loaders, on a droplet that is a directory."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from marketplace_durable import make_directory, write_atomic
from marketplace_effective import release_digest

from tests.support.botapi.client import BotApi
from tests.support.pillars import TOKEN
from tests.support.salt_host import TREE, Host
from tests.support.waiting import seconds_until


def test_first_release_is_planned_in_test_mode(host: Host) -> None:
    planned = host.state("release.live", test=True)
    assert planned["result"] is None
    assert planned["changes"] == {"release": {"old": None, "new": "1.0.0"}}
    assert not host.paths.ledger.exists()


def test_follow_pillar_plans_the_next_version(tmp_path: Path, options: dict[str, Any]) -> None:
    host = Host(tmp_path, options, {"backend.follow_pillar": True, "backend.version": "1.1.0"})
    host.record("1.0.0")
    planned = host.state("release.live", test=True)
    assert planned["changes"] == {"release": {"old": "1.0.0", "new": "1.1.0"}}


def test_changed_secret_waits_for_a_release(host: Host) -> None:
    before = release_digest(host.pillar["settings"], host.paths)
    make_directory(host.paths.delivered / "backend")
    write_atomic(host.paths.delivered / "backend/telegram_token", "one")
    with_one = release_digest(host.pillar["settings"], host.paths)
    write_atomic(host.paths.delivered / "backend/telegram_token", "two")
    assert len({before, with_one, release_digest(host.pillar["settings"], host.paths)}) == 3


def test_damaged_ledger_stops_the_release_state(host: Host) -> None:
    host.record()
    next(host.paths.ledger.iterdir()).write_text("{")
    failed = host.state("release.live", test=False)
    assert failed["result"] is False
    assert "20260101T000000Z.json" in failed["comment"]


@pytest.fixture
def botapi() -> Iterator[str]:
    """The Bot API stand-in as a process of its own; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "tests.support.botapi", "--port", str(port), "--local"]
    process = subprocess.Popen(command, cwd=TREE, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        seconds_until(lambda: _listens(port), 20)
        yield base
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _set_webhook(bot: BotApi, url: str) -> bool:
    """Whether the Bot API took it: one setWebhook a second is its limit."""
    try:
        return bool(bot.call("setWebhook", url=url))
    except RuntimeError:
        return False


def test_webhook_is_registered_once_and_mended_when_it_drifts(
    tmp_path: Path, options: dict[str, Any], botapi: str
) -> None:
    host = Host(tmp_path, options, {"telegram.api_url": botapi})
    make_directory(host.paths.secrets)
    secret = "s" * 43
    write_atomic(host.paths.secrets / "telegram_token", TOKEN, mode=0o600)
    write_atomic(host.paths.secrets / "webhook_secret", secret, mode=0o600)
    write_atomic(host.paths.secrets / "webhook_path", "p" * 43, mode=0o600)
    bot = BotApi(botapi, TOKEN)

    planned = host.state("webhook.registered", test=True)
    assert planned["result"] is None
    assert bot.call("getWebhookInfo")["url"] == ""
    made = host.state("webhook.registered", test=False)
    assert made["result"] is True
    assert bot.call("getWebhookInfo")["url"] == f"https://bot.team.dev/telegram/webhook/{'p' * 43}"
    assert "p" * 43 not in f"{planned.raw} {made.raw}"
    assert secret not in json.dumps([planned.raw, made.raw])
    again = host.state("webhook.registered", test=False)
    assert (again["result"], again["changes"]) == (True, {})

    seconds_until(lambda: _set_webhook(bot, "https://somebody.else.dev/hook"), 10)
    mended = host.state("webhook.registered", test=False)
    assert mended["changes"]["url"]["old"] == "https://somebody.else.dev/hook"
    write_atomic(host.paths.secrets / "webhook_secret", "t" * 43, mode=0o600)
    rotated = host.state("webhook.registered", test=False)
    assert list(rotated["changes"]) == ["secret_token"]


def test_bot_api_that_refuses_or_is_away_is_named_without_the_token(
    tmp_path: Path, options: dict[str, Any], botapi: str
) -> None:
    for url, words in ((botapi, "setWebhook"), ("http://127.0.0.1:9", "out of reach")):
        host = Host(tmp_path, options, {"telegram.api_url": url})
        make_directory(host.paths.secrets)
        for name in ("telegram_token", "webhook_secret", "webhook_path"):
            write_atomic(
                host.paths.secrets / name, TOKEN if name == "telegram_token" else "s" * 43, mode=0o600
            )
        if url == botapi:
            BotApi(botapi, TOKEN).call("getMe")
            BotApi(botapi, TOKEN).fail_next("setWebhook", 403)
        failed = host.state("webhook.registered", test=False)
        assert failed["result"] is False
        assert words in failed["comment"]
        assert TOKEN not in failed["comment"]
