"""Going back: where to, with which settings, and what of the schema."""

import json

import pytest

from tests.simulation.droplet import Droplet
from tests.simulation.images import (
    DIGEST_1,
    DIGEST_2,
    DIGEST_3,
    DIGEST_4,
    LABELS,
    WORKER,
    Change,
    Image,
    chain,
)
from tests.support.releases import back, ship


@pytest.fixture
def three(droplet: Droplet) -> list[str]:
    """Ids of three releases, each with a migration of its own."""
    droplet.push("1.2.0", Image(DIGEST_3, chain("0001", "0002", "0003")))
    return [ship(droplet, version).release for version in ("1.0.0", "1.1.0", "1.2.0")]


def versions(droplet: Droplet) -> list[str]:
    return [record.version for record in droplet.world.ledger.newest()]


def test_back_to_the_release_before_with_its_schema(droplet: Droplet, three: list[str]) -> None:
    record = back(droplet)
    assert (record.outcome, record.kind, record.version, record.target) == (
        "live",
        "rollback",
        "1.1.0",
        three[1],
    )
    assert record.schema == {"before": ["0003"], "after": ["0002"]}
    assert [step.name for step in record.steps if step.name == "downgrade"] == ["downgrade"]
    assert droplet.database.content.heads == ["0002"]
    assert droplet.users.lost == []


def test_back_twice_goes_two_releases_back(droplet: Droplet, three: list[str]) -> None:
    back(droplet)
    assert back(droplet).version == "1.0.0"
    refused = back(droplet)
    assert refused.outcome == "refused"
    assert "is the first release: there is nothing before it" in refused.reason


def test_back_to_a_named_release(droplet: Droplet, three: list[str]) -> None:
    assert back(droplet, three[0]).version == "1.0.0"
    assert droplet.database.content.heads == ["0001"]


def test_forth_to_a_release_whose_migrations_were_taken_back_is_no_rollback(
    droplet: Droplet, three: list[str]
) -> None:
    back(droplet, three[0])
    assert back(droplet, three[2]).outcome == "refused"
    assert ship(droplet, "1.2.0").outcome == "live"


def test_forth_again_where_the_schema_is_the_same(droplet: Droplet) -> None:
    droplet.push("1.0.1", Image(DIGEST_3))
    ship(droplet, "1.0.0")
    newer = ship(droplet, "1.0.1").release
    back(droplet)
    forth = back(droplet, newer)
    assert (forth.outcome, forth.version, forth.target) == ("live", "1.0.1", newer)


def asked_of_images(droplet: Droplet) -> list[tuple[str, ...]]:
    return [call[1:] for call in droplet.docker.calls if call[0] == "run_once"]


def test_back_where_the_schema_is_the_same_asks_no_image(droplet: Droplet) -> None:
    """Users wait for the old version meanwhile, and each container costs most of a second."""
    droplet.push("1.0.1", Image(DIGEST_3))
    ship(droplet, "1.0.0")
    ship(droplet, "1.0.1")
    droplet.docker.calls.clear()
    assert back(droplet).outcome == "live"
    assert asked_of_images(droplet) == []


def test_a_schema_that_is_not_as_the_live_release_left_it_is_asked_for(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    ship(droplet, "1.1.0")
    droplet.database.content.applied.pop()
    droplet.docker.calls.clear()
    assert back(droplet).outcome == "live"
    assert ("alembic", "current") in asked_of_images(droplet)


def test_an_image_that_cannot_tell_the_schema_is_refused_before_it_migrates(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.scripts["alembic", "current"] = (1, "", "No module named alembic")
    refused = ship(droplet, "1.1.0")
    assert (refused.outcome, droplet.database.content.heads) == ("refused", ["0001"])
    assert "No module named alembic" in refused.reason


def test_rollback_of_a_rollback_means_the_release_that_it_went_back_to(
    droplet: Droplet, three: list[str]
) -> None:
    first = back(droplet)
    ship(droplet, "1.2.0")
    again = back(droplet, first.release)
    assert (again.outcome, again.version, again.target) == ("live", "1.1.0", three[1])


def test_to_where_one_is_already_is_unchanged(droplet: Droplet, three: list[str]) -> None:
    assert back(droplet, three[2]).outcome == "unchanged"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("20250101T000000Z", "was never live"),
        ("1.1.0", "version 1.1.0 was release"),
        ("failed", "was never live"),
    ],
)
def test_targets_that_there_are_not(droplet: Droplet, three: list[str], target: str, words: str) -> None:
    if target == "failed":
        droplet.push("2.0.0", Image(DIGEST_4, behaviour="exits"))
        target = ship(droplet, "2.0.0").release
    before = droplet.state()
    refused = back(droplet, target)
    assert refused.outcome == "refused"
    assert words in refused.reason
    assert three[2] in refused.reason
    assert droplet.state() == before


def test_nothing_was_ever_released(droplet: Droplet) -> None:
    assert "nothing was ever released" in back(droplet).reason


def test_back_to_a_release_from_before_tls_is_with_tls(droplet: Droplet) -> None:
    plain = {"address": "10.213.20.11", "port": 6379, "users": {"application": "marketplace"}}
    today = droplet.settings["redis"], droplet.settings["postgres"]
    droplet.settings["redis"] = plain
    droplet.settings["postgres"] = {name: value for name, value in today[1].items() if name != "tls"}
    first = ship(droplet, "1.0.0")
    droplet.settings["redis"], droplet.settings["postgres"] = today
    ship(droplet, "1.1.0")
    record = back(droplet)
    assert record.outcome == "live"
    texts = [
        droplet.disk.content(droplet.paths.releases / release / "compose.yaml") or ""
        for release in (first.release, record.release)
    ]
    assert "REDIS_PORT: '6379'" in texts[0]
    assert "TLS" not in texts[0]
    for variable in ("REDIS_PORT: '6380'", "REDIS_TLS: 'true'", "DATABASE_SSLMODE: verify-full"):
        assert variable in texts[1]


