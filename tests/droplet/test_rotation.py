"""New secrets for old ones while users write: nothing fails or is lost, and the old ones open nothing any more."""

from __future__ import annotations

from collections.abc import Callable

from tests.support import shipping
from tests.support.botapi.client import BotApi
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.load.running import Load
from tests.support.load.state import SECRETS

ROTATED = (
    "redis_app_password",
    "postgres_app_password",
    "redis_operator_password",
    "postgres_backup_password",
)
# Every client of the load keeps the secret token and the address that it began with, as Telegram does not.
TELEGRAMS = ("webhook_secret", "webhook_path")
REDIS = "redis-cli --tls --insecure -p 6380 --no-auth-warning"
POSTGRES = "psql 'host=127.0.0.1 sslmode=require user=marketplace_app dbname=marketplace' -qAtc 'SELECT current_user'"


def secret(droplet: Droplet, name: str) -> str:
    return droplet.get(f"{SECRETS}/{name}").decode()


def logs_in(droplet: Droplet, redis: str, postgres: str) -> tuple[bool, bool]:
    """Whether the application's passwords open Redis and PostgreSQL."""
    inside = ["docker", "exec", "--interactive"]
    said = droplet.run(
        [*inside, "redis", "sh", "-c", f"exec {REDIS}"], stdin=f"AUTH marketplace {redis}\nPING\n"
    ).stdout
    done = droplet.run(
        [*inside, "postgres", "sh", "-c", f"read -r PGPASSWORD; export PGPASSWORD; exec {POSTGRES}"],
        stdin=f"{postgres}\n",
        check=False,
    )
    return "PONG" in said, done.stdout.strip() == "marketplace_app"


def test_passwords_are_replaced_under_load_and_the_old_ones_open_nothing(
    droplet: Droplet, load: Callable[..., Load]
) -> None:
    before = {name: secret(droplet, name) for name in ROTATED}
    old = before["redis_app_password"], before["postgres_app_password"]
    assert logs_in(droplet, *old) == (True, True)
    users = load(20, 0.5)
    with users.window():
        answer = call(droplet, "settings.rotate", *ROTATED)
    assert answer.returncode == 0, f"{answer.value}\n{answer.stderr}"
    assert answer.value["outcome"] == "rotated"
    users.pause_until(40)
    users.assert_lossless(droplet)
    after = {name: secret(droplet, name) for name in ROTATED}
    assert [name for name in ROTATED if before[name] == after[name]] == []
    assert logs_in(droplet, *old) == (False, False)
    assert logs_in(droplet, after["redis_app_password"], after["postgres_app_password"]) == (True, True)
    assert not droplet.run(["test", "-e", "/etc/marketplace/postgres/rotation.conf"], check=False).ok
    assert shipping.status(droplet)["live"]["release"] == answer.value["release"]
    shipping.assert_sound(droplet)
    assert not [value for value in before.values() if value in answer.stderr + str(answer.value)]
    plan = call(droplet, "state.apply", "test=True")
    assert (plan.failed, plan.changed) == ({}, {})


def test_what_telegram_knows_is_replaced_without_a_release(droplet: Droplet, botapi: BotApi) -> None:
    before, live = [secret(droplet, name) for name in TELEGRAMS], shipping.status(droplet)["live"]["release"]
    answer = call(droplet, "settings.rotate", *TELEGRAMS)
    assert (answer.returncode, answer.value["outcome"]) == (0, "rotated"), answer.stderr
    assert answer.value["release"] == ""
    assert shipping.status(droplet)["live"]["release"] == live
    assert botapi.ask("/start", chat_id=611)
    after = [secret(droplet, name) for name in TELEGRAMS]
    assert not set(before) & set(after)
    for path, token, code in (
        (after[1], before[0], "403"),
        (before[1], after[0], "404"),
    ):
        url = f"https://bot.test/telegram/webhook/{path}"
        header = f"X-Telegram-Bot-Api-Secret-Token: {token}"
        said = droplet.run(
            ["curl", "--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}",
             "--resolve", f"bot.test:443:{droplet.address()}", "--data", "{}", "--header", "@-", url],
            stdin=header,
        ).stdout  # fmt: skip
        assert said == code
