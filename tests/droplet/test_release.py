"""The story: a converged droplet serves the bot, ships a version under load, and refuses what cannot be shipped."""

from __future__ import annotations

import pytest

from tests.support import shipping
from tests.support.botapi.client import BotApi
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import ON_RECORD, call
from tests.support.droplet.site import Images, Site
from tests.support.load.state import sql, webhook_path
from tests.support.shipping import live_colour
from tests.support.waiting import delivered


def running_backends(droplet: Droplet) -> list[str]:
    names = droplet.run(["docker", "ps", "--filter=name=backend-", "--format={{.Names}}"]).stdout
    return sorted(names.split())


def test_first_converge_released_and_the_bot_answers_from_the_database(
    droplet: Droplet, botapi: BotApi
) -> None:
    assert botapi.ask("/start", chat_id=501)
    rows = sql(droplet, "SELECT count(*) FROM users WHERE id = 501")
    assert rows == "1"
    info = botapi.call("getWebhookInfo")
    assert info["url"] == f"https://bot.test{webhook_path(droplet)}"
    assert info["pending_update_count"] == 0


def test_release_under_load_loses_nothing_and_moves_to_the_other_colour(
    droplet: Droplet, site: Site, botapi: BotApi
) -> None:
    site.backend("1.1.0")
    if sql(droplet, "SELECT version_num FROM alembic_version") != "0001":
        # Others were here before. It is taken back by going back from a version that has it.
        shipping.ensure_live(droplet, "1.1.0")
        shipping.ensure_schema(droplet, ["0001"])
    before = live_colour(droplet)
    load = botapi.load(count=750, rate=50, chats=20, texts=("/start", "/browse", "/mine"))
    release = call(droplet, "deploy.release", "1.1.0")
    assert release.returncode == 0, release
    record = release.value
    assert record["outcome"] == "live"
    assert record["schema"]["after"] == ["0002"]
    assert [step["outcome"] for step in record["steps"]] == ["done"] * len(record["steps"])
    assert "switch: " in release.stderr
    assert live_colour(droplet) == record["colour"] != before
    assert running_backends(droplet) == [f"backend-{record['colour']}"]
    figures = delivered(botapi, load)
    assert figures["stats"]["updates"]["delivered"] == 750, figures
    assert set(figures["stats"]["attempts"]) == {"200"}, figures
    first, last = figures["first_update"], figures["last_update"]
    handled = sql(droplet, f"SELECT count(*) FROM handled_updates WHERE update_id BETWEEN {first} AND {last}")
    assert handled == "750"
    history = call(droplet, "deploy.history").value
    assert [item["version"] for item in history[:2]] == ["1.1.0", "1.0.0"]
    assert history[0]["previous"] == history[1]["release"]
    assert not any("chain_broken" in item for item in history)
    again = call(droplet, "deploy.release", "1.1.0")
    assert (again.returncode, again.value["outcome"]) == (0, "unchanged")
    assert call(droplet, "deploy.history").value == history
    plan = call(droplet, "state.apply")
    assert plan.failed == {}
    assert set(plan.changed) <= {ON_RECORD}
    status = call(droplet, "deploy.status").value
    assert status["live"]["version"] == "1.1.0"
    assert status["pending"] == []
    assert status["lock"] is None


def test_version_that_yaml_would_shorten_is_refused(droplet: Droplet) -> None:
    release = call(droplet, "deploy.release", "1.10")
    assert release.returncode == 1
    assert release.value["outcome"] == "refused"
    assert "1.10 becomes 1.1" in release.value["reason"]


def test_new_settings_are_pending_until_they_are_released(
    droplet: Droplet, site: Site, images: Images
) -> None:
    version = call(droplet, "deploy.status").value["live"]["version"]
    right = pillar.local(site, images)
    changed = right | {"backend": {**right["backend"], "environment": {"LOG_LEVEL": "warning"}}}
    pillar.write(droplet, changed)
    try:
        applied = call(droplet, "state.apply")
        assert applied.failed == {}
        assert list(applied.changed) == [
            "Ensure the settings are valid and written",
            ON_RECORD,
        ]
        assert "backend settings or secrets have changed" in str(
            call(droplet, "deploy.status").value["pending"]
        )
        release = call(droplet, "deploy.release", version)
        assert release.value["outcome"] == "live"
        environment = droplet.run(["docker", "inspect", f"backend-{live_colour(droplet)}"]).stdout
        assert "LOG_LEVEL=warning" in environment
        assert call(droplet, "deploy.status").value["pending"] == []
    finally:
        pillar.write(droplet, right)
        assert call(droplet, "state.apply").failed == {}
        # Else the live release would say nothing but warnings to every test behind this one.
        assert call(droplet, "deploy.release", version).value["outcome"] == "live"


def test_no_network_is_named(droplet: Droplet) -> None:
    before = live_colour(droplet)
    cut = "table inet cut { chain out { type filter hook output priority 0; tcp dport 443 reject with tcp reset; }; }"
    droplet.run(["nft", "-f", "-"], stdin=cut)
    try:
        release = call(droplet, "deploy.release", "1.0.0")
    finally:
        droplet.run(["nft", "delete", "table", "inet", "cut"])
    assert release.returncode == 1
    assert release.value["outcome"] == "refused"
    assert "could not be pulled" in release.value["reason"]
    assert "connection" in release.value["reason"]
    assert live_colour(droplet) == before


@pytest.mark.parametrize(
    ("directory", "outcome"),
    [("/var/lib/docker/tmp", "refused"), ("/var/lib/marketplace/releases", "failed")],
)
def test_full_disk_is_named_and_leaves_live_serving(
    droplet: Droplet, site: Site, botapi: BotApi, directory: str, outcome: str
) -> None:
    site.backend("1.2.0", VARIANT="slow-start")
    before = live_colour(droplet)
    droplet.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=4", "tmpfs", directory])
    try:
        release = call(droplet, "deploy.release", "1.2.0")
    finally:
        droplet.run(["umount", directory])
    assert release.returncode == 1
    assert release.value["outcome"] == outcome
    assert "no space left on device" in release.value["reason"].lower()
    assert live_colour(droplet) == before
    assert running_backends(droplet) == [f"backend-{before}"]
    assert botapi.ask("/browse", chat_id=503)
