"""What a hostile host gets at the edge, and that users do not notice it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.paths import REPOSITORY
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.load import running
from tests.support.load.running import Load
from tests.support.load.state import secret_of, webhook_path

BODY = 10 * 1024 * 1024


@pytest.fixture(scope="module")
def stranger(droplet: Droplet, site: Site, images: Images, neighbour: Machine) -> Iterator[Machine]:
    """A host whose address is not Telegram's. The neighbour's is, and the Bot API's stand-in's."""
    made = site.neighbour("stranger")
    made.put("/opt/abuse.py", (REPOSITORY / "tests/support/abuse.py").read_text())
    right = pillar.local(site, images)
    known = [f"{machine.address()}/32" for machine in (neighbour, site.botapi())]
    limits = {"requests": 50, "connections": 16}
    telegram = right["telegram"] | {"networks": known}
    pillar.write(droplet, right | {"telegram": telegram, "edge": {"limits": limits}})
    assert call(droplet, "state.apply", "marketplace.edge").failed == {}
    yield made
    made.container.remove(force=True)
    pillar.write(droplet, right)
    assert call(droplet, "state.apply", "marketplace.edge").failed == {}


@pytest.fixture(scope="module")
def users(droplet: Droplet, stranger: Machine, neighbour: Machine) -> Iterator[Load]:
    """A hundred people who write to the bot through all of this."""
    with running.users(neighbour, droplet, 100, 0.3) as load:
        yield load


def post(machine: Machine, droplet: Droplet, *options: str, path: str | None = None) -> int:
    """The HTTP status of a request to the webhook's public address, as ``machine`` gets it."""
    found = machine.run(
        ["curl", "--silent", "--insecure", "--http1.1", "--max-time", "20", "--output", "/dev/null",
         "--write-out", "%{http_code}", "--resolve", f"bot.test:443:{droplet.address()}", *options,
         f"https://bot.test{webhook_path(droplet) if path is None else path}"],
        check=False,
    )  # fmt: skip
    return int(found.stdout)


def abuse(stranger: Machine, droplet: Droplet, kind: str, count: int, seconds: int) -> dict[str, int]:
    """What becomes of so many connections of that kind; see tests/support/abuse.py."""
    argv = ["python3", "/opt/abuse.py", droplet.address(), "443", kind, str(count), str(seconds)]
    found: dict[str, int] = json.loads(stranger.run(argv).stdout)
    assert sum(found.values()) == count
    return found


def secret(droplet: Droplet) -> str:
    return f"X-Telegram-Bot-Api-Secret-Token: {secret_of(droplet, 'webhook_secret')}"


def test_for_strangers_there_is_no_webhook(droplet: Droplet, stranger: Machine, users: Load) -> None:
    """Not even with all that Telegram knows."""
    assert post(stranger, droplet, "--data", "{}", "--header", secret(droplet)) == 404
    assert post(stranger, droplet, "--data", "{}") == 404
    assert post(stranger, droplet, path="/healthz") == 200


def test_telegrams_address_alone_is_not_enough(droplet: Droplet, neighbour: Machine, users: Load) -> None:
    assert post(neighbour, droplet, "--data", "{}") == 403
    assert post(neighbour, droplet, "--data", "{}", "--header", secret(droplet) + "x") == 403
    assert (
        post(neighbour, droplet, "--data", "{}", "--header", secret(droplet), path="/telegram/webhook") == 404
    )


def test_what_is_no_update_is_refused(droplet: Droplet, neighbour: Machine, users: Load) -> None:
    right = ["--header", secret(droplet)]
    neighbour.run(["truncate", f"--size={BODY}", "/tmp/large"])
    assert post(neighbour, droplet, *right) == 405
    assert post(neighbour, droplet, *right, "--request", "DELETE") == 405
    assert post(neighbour, droplet, *right, "--data", "{not json") == 400
    assert post(neighbour, droplet, *right, "--data-binary", "@/tmp/large") == 413
    assert post(neighbour, droplet, *right, "--data", "{}", "--header", "Transfer-Encoding: chunked") == 411
    long = ["--header", f"X-Long: {'x' * 20000}"]
    assert post(neighbour, droplet, *right, "--data", "{}", *long) in (400, 431)


def test_two_thousand_slow_clients_are_let_go(droplet: Droplet, stranger: Machine, users: Load) -> None:
    ends = abuse(stranger, droplet, "slow", 2000, 9)
    assert ends.get("open", 0) == 0
    assert ends.get("refused", 0) + ends.get("closed", 0) > 1900
    silent = abuse(stranger, droplet, "silent", 2000, 9)
    assert silent.get("open", 0) == 0


def test_no_tls_no_answer(droplet: Droplet, stranger: Machine, users: Load) -> None:
    ends = abuse(stranger, droplet, "garbage", 200, 8)
    assert set(ends) <= {"closed", "refused"}


def test_one_source_asks_no_more_than_its_share(droplet: Droplet, stranger: Machine, users: Load) -> None:
    # By one curl: sixty that start one by one may be slow enough to be let through.
    asked = ["curl", "--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code} ",
             "--resolve", f"bot.test:443:{droplet.address()}", "https://bot.test/nothing[1-60]"]  # fmt: skip
    codes = stranger.run(asked).stdout.split()
    assert (len(codes), codes[0], codes[-1]) == (60, "404", "429")
    assert set(codes) == {"404", "429"}


def test_users_noticed_nothing_of_all_this(droplet: Droplet, users: Load) -> None:
    found = users.assert_lossless(droplet)
    assert found.p95_ms is not None
    assert found.p95_ms < 2000, found
