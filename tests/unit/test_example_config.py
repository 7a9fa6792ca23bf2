"""The example backend's environment: every problem at once, and no secret in any of them."""

import subprocess
from pathlib import Path

import pytest
from marketplace_bot.config import ConfigError, load, load_migration

TOKEN = "123456:" + "A" * 35


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    values = {
        "telegram_token": TOKEN,
        "webhook_secret": "hook-secret",
        "database_password": "db-secret",
        "redis_password": "cache-secret",
    }
    for name, value in values.items():
        (tmp_path / name).write_text(value + "\n")
    return {
        "DATABASE_HOST": "10.213.20.10",
        "DATABASE_NAME": "marketplace",
        "DATABASE_USER": "marketplace_app",
        "REDIS_HOST": "10.213.20.11",
        **{f"{name.upper()}_FILE": str(tmp_path / name) for name in values},
    }


def test_reads_everything(environment: dict[str, str]) -> None:
    config = load(
        {**environment, "PORT": "9000", "VERSION": "1.2.3", "COLOUR": "blue", "STOP_GRACE_SECONDS": "12"}
    )
    assert (config.port, config.stop_grace, config.identity.colour) == (9000, 12, "blue")
    assert config.database.password == "db-secret"
    assert config.telegram_token == TOKEN
    assert config.telegram_api_url == "https://api.telegram.org"


def test_is_told_by_whom_to_know_the_data_services(environment: dict[str, str], tmp_path: Path) -> None:
    assert (load(environment).database.ca, load(environment).redis.ca) == (None, None)
    authority = tmp_path / "ca.pem"
    environment |= {"DATABASE_SSLMODE": "verify-full", "DATABASE_CA_FILE": str(authority)}
    environment |= {"REDIS_TLS": "true", "REDIS_CA_FILE": str(authority)}
    for content in ("", "no certificate"):
        authority.write_text(content)
        with pytest.raises(ConfigError) as caught:
            load(environment)
        assert {problem.split()[0] for problem in caught.value.problems} == {
            "REDIS_CA_FILE",
            "DATABASE_CA_FILE",
        }
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    subprocess.run(
        [*made, "-subj", "/CN=authority", "-keyout", "/dev/null", "-out", str(authority)],
        check=True,
        capture_output=True,
    )
    config = load(environment)
    assert (config.database.ca, config.redis.ca) == (authority, authority)
    assert load_migration(environment).database.ca == authority


def test_refuses_half_an_encryption(environment: dict[str, str]) -> None:
    environment |= {"DATABASE_SSLMODE": "require", "REDIS_TLS": "yes"}
    with pytest.raises(ConfigError) as caught:
        load(environment)
    assert "DATABASE_SSLMODE must be prefer or verify-full, not 'require'" in caught.value.problems
    assert "REDIS_TLS must be false or true, not 'yes'" in caught.value.problems


def test_shows_no_secret_when_printed(environment: dict[str, str]) -> None:
    shown = repr(load(environment))
    assert not [secret for secret in load(environment).secrets if secret in shown]


def test_names_every_problem_at_once(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "telegram_token").write_text("no-token")
    (tmp_path / "webhook_secret").write_text("")
    del environment["DATABASE_HOST"]
    environment |= {
        "PORT": "99999",
        "WEBHOOK_PATH": "hook",
        "LOG_LEVEL": "loud",
        "REDIS_PASSWORD_FILE": "/nowhere",
    }
    with pytest.raises(ConfigError) as caught:
        load(environment)
    for name in (
        "DATABASE_HOST",
        "PORT",
        "WEBHOOK_PATH",
        "LOG_LEVEL",
        "REDIS_PASSWORD_FILE",
        "TELEGRAM_TOKEN_FILE",
        "WEBHOOK_SECRET_FILE",
    ):
        assert sum(problem.startswith(name) for problem in caught.value.problems) == 1, name
    assert "no-token" not in str(caught.value)


def test_an_empty_environment_is_a_list_of_problems_not_a_crash() -> None:
    with pytest.raises(ConfigError) as caught:
        load({})
    assert len(caught.value.problems) == 8


def test_migrations_need_only_the_database(environment: dict[str, str]) -> None:
    only = {name: value for name, value in environment.items() if name.startswith("DATABASE_")}
    migration = load_migration(only)
    assert (migration.database.user, migration.seconds) == ("marketplace_app", 300)
    assert load_migration({**only, "MIGRATION_TIMEOUT_SECONDS": "60"}).seconds == 60
    with pytest.raises(ConfigError, match="MIGRATION_TIMEOUT_SECONDS must be a whole number from 1"):
        load_migration({**only, "MIGRATION_TIMEOUT_SECONDS": "soon"})
