"""A release's containers, as the image's contract and the settings make them: confined, and told whom to trust."""

import pytest
from marketplace_contract import ContractError, parse_contract
from marketplace_release_compose import environment, one_off, render

from tests.simulation.images import LABELS
from tests.simulation.settings import settings


def test_contract_names_all_that_is_wrong_at_once() -> None:
    labels = {
        "marketplace.contract": "2",
        "marketplace.port": "80",
        "marketplace.migrate": "alembic upgrade head",
        "marketplace.version.path": "/v",
    }
    with pytest.raises(ContractError) as caught:
        parse_contract("image", labels, 8080, has_healthcheck=False)
    text = str(caught.value)
    for words in (
        "contract is '2'",
        "port is '80'",
        "no HEALTHCHECK",
        "health.ready is missing",
        "version.path is '/v'",
        "expected a JSON list",
        "migrate.heads is missing",
    ):
        assert words in text
    assert parse_contract("image", LABELS, 8080, has_healthcheck=True).migrate == (
        "alembic",
        "upgrade",
        "head",
    )


def test_rendered_backend_is_confined_and_publishes_nothing() -> None:
    contract = parse_contract("image", LABELS, 8080, has_healthcheck=True)
    document = render(settings(), contract, "r1", "1.0", "image@sha256:0", "green", "/etc/x/backend")
    backend = document["services"]["backend"]
    assert "ports" not in backend
    assert backend["read_only"] is True
    assert backend["cap_drop"] == ["ALL"]
    assert backend["networks"]["app"] == {"ipv4_address": "10.213.10.22"}
    assert backend["mem_limit"] == 256 << 20
    assert backend["environment"]["DATABASE_USER"] == "marketplace_app"
    assert backend["environment"]["LOG_LEVEL"] == "info"
    assert all(isinstance(value, str) for value in backend["environment"].values())
    assert backend["volumes"][0]["bind"] == {"create_host_path": False}
    assert backend["ulimits"]["core"] == 0
    assert backend["memswap_limit"] == backend["mem_limit"]
    assert all({"noexec", "nosuid", "nodev"} < set(entry.split(",")) for entry in backend["tmpfs"])
    assert "worker" not in document["services"]


def test_clients_of_the_data_services_are_told_whom_to_trust() -> None:
    told = environment(settings(), "r1", "1.0", "green", "application")
    assert (told["DATABASE_SSLMODE"], told["REDIS_TLS"]) == ("verify-full", "true")
    assert told["DATABASE_CA_FILE"] == told["REDIS_CA_FILE"] == "/run/secrets/ca.pem"
    migration = one_off(
        settings(), "r1", "1.0", "image@sha256:0", "green", ("up",), "/etc/x/migration", deadline=60
    )
    assert "--env=DATABASE_SSLMODE=verify-full" in migration
    assert "--env=DATABASE_CA_FILE=/run/secrets/ca.pem" in migration


def test_settings_of_an_older_tree_are_honoured_as_they_are() -> None:
    """A journal that it left behind, whose release is finished by this one."""
    older = settings()
    del older["redis"]["tls"], older["postgres"]["tls"]
    told = environment(older, "r1", "1.0", "green", "application")
    assert not {"DATABASE_SSLMODE", "DATABASE_CA_FILE", "REDIS_TLS", "REDIS_CA_FILE"} & told.keys()


def test_one_off_has_the_limits_of_a_colour() -> None:
    words = one_off(
        settings(), "r1", "1.0", "image@sha256:0", "green", ("up",), "/etc/x/migration", deadline=60
    )
    memory = next(word.partition("=")[2] for word in words if word.startswith("--memory="))
    assert f"--memory-swap={memory}" in words
    assert "--ulimit=core=0" in words
    assert "noexec" in next(word for word in words if word.startswith("--tmpfs="))


def test_dollars_in_settings_are_not_composes() -> None:
    contract = parse_contract("image", LABELS, 8080, has_healthcheck=True)
    ours = settings()
    ours["backend"]["environment"] = {"GREETING": "pa$$word ${HOME}"}
    document = render(ours, contract, "r1", "1.0", "image@sha256:0", "green", "/etc/x/backend")
    assert document["services"]["backend"]["environment"]["GREETING"] == "pa$$$$word $${HOME}"


def test_one_off_runs_as_owner_on_the_data_network_only() -> None:
    upgrade = ("alembic", "upgrade", "head")
    words = one_off(
        settings(), "r1", "1.0", "image@sha256:0", "green", upgrade, "/etc/x/migration", deadline=60
    )
    assert words[-3:] == ["image@sha256:0", "upgrade", "head"]
    assert "--entrypoint=alembic" in words
    assert "--env=DATABASE_USER=marketplace_owner" in words
    assert "--env=MIGRATION_TIMEOUT_SECONDS=60" in words
    assert [word for word in words if word.startswith("--network")] == ["--network=name=data,ip=10.213.20.30"]


def test_hook_of_an_image_runs_as_the_application_does() -> None:
    words = one_off(
        settings(), "r1", "1.0", "image@sha256:0", "green", ("check",), "/etc/x/backend", 60, "application"
    )
    assert "--env=DATABASE_USER=marketplace_app" in words
    assert [word for word in words if word.startswith("--network")] == [
        "--network=name=app,ip=10.213.10.30",
        "--network=name=data,ip=10.213.20.30",
    ]
