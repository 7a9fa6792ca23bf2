"""Going back by several releases, as far as images are kept and no further without a registry, or with force."""

from __future__ import annotations

from collections.abc import Callable

from tests.droplet.test_release_rollback import (
    FIRST,
    WITH_WORKER,
    apply,
    assert_taken_back,
    begin,
    origin,
    step,
    variable,
)
from tests.support import shipping
from tests.support.botapi.client import BotApi
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.site import Images, Site
from tests.support.load.running import Load
from tests.support.load.state import secret_of, sql
from tests.support.worker import WORKER

KEPT = 5
"""The setting's default."""
SECOND = "1.1.2"
IRREVERSIBLE = "1.3.0"
VERSIONS = tuple(f"1.1.{number}" for number in range(10, 10 + KEPT + 2))


def test_back_by_as_many_releases_as_are_kept_with_the_registry_down(
    droplet: Droplet, site: Site, load: Callable[..., Load]
) -> None:
    # The release that brought the schema where it is keeps its image whatever its age: that is this one.
    begin(droplet, site)
    records = []
    users = load(20, 1.0)
    for version in VERSIONS:
        site.backend(version)
        records.append(shipping.shipped(shipping.release(droplet, version, "soak=0")))
    pruned, oldest = records[0], records[1]
    site.registry().container.stop()
    try:
        refused = shipping.rollback(droplet, pruned["release"])
        assert refused.value["outcome"] == "refused", refused.value
        assert "is no longer here, and could not be pulled" in refused.value["reason"]
        shipping.assert_sound(droplet, VERSIONS[-1])
        back = shipping.shipped(shipping.rollback(droplet, oldest["release"]))
        assert (back["version"], back["image"]) == (oldest["version"], oldest["image"])
    finally:
        site.registry()
    # A record is never pruned: with the registry, its image can be had again.
    assert shipping.shipped(shipping.rollback(droplet, pruned["release"]))["version"] == VERSIONS[0]
    shipping.assert_everywhere(droplet, VERSIONS[0])
    users.assert_lossless(droplet)


def test_back_by_one_and_by_three_releases_with_the_registry_down(
    droplet: Droplet, site: Site, images: Images, load: Callable[..., Load]
) -> None:
    site.backend(SECOND)
    for version in WITH_WORKER:
        site.backend(version, WORKER=WORKER)
    first = begin(droplet, site)
    level = variable(droplet, "LOG_LEVEL")
    users = load(20, 1.0)
    shipping.shipped(shipping.release(droplet, SECOND, "soak=0"))
    right = pillar.local(site, images)
    apply(droplet, right | {"backend": {**right["backend"], "environment": {"LOG_LEVEL": "warning"}}})
    try:
        second = shipping.shipped(shipping.release(droplet, WITH_WORKER[0], "soak=0"))
    finally:
        apply(droplet, right)
    third = shipping.shipped(shipping.release(droplet, WITH_WORKER[1], "soak=0"))
    assert variable(droplet, "LOG_LEVEL") == level
    assert (second["schema"]["after"], third["schema"]["after"]) == (["0003"], ["0003"])
    site.registry().container.stop()
    try:
        back = shipping.shipped(shipping.rollback(droplet))
        assert (back["kind"], back["target"], back["version"]) == (
            "rollback",
            second["release"],
            WITH_WORKER[0],
        )
        assert variable(droplet, "LOG_LEVEL") == "warning"
        shipping.assert_everywhere(droplet, WITH_WORKER[0])
        assert f"worker-{back['colour']}" in shipping.containers(droplet)

        far = shipping.shipped(shipping.rollback(droplet, first["release"], "soak=0"))
    finally:
        site.registry()
    assert (far["target"], far["version"], far["image"]) == (origin(droplet, first), FIRST, first["image"])
    assert_taken_back(droplet, far)
    assert variable(droplet, "LOG_LEVEL") == level
    shipping.assert_everywhere(droplet, FIRST)
    shipping.assert_sound(droplet, FIRST)
    users.assert_lossless(droplet)


def test_migration_that_cannot_be_taken_back_needs_force_and_secrets_are_todays(
    droplet: Droplet, site: Site, images: Images, botapi: BotApi
) -> None:
    site.backend(IRREVERSIBLE)
    begin(droplet, site)
    right, old = pillar.local(site, images), secret_of(droplet, "backend_webhook_secret")
    try:
        new = right["secrets"] | {"backend_webhook_secret": {"value": "another-secret-of-the-webhook"}}
        apply(droplet, right | {"secrets": new})
        ahead = shipping.shipped(shipping.release(droplet, IRREVERSIBLE, "soak=0"))
        assert ahead["schema"]["after"] == ["0004"]

        refused = shipping.rollback(droplet)
        assert refused.returncode == 1
        assert refused.value["outcome"] == "refused"
        for words in ("migration 0004", "it has lost the usernames of all users", "force_schema=True"):
            assert words in refused.value["reason"], refused.value["reason"]
        shipping.assert_sound(droplet, IRREVERSIBLE)

        forced = shipping.shipped(shipping.rollback(droplet, "force_schema=True", "soak=0"))
        assert forced["version"] == FIRST
        assert forced["schema"] == {"before": ["0004"], "after": ["0004"]}
        assert "it has lost the usernames of all users" in str(step(forced, "schema"))
        shipping.assert_sound(droplet, FIRST)
        # That release was made with another secret. Telegram sends today's.
        assert botapi.ask("/start", chat_id=504)
    finally:
        apply(droplet, right | {"secrets": right["secrets"] | {"backend_webhook_secret": {"value": old}}})
        apply(droplet, right)
        # It has emptied a column and changed no table: for other tests it never was.
        sql(droplet, "UPDATE alembic_version SET version_num = '0003'")
        # What runs has read the other secret when it started.
        shipping.shipped(shipping.release(droplet, FIRST, "soak=0"))
