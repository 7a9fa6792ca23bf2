"""New secrets for old ones while users write: nothing fails or is lost, and the old ones open nothing any more."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from marketplace_rotation import WAYS

from tests.support import shipping
from tests.support.botapi.client import BotApi
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Result
from tests.support.droplet.salt import call, parse
from tests.support.load.state import SECRETS, sql
from tests.support.waiting import seconds_until

TELEGRAMS = ("webhook_secret", "webhook_path")
# Whom each password lets in, by the setting that names the role; the superuser's name is the image's.
REDIS_USERS = ("application", "operator", "monitoring")
ROLES = ("application", "owner", "backup", "monitoring", "superuser")
OF = {"application": "app"}
REDIS = "redis-cli --tls --insecure -p 6380 --no-auth-warning"
POSTGRES = "psql \"host=127.0.0.1 sslmode=require user=$0 dbname=$1\" -qAtc 'SELECT 1'"


def secret(droplet: Droplet, name: str) -> str:
    return droplet.get(f"{SECRETS}/{name}").decode()


def lets_in(droplet: Droplet, values: dict[str, str]) -> set[str]:
    """Those of the passwords of PostgreSQL and Redis in ``values`` that open."""
    settings = json.loads(droplet.get("/etc/marketplace/settings.json"))
    inside = ["docker", "exec", "--interactive"]
    found = set()
    for user in REDIS_USERS:
        name = f"redis_{OF.get(user, user)}_password"
        said = droplet.run(
            [*inside, "redis", "sh", "-c", f"exec {REDIS}"],
            stdin=f"AUTH {settings['redis']['users'][user]} {values[name]}\n",
        ).stdout
        found |= {name} if said.strip() == "OK" else set()
    for kind in ROLES:
        name, role = (
            f"postgres_{OF.get(kind, kind)}_password",
            settings["postgres"]["roles"].get(kind, "postgres"),
        )
        database = settings["postgres"]["database"] if kind in ("application", "owner") else "postgres"
        done = droplet.run(
            [
                *inside,
                "postgres",
                "sh",
                "-c",
                f"read -r PGPASSWORD; export PGPASSWORD; exec {POSTGRES}",
                role,
                database,
            ],
            stdin=f"{values[name]}\n",
            check=False,
        )
        found |= {name} if done.ok else set()
    return found


def write_throughout(botapi: BotApi, over: Callable[[], bool]) -> None:
    """Users write until it is over, 20 messages a second."""
    while not over():
        load = botapi.load(count=100, rate=20, texts=("/start", "/browse", "/mine"))
        seconds_until(lambda load=load: botapi.load_progress(load)["injected"] == 100, 60)


@pytest.mark.alone
def test_passwords_are_replaced_under_load_and_the_old_ones_open_nothing(
    droplet: Droplet, botapi: BotApi, note: Callable[[str], None]
) -> None:
    """All secrets at once: PostgreSQL's, Redis's, and what Telegram knows."""
    # What tests before this one have left to be applied is not the question here.
    assert call(droplet, "state.apply").failed == {}
    passwords = {name for name in WAYS if name.endswith("_password")}
    before = {name: secret(droplet, name) for name in WAYS}
    assert lets_in(droplet, before) == passwords
    first = botapi.stats()["last_update"]
    # On a droplet that others used before there are updates of the load generator, whose numbers are larger.
    others = set(sql(droplet, f"SELECT update_id FROM handled_updates WHERE update_id > {first}").split())
    with shipping.beside(droplet, rotate_all) as asked:
        write_throughout(botapi, asked[0].done)
    answer = parse(asked[0].result())
    assert answer.returncode == 0, f"{answer.value}\n{answer.stderr}"
    assert (answer.value["outcome"], set(answer.value["secrets"])) == ("rotated", set(WAYS))

    seconds_until(lambda: not botapi.stats(first)["updates"]["pending"], 120)
    figures = botapi.stats(first)
    updates = figures["updates"]
    assert (updates["delivered"], updates["dropped"]) == (updates["total"], 0), figures
    assert set(figures["attempts"]) == {"200"}, figures
    expected = {delivery["update_id"] for delivery in botapi.deliveries(first)}
    handled = [
        int(line)
        for line in sql(droplet, f"SELECT update_id FROM handled_updates WHERE update_id > {first}").split()
        if line not in others
    ]
    assert sorted(expected) == sorted(handled)
    note(
        f"{len(before)} secrets replaced in {answer.seconds:.0f} s: {updates['total']} updates meanwhile, "
        f"{updates['dropped']} lost, {figures['repeated']} sent twice"
    )

    after = {name: secret(droplet, name) for name in WAYS}
    assert [name for name in WAYS if before[name] == after[name]] == []
    assert lets_in(droplet, before) == set()
    assert lets_in(droplet, after) == passwords
    assert not droplet.run(["test", "-e", "/etc/marketplace/postgres/rotation.conf"], check=False).ok
    assert shipping.status(droplet)["live"]["release"] == answer.value["release"]
    shipping.assert_sound(droplet)
    assert not [value for value in before.values() if value in answer.stderr + str(answer.value)]
    plan = call(droplet, "state.apply", "test=True")
    assert (plan.failed, plan.changed) == ({}, {})


def rotate_all(machine: Droplet) -> Result:
    return machine.run(
        ["salt-call", "--out=json", "--retcode-passthrough", "settings.rotate", "all"], check=False
    )


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
