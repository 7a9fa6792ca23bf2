"""A team that runs its bot with a plain compose file moves in: by a data directory, by a dump, and under load."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.droplet.conftest import prepared
from tests.support import backups, shipping
from tests.support.botapi.client import BotApi
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.load.state import sql
from tests.support.plain_host import HOME, PlainHost
from tests.support.waiting import delivered, seconds_until

NAME = "new.test"
DUMP, CACHE, DATA = "/root/bot.dump", "/root/dump.rdb", "/root/pgdata"
USERS, MESSAGES, RATE = 20, 1200, 10.0
LONGEST_DOWNTIME = 60
"""Seconds, with next to nothing in the database: what is measured is the way, and not the disk."""


@pytest.fixture(scope="module")
def old(site: Site, images: Images, botapi: BotApi) -> Iterator[PlainHost]:
    """The host that the bot runs on."""
    made = PlainHost(site, images)
    try:
        made.start()
        yield made
    finally:
        made.machine.destroy()


def settings(site: Site, images: Images, register: bool) -> dict[str, Any]:
    """The new droplet's pillar/local: at a name of its own, so that no DNS entry has to change at the same moment."""
    local = pillar.local(site, images)
    local["telegram"]["register"] = register
    return local | {"edge": {"domains": [NAME]}}


@pytest.fixture(scope="module")
def new(site: Site, images: Images, old: PlainHost) -> Iterator[Droplet]:
    """A droplet that is converged while the bot still runs elsewhere."""
    made = prepared(site, images, "new")
    try:
        pillar.write(made, settings(site, images, register=False))
        made.run(["/srv/deploy/bootstrap.sh", "development"])
        yield made
    finally:
        made.destroy()


def moved_in(droplet: Droplet, *arguments: str) -> dict[str, Any]:
    """``backup.import`` behind a closed edge, and the release that brings the schema to its head."""
    assert call(droplet, "deploy.maintenance", "on").returncode == 0
    answer = call(droplet, "backup.import", *arguments)
    assert answer.value["outcome"] == "imported", f"{answer.value}\n{answer.stderr}"
    version = shipping.status(droplet)["live"]["version"]
    assert call(droplet, "deploy.release", version).value["outcome"] in ("live", "unchanged")
    assert call(droplet, "deploy.maintenance", "off").returncode == 0
    found: dict[str, Any] = answer.value
    return found


def test_a_droplet_that_is_made_ready_leaves_the_webhook_alone(
    old: PlainHost, new: Droplet, botapi: BotApi
) -> None:
    assert botapi.call("getWebhookInfo")["url"].startswith("https://old.test/")
    assert botapi.ask("/start", chat_id=501, wait=30)
    assert old.sql("SELECT count(*) FROM users") == "1"
    assert "webhook" not in str(call(new, "health.check").value["alerts"])
    assert call(new, "state.apply").changed == {}


def test_a_data_directory_moves_in(old: PlainHost, new: Droplet, site: Site) -> None:
    old.compose("stop", "bot", "postgres")
    archive = "/root/pgdata.tar"
    old.machine.run(["tar", "--create", f"--file={archive}", f"--directory={HOME}/postgres", "."])
    old.compose("start", "postgres", "bot")
    where = old.machine.run(
        ["find", f"{HOME}/postgres", "-name", "PG_VERSION", "-maxdepth", "3"]
    ).stdout.split()[0]
    inside = where.removeprefix(f"{HOME}/postgres").removesuffix("/PG_VERSION")
    new.put("/root/pgdata.tar", old.machine.get(archive))
    new.run(["sh", "-c", f"mkdir -p {DATA} && tar -xf /root/pgdata.tar -C {DATA}"])
    answer = moved_in(new, f"data={DATA}{inside}", "user=bot", "database=bot")
    assert answer["rows"]["public.users"] == 1
    assert sql(new, "SELECT count(*) FROM users") == "1"
    # It belongs to the roles of this droplet: the application reads and writes what it has.
    owners = "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"
    assert sql(new, owners) == "marketplace_owner"


def test_rows_that_are_here_are_not_lost_by_a_slip(old: PlainHost, new: Droplet) -> None:
    new.put(DUMP, old.dump()[0])
    call(new, "deploy.maintenance", "on")
    refused = call(new, "backup.import", f"dump={DUMP}")
    call(new, "deploy.maintenance", "off")
    assert refused.returncode == 1
    assert "replace=True" in refused.value["reason"]
    assert call(new, "backup.import", f"dump={DUMP}", "replace=True").value["outcome"] == "refused"


def test_under_load_no_update_is_lost(
    old: PlainHost, new: Droplet, site: Site, images: Images, botapi: BotApi, note: Callable[[str], None]
) -> None:
    first = botapi.stats()["last_update"]
    load = botapi.load(MESSAGES, RATE, USERS, ("/start", "/browse"))
    seconds_until(lambda: botapi.stats(first)["updates"]["delivered"] > 100, 60)

    begun = time.monotonic()
    old.compose("stop", "bot")
    assert old.redis("SET", "moved", "along") == "OK"
    dump, cache = old.dump()
    new.put(DUMP, dump)
    new.put(CACHE, cache)
    answer = moved_in(new, f"dump={DUMP}", f"cache={CACHE}", "replace=True")
    pillar.write(new, settings(site, images, register=True))
    assert call(new, "state.apply", "marketplace.webhook").failed == {}
    downtime = time.monotonic() - begun

    delivered(botapi, load, 400)
    figures = botapi.stats(first)["updates"]
    assert (figures["total"], figures["delivered"], figures["dropped"]) == (MESSAGES, MESSAGES, 0)
    expected = {delivery["update_id"] for delivery in botapi.deliveries(first)}
    handled = sql(new, "SELECT update_id FROM handled_updates").split()
    lost = expected - {int(one) for one in handled}
    note(
        f"moving in: {MESSAGES} updates of {USERS} users at {RATE:g} a second, {len(lost)} lost, "
        f"{sum(answer['rows'].values())} rows moved; {downtime:.0f} s from the old bot's end to the webhook here, of "
        f"which the import took {answer['seconds']:.0f} s"
    )
    assert lost == set()
    assert len(handled) == len(set(handled))
    assert backups.redis(new, "GET moved") == ["along"]
    assert downtime < LONGEST_DOWNTIME
    assert call(new, "state.apply").failed == {}
    assert call(new, "backup.confirm").value["deleted"]
