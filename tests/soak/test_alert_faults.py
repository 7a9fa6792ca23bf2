"""Each alert by its own fault: it arrives in the operators' chat, and when the fault has ended, that does as well.

The faults are real, or the state on disk that a real one leaves. Only the watchdog's waits are shortened, by a drop-in
of its unit: that each is as long as docs/monitoring.md says, tests/unit shows. What tests/soak/test_alerts.py and
test_metrics.py show (services that are away, processors, memory, disks, Prometheus') is not here again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from marketplace_steps import STEP_NAMES

from tests.soak.test_metrics import slow_statements
from tests.support import alerts, shipping
from tests.support.botapi.client import BotApi
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import call
from tests.support.droplet.site import Site
from tests.support.fault_scripts import (
    CROWD,
    DRILLS,
    ENDED,
    FLOOD,
    FOLLOWED,
    OLD_DRILL,
    OUTDATED,
    SAVE,
    SENT_AWAY,
    SERVED_AGAIN,
    SPENT,
    TRIGGER,
    TRIGGERED,
    UPDATED,
)
from tests.support.faults import OVER, TOLD, Fault, News, Note, prove, script
from tests.support.hasty import DROP_IN, HASTY, PROGRAM, UNIT
from tests.support.load.state import SECRETS, sql
from tests.support.waiting import seconds_until

SPAN_SECONDS = 420
"""Until what the watchdog counts over five minutes is forgotten."""


@pytest.fixture
def news(site: Site) -> News:
    return News(site.alerts())


@pytest.fixture(scope="module", autouse=True)
def _hasty(droplet: Droplet) -> Iterator[None]:
    """The watchdog waits for seconds, where it would for minutes or an hour."""
    droplet.put(PROGRAM, HASTY)
    droplet.put(DROP_IN, UNIT)
    # An update that waits is told at once, and what is made to wait beside it would be no news.
    script(droplet, "apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y upgrade >/dev/null")
    script(
        droplet,
        "systemctl daemon-reload; systemctl stop marketplace-watch; rm -f /var/lib/marketplace/watch.json; "
        f"systemctl start marketplace-watch; {FOLLOWED}",
    )
    yield
    script(
        droplet,
        f"rm -rf {PROGRAM} {DROP_IN}; systemctl daemon-reload; systemctl restart marketplace-watch; "
        "chronyc local off",
    )
    assert call(droplet, "state.apply").failed == {}


@pytest.fixture(scope="module")
def ever(site: Site) -> News:
    """All that arrives while this file runs."""
    return News(site.alerts())


@pytest.fixture(scope="module")
def forgotten() -> list[tuple[News, str, float]]:
    """What is over only when minutes have passed: meanwhile, other tests go on."""
    return []


@pytest.mark.usefixtures("ever")
def test_a_bot_that_is_slow_and_one_that_fails(
    droplet: Droplet, botapi: BotApi, news: News, note: Note, forgotten: list[tuple[News, str, float]]
) -> None:
    begun = time.time()
    sql(droplet, TRIGGER.format("PERFORM pg_sleep(2.3)") + TRIGGERED)
    try:
        users(botapi, 9100, 8)
        note(f"edge.slow: told after {news.wait('updates took longer than', TOLD) - begun:.0f} s")
        begun = time.time()
        # What asks for the bot's health asks the database as well, several times a second, and is fast.
        with shipping.beside(droplet, lambda other: slow_statements(other, 40), count=5):
            note(f"query.slow: told after {news.wait('queries took longer', TOLD) - begun:.0f} s")
        forgotten += ((news, words, time.time()) for words in ("updates took longer", "queries took longer"))
        sql(droplet, TRIGGER.format("RAISE EXCEPTION 'a bug'"))
        begun = time.time()
        users(botapi, 9200, 8)
        words = "updates were answered with 5xx"
        note(f"edge.errors: told after {news.wait(words, TOLD) - begun:.0f} s")
        forgotten.append((news, words, time.time()))
    finally:
        sql(droplet, "DROP FUNCTION fault CASCADE")


def users(botapi: BotApi, first: int, count: int) -> None:
    """So many people write to the bot, each in a chat of their own."""
    for chat in range(first, first + count):
        botapi.say("/browse", chat_id=chat)


def test_the_host(droplet: Droplet, news: News, note: Note) -> None:
    prove(
        droplet,
        news,
        note,
        Fault(
            "host.units",
            "units that failed or do not run: ends-badly.service",
            "systemd-run --quiet --unit=ends-badly false",
            "systemctl reset-failed ends-badly",
        ),
        Fault(
            "host.reboot",
            "an update has waited for a reboot for 3 days",
            "touch --date='3 days ago' /run/reboot-required",
            "rm /run/reboot-required",
        ),
        Fault("host.updates", "have not installed themselves: held-back", OUTDATED, UPDATED),
        Fault("host.clock", "the clock follows no time server", "chronyc local off", FOLLOWED),
    )


def test_what_can_not_be_looked_at(droplet: Droplet, news: News, note: Note) -> None:
    blind = Fault(
        "watch.blind", "the watchdog can", "systemctl stop chrony", f"systemctl start chrony; {FOLLOWED}"
    )
    prove(droplet, news, note, blind)


def test_drift(droplet: Droplet, news: News, note: Note) -> None:
    look = "salt-call --out=quiet health.drift now=True wait=120 || true"
    by_hand = f"echo 'X=1' >> /etc/profile.d/idle.sh; {look}"
    put_right = f"salt-call --out=quiet state.apply && {look}"
    prove(droplet, news, note, Fault("drift", "/etc/profile.d/idle.sh", by_hand, put_right))


def test_services_that_are_impaired_and_a_drill_that_is_late(
    droplet: Droplet, news: News, note: Note
) -> None:
    prove(
        droplet,
        news,
        note,
        Fault(
            "service.impaired",
            "of 97 connections",
            f'docker exec --detach postgres sh -c "{CROWD}"',
            f'docker exec postgres psql -qAtU postgres -c "{SENT_AWAY}"',
        ),
        Fault(
            "backup.trouble",
            "no backup was restored on trial",
            OLD_DRILL,
            f"rm {DRILLS}/20200101T000000Z.json",
        ),
    )


def test_a_redis_that_can_not_save_is_told_and_not_restarted(
    droplet: Droplet, news: News, note: Note
) -> None:
    """It refuses writes, and PING as well: what it holds is in its memory alone, and a restart would lose it."""
    started = ["docker", "inspect", "--format={{.State.StartedAt}}", "redis"]
    before = droplet.run(started).stdout
    fault = Fault(
        "service.down",
        "redis does not pass the edge",
        f"chmod a-w /srv/data/redis/data; {SAVE}; sleep 40",
        f"chmod u+w /srv/data/redis/data; {SAVE}",
    )
    prove(droplet, news, note, fault)
    news.wait("likely: it could not save and takes no writes", 0)
    assert droplet.run(started).stdout == before


def test_a_log_of_the_database_that_nobody_receives_and_one_that_is_short(
    droplet: Droplet, news: News, note: Note
) -> None:
    receiver = "barman-receive-wal@postgres"
    prove(
        droplet,
        news,
        note,
        Fault(
            "backup.trouble",
            "nobody receives the database",
            f"systemctl stop {receiver}",
            f"systemctl start {receiver}",
        ),
        Fault(
            "logs.short",
            "salt-call health.logs",  # what is typed next: that a service is impaired by it is another alert
            FLOOD,
            "journalctl --quiet --namespace=redis --rotate --vacuum-size=1M",
            over=False,
        ),
    )


def test_the_webhook(droplet: Droplet, site: Site, botapi: BotApi, news: News, note: Note) -> None:
    begun = time.time()
    botapi.fail_next("getWebhookInfo", 500, times=4)
    note(f"webhook.unknown: told after {news.wait('the Bot API can', TOLD) - begun:.0f} s")
    news.wait("the Bot API can", OVER, over=True)
    begun = time.time()
    botapi.call("deleteWebhook")
    note(f"webhook.missing: told after {news.wait('no webhook is registered', TOLD) - begun:.0f} s")
    assert call(droplet, "state.apply", "marketplace.webhook").failed == {}
    news.wait("no webhook is registered", OVER, over=True)
    # Telegram is turned away, as by somebody's packet filter.
    standin = Machine(site.client, site.client.containers.get(f"marketplace-{site.name}-botapi"))
    away = f"ip saddr {standin.address()} tcp dport 443 reject with tcp reset"
    script(
        droplet,
        "nft add table inet cut && nft 'add chain inet cut in { type filter hook input priority -200; }' && "
        f"nft add rule inet cut in {away}",
    )
    try:
        begun = time.time()
        users(botapi, 9300, 5)
        words = "Telegram does not get rid of its updates"
        note(f"webhook.failing: told after {news.wait(words, TOLD) - begun:.0f} s")
        begun = time.time()
        users(botapi, 9400, 25)
        words = "updates wait at Telegram"
        note(f"webhook.pending: told after {news.wait(words, TOLD) - begun:.0f} s")
    finally:
        script(droplet, "nft delete table inet cut")
    news.wait(words, OVER, over=True)


def test_docker_is_silent_and_a_service_is_given_up_or_ends_again_and_again(
    droplet: Droplet, news: News, note: Note
) -> None:
    signal = "kill -{} $(systemctl show --value --property=MainPID docker)"
    silent = Fault("service.silent", "Docker does not answer", signal.format("STOP"), signal.format("CONT"))
    prove(droplet, news, note, silent)
    # It was restarted three times already.
    droplet.put("/root/spent.py", SPENT)
    script(
        droplet,
        "systemctl stop marketplace-watch; python3 /root/spent.py; systemctl start marketplace-watch",
    )
    begun = time.time()
    hung = alerts.processes(droplet, "redis")
    droplet.run(["kill", "-STOP", *hung])
    try:
        note(f"service.given_up: told after {news.wait('it is left to you', TOLD) - begun:.0f} s")
    finally:
        droplet.run(["kill", "-CONT", *hung], check=False)
    news.wait("it is left to you", OVER, over=True)
    begun = time.time()
    for _ in range(3):
        before = alerts.processes(droplet, "redis")
        alerts.crash(droplet, "redis")
        seconds_until(lambda before=before: is_anew(droplet, before), 30)
    note(
        f"service.crash_loop: told after {news.wait('ended by itself and was restarted 3 times', TOLD) - begun:.0f} s"
    )


def is_anew(droplet: Droplet, before: list[str]) -> bool:
    """Whether Redis runs, and by other processes than before."""
    shown = droplet.run(["docker", "top", "redis", "-eo", "pid"], check=False)
    return shown.ok and not set(before) & set(shown.stdout.split()[1:])


def test_releases_and_secrets(droplet: Droplet, site: Site, news: News, note: Note) -> None:
    live = shipping.status(droplet)["live"]["version"]
    version = "1.0.8" if live != "1.0.8" else "1.0.9"
    site.backend(version)

    def ship(other: Droplet) -> Any:
        return shipping.release(other, version)

    with shipping.stopped_at(droplet, f"{STEP_NAMES[2]}:start", ship) as (_, answer):
        script(droplet, f"cp {shipping.JOURNAL} /root/journal.json")
        shipping.go_on(droplet)
        shipping.shipped(answer.result())
    ended = time.time()
    told = news.wait(f"release of {version}: live", TOLD)
    note(f"release.live: told {max(0.0, told - ended):.0f} s after its end")
    name = "redis_operator_password"
    rotate = f"systemd-run --quiet --collect --unit=cut salt-call settings.rotate {name}; " + (
        f"until [ -s {SECRETS}/{name}_before ]; do sleep 0.05; done; systemctl kill --signal=KILL cut"
    )
    prove(
        droplet,
        news,
        note,
        # What a release leaves that was killed, and that nobody could settle.
        Fault(
            "release.interrupted",
            "a release was interrupted at step",
            f"cp /root/journal.json {shipping.JOURNAL}",
            f"rm {shipping.JOURNAL}",
        ),
    )
    prove(
        droplet,
        news,
        note,
        Fault(
            "rotation.interrupted",
            "new secrets are half in place",
            rotate,
            "salt-call --out=quiet settings.rotate",
        ),
    )
    prove(
        droplet,
        news,
        note,
        Fault(
            "jobs.stopped",
            "scheduled jobs do not start",
            "printf '{' > /var/lib/marketplace/jobs.json",
            "rm /var/lib/marketplace/jobs.json",
        ),
    )


def test_a_certificate_that_has_ended_the_time_that_it_takes_and_maintenance(
    droplet: Droplet, ever: News, news: News, note: Note
) -> None:
    begun = time.time()
    prove(droplet, news, note, Fault("certificate", "the certificate ended on", ENDED, SERVED_AGAIN))
    note(f"slo.budget: told {max(0.0, ever.wait('30 days allow', TOLD) - begun):.0f} s after a fault began")
    switch = "salt-call --out=quiet deploy.maintenance"
    closed = Fault(
        "maintenance.long", "the edge has been closed for maintenance", f"{switch} on", f"{switch} off"
    )
    prove(droplet, news, note, closed)


def test_what_is_counted_over_minutes_is_over_as_well(
    note: Note, forgotten: list[tuple[News, str, float]]
) -> None:
    assert len(forgotten) == 3
    for news, words, since in forgotten:
        over = news.wait(words, SPAN_SECONDS, over=True) - since
        note(f"{words!r} is over {over:.0f} s after it was told")