def test_with_the_settings_of_then_on_the_droplet_of_today(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.settings["backend"]["environment"] = {"LOG_LEVEL": "debug"}
    droplet.settings["backend"]["soak"] = 7
    droplet.settings["postgres"]["port"] = 5433
    ship(droplet, "1.1.0")
    record = back(droplet)
    assert record.outcome == "live"
    file = droplet.paths.releases / record.release / "compose.yaml"
    text = droplet.disk.content(file) or ""
    assert "LOG_LEVEL: info" in text
    assert "DATABASE_PORT: '5433'" in text
    soak = next(step for step in record.steps if step.name == "soak")
    assert soak.detail.startswith("7 s")
    assert next(item.settings_digest for item in droplet.world.ledger.newest()) != (
        droplet.world.ledger.newest()[2].settings_digest
    )  # the droplet's part has changed meanwhile


def test_works_while_the_registry_is_down(droplet: Droplet, three: list[str]) -> None:
    droplet.docker.registry_answers = False
    assert back(droplet, three[0]).outcome == "live"


def test_image_that_is_gone_and_cannot_be_had_refuses(droplet: Droplet, three: list[str]) -> None:
    droplet.docker.registry_answers = False
    for name in [name for name, image in droplet.docker.names.items() if image.digest == DIGEST_2]:
        del droplet.docker.names[name]
    refused = back(droplet)
    assert refused.outcome == "refused"
    assert "is no longer here, and could not be pulled" in refused.reason


@pytest.mark.parametrize("damage", [None, "{"])
def test_settings_that_are_gone_or_damaged_refuse(
    droplet: Droplet, three: list[str], damage: str | None
) -> None:
    file = droplet.paths.releases / three[1] / "settings.json"
    if damage is None:
        droplet.disk.take(file)
    else:
        droplet.disk.place(file, damage)
    refused = back(droplet)
    assert refused.outcome == "refused"
    assert str(file) in refused.reason


def test_what_would_be_lost_is_said_first(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", Change("0009", loses="all likes"))))
    ship(droplet, "1.0.0")
    ship(droplet, "2.0.0")
    refused = back(droplet)
    assert refused.outcome == "refused"
    assert "loses 0009: all likes" in refused.reason
    forced = back(droplet, force_schema=True)
    assert (forced.outcome, forced.schema["after"]) == ("live", ["0001"])
    assert "this loses 0009: all likes" in next(s.detail for s in forced.steps if s.name == "schema")


def test_across_what_cannot_be_taken_back_only_by_force_and_then_the_schema_stays(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", Change("0009", reversible=False))))
    ship(droplet, "1.0.0")
    ship(droplet, "2.0.0")
    refused = back(droplet)
    assert refused.outcome == "refused"
    assert "migration 0009 (change 0009) cannot be taken back" in refused.reason
    forced = back(droplet, force_schema=True)
    assert (forced.outcome, forced.schema["after"]) == ("live", ["0009"])


def test_across_what_breaks_only_in_maintenance(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", Change("0009", breaks=True, breaking=True))))
    ship(droplet, "1.0.0")
    ship(droplet, "2.0.0", maintenance=True)
    assert "with maintenance=True" in back(droplet).reason
    record = back(droplet, maintenance=True)
    assert (record.outcome, record.schema["after"]) == ("live", ["0001"])
    assert not droplet.edge.closed
    assert droplet.users.lost == []


def test_image_with_no_way_down_is_gone_back_from_only_by_force(droplet: Droplet) -> None:
    labels = {name: value for name, value in LABELS.items() if name != "marketplace.migrate.down"}
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", "0009"), labels))
    ship(droplet, "1.0.0")
    ship(droplet, "2.0.0")
    assert "no image says how to take it back" in back(droplet).reason
    assert back(droplet, force_schema=True).outcome == "live"


def test_worker_goes_back_as_well_and_is_never_two(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_1, labels=LABELS | WORKER))
    droplet.push("2.1.0", Image(DIGEST_2, labels=LABELS | WORKER))
    ship(droplet, "2.0.0")
    ship(droplet, "2.1.0")
    assert back(droplet).outcome == "live"
    assert droplet.running == {"backend-blue", "worker-blue"}
    assert droplet.broken == []


def test_targets_within_reach_outlive_every_prune(droplet: Droplet) -> None:
    droplet.settings["backend"]["keep_releases"] = 2
    ids = []
    for number in range(6):
        droplet.push(f"3.{number}", Image(f"sha256:{number:064x}"))
        ids.append(ship(droplet, f"3.{number}").release)
    droplet.docker.registry_answers = False
    kept = {name for name in droplet.docker.names if name.startswith("keep:")}
    assert kept == {f"keep:{release}" for release in ids[-3:]}
    # Each has three names; and the first is not forgotten, for it brought the schema to where it is.
    assert len(droplet.docker.names) == 11
    assert len(droplet.world.ledger.ids()) == 6
    assert back(droplet, ids[3]).outcome == "live"
    assert back(droplet, ids[1]).outcome == "refused"
    json.dumps(droplet.world.ledger.newest(1)[0].to_dict())
