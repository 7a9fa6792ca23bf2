"""deploy.*, health.* and the engine's states by Salt's own loaders, on a droplet that is a directory."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import salt.config
from marketplace_durable import make_directory, to_json, write_atomic
from marketplace_effective import release_digest
from marketplace_ledger import Ledger
from marketplace_paths import Paths
from marketplace_records import ReleaseRecord
from marketplace_settings_gate import gate, no_pillar
from saltfactories.utils.functional import Loaders

from tests.support.botapi.client import BotApi
from tests.support.pillars import ENVIRONMENTS, REMOVED, TOKEN, pillar
from tests.support.waiting import seconds_until

TREE = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def options() -> dict[str, Any]:
    opts = salt.config.minion_config(None)
    opts.update(id="production", file_client="local", module_dirs=[str(TREE / "salt")])
    return dict(opts)


class Host:
    """A droplet's files below a directory, and Salt's loaders with a pillar that went through the gate."""

    def __init__(
        self,
        root: Path,
        options: dict[str, Any],
        changes: dict[str, Any] | None = None,
        compiled: dict[str, Any] | None = None,
    ) -> None:
        self.paths = Paths(root / "root")
        said = pillar(changes)
        self.pillar = compiled or said | gate(said, "production", ENVIRONMENTS)
        self.options = options | {
            "marketplace_root": str(root / "root"),
            "cachedir": str(root / "cache"),
            "pillar": self.pillar,
        }
        self._loaders: dict[bool, Loaders] = {}
        make_directory(self.paths.etc)
        make_directory(self.paths.state)

    def apply_settings(self) -> None:
        """What the first state does."""
        write_atomic(self.paths.settings, to_json(self.pillar["settings"]))

    def record(self, version: str = "1.0.0", digest: str | None = None) -> None:
        """A live release in the ledger."""
        settings_digest = digest or release_digest(self.pillar["settings"], self.paths)
        Ledger(self.paths.ledger).append(
            ReleaseRecord(
                "20260101T000000Z", version, "i@sha256:0", None, "live", "", "blue", {"before": None, "after": None},
                "alice", "abc", "2026-01-01T00:00:00+00:00", 1.0, settings_digest,
            )
        )  # fmt: skip

    def loaders(self, test: bool) -> Loaders:
        if test not in self._loaders:
            self._loaders[test] = Loaders(self.options | {"test": test})
        return self._loaders[test]

    def call(self, function: str, *arguments: Any, **options: Any) -> tuple[Any, int]:
        """A function's data and exit code."""
        loaders = self.loaders(test=False)
        loaders.context.clear()
        value = loaders.modules[function](*arguments, **options)
        return value, loaders.context.get("retcode", 0)

    def state(self, function: str, test: bool, **options: Any) -> Any:
        return self.loaders(test).states[function](name="Ensure it", **options)


@pytest.fixture
def host(tmp_path: Path, options: dict[str, Any]) -> Host:
    return Host(tmp_path, options)


def test_status_before_and_after_the_first_converge(host: Host) -> None:
    status, code = host.call("deploy.status")
    assert code == 0
    assert status["live"] is None
    assert "run state.apply" in status["pending"][0]
    host.apply_settings()
    host.record(digest="sha256:of other settings")
    # Nothing of Docker is needed to say what the ledger knows, but health asks Docker: it is said what is missing.
    history, code = host.call("deploy.history")
    assert (code, history[0]["version"]) == (0, "1.0.0")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((1.1,), "loses digits"), (("1.0.0",), "run state.apply")],
)
def test_release_is_refused_before_anything_changes(
    host: Host, arguments: tuple[Any, ...], words: str
) -> None:
    record, code = host.call("deploy.release", *arguments)
    assert code == 1
    assert record["outcome"] == "refused"
    assert words in record["reason"]
    assert not host.paths.journal.exists()
    assert not host.paths.ledger.exists()


def test_release_is_refused_when_pillar_is_wrong_or_was_not_applied(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    host = Host(tmp_path, options, {"secrets": REMOVED, "redis.disk": "tiny"})
    record, code = host.call("deploy.release", "1.0.0")
    assert (code, record["outcome"]) == (1, "refused")
    assert "secrets.telegram_token" in record["reason"]
    assert "redis.disk" in record["reason"]
    good = Host(tmp_path, options)
    good.apply_settings()
    changed = Host(tmp_path, options, {"backend.stop_grace": 45})
    record, code = changed.call("deploy.release", "1.0.0")
    assert (code, record["outcome"]) == (1, "refused")
    assert "backend.stop_grace" in record["reason"]


def test_droplet_converged_from_elsewhere_releases_without_pillar(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Host(tmp_path, options).apply_settings()
    host = Host(tmp_path, options, compiled=no_pillar())
    assert "deploy.release" in host.loaders(test=False).modules
    monkeypatch.setenv("PATH", str(tmp_path))  # nothing of this machine's Docker
    record, code = host.call("deploy.release", "1.0.0")
    assert (code, record["outcome"]) == (1, "failed")
    assert "docker is not installed; run state.apply first" in record["reason"]


@pytest.mark.parametrize("limit", [-1, "many", True])
def test_history_says_what_a_limit_is(host: Host, limit: Any) -> None:
    answer, code = host.call("deploy.history", limit)
    assert code == 1
    assert "expected a whole number" in answer["reason"]


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
    bot = BotApi(botapi, TOKEN)

    planned = host.state("webhook.registered", test=True)
    assert planned["result"] is None
    assert bot.call("getWebhookInfo")["url"] == ""
    made = host.state("webhook.registered", test=False)
    assert made["result"] is True
    assert bot.call("getWebhookInfo")["url"] == "https://bot.team.dev/telegram/webhook"
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
        for name in ("telegram_token", "webhook_secret"):
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
