"""A certificate from an ACME authority: got, served without a reload, renewed under load, and what failures do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.botapi.client import BotApi
from tests.support.droplet import pillar
from tests.support.droplet.acme import DIRECTORY, LIMITED, Acme
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import Answer, call
from tests.support.droplet.site import Images, Site
from tests.support.load.running import Load, edge
from tests.support.waiting import seconds_until

STATE = "Ensure the edge serves its authority's certificate"
PEM = "/etc/haproxy/certs/bot.test.pem"
SHOWN = (
    "openssl s_client -connect 127.0.0.1:443 -servername bot.test </dev/null 2>/dev/null"
    " | openssl x509 -noout -serial"
)


def served(droplet: Droplet) -> str:
    """The serial number of the certificate that clients are given; nothing while nobody answers."""
    return droplet.run(["sh", "-c", SHOWN], check=False).stdout


def worker(droplet: Droplet) -> str:
    """The process of HAProxy that serves: another one after a reload."""
    return droplet.run(["sh", "-c", "pgrep -P $(systemctl show -P MainPID haproxy)"]).stdout


def order(droplet: Droplet, site: Site, images: Images, **asked: Any) -> None:
    """Have the pillar ask for this certificate."""
    right = pillar.local(site, images)
    pillar.write(droplet, right | {"edge": asked})


@pytest.fixture(scope="module")
def acme(droplet: Droplet, site: Site, images: Images) -> Iterator[Acme]:
    """The authority. Afterwards the droplet has its local certificate again."""
    made = site.acme()
    yield made
    made.container.remove(force=True)
    pillar.write(droplet, pillar.local(site, images))
    droplet.run(["rm", "-f", PEM, "/var/lib/marketplace/acme.json"])
    droplet.run(["sh", "-c", "rm -f /var/lib/marketplace/spool/*-certificate.failed.json"])
    droplet.run(["sh", "-c", "cd /etc/letsencrypt && rm -rf live archive renewal accounts"])
    assert call(droplet, "state.apply").failed == {}


def test_the_first_certificate_takes_the_stand_ins_place_without_a_reload(
    droplet: Droplet, site: Site, images: Images, acme: Acme, botapi: BotApi
) -> None:
    before, serving = served(droplet), worker(droplet)
    order(droplet, site, images, certificate=DIRECTORY, root=acme.root())
    plan = call(droplet, "state.apply", "test=True")
    assert STATE in plan.changed
    assert served(droplet) == before
    done = call(droplet, "state.apply")
    assert done.failed == {}
    assert STATE in done.changed
    assert served(droplet) != before
    assert worker(droplet) == serving
    droplet.put("/tmp/root.pem", acme.root())
    health = [
        "curl",
        "--silent",
        "--show-error",
        "--cacert",
        "/tmp/root.pem",
        "--ipv4",
        "https://bot.test/healthz",
    ]
    assert '"status":"healthy"' in droplet.run(health).stdout
    # Telegram was given the root, and calls.
    assert botapi.ask("/start", chat_id=505)
    assert call(droplet, "state.apply").changed == {}
    status = call(droplet, "certificate.status")
    assert (status.returncode, status.value["problem"], status.value["share_left"]) == (0, None, 1.0)


def test_renewed_under_load_nobody_notices_and_it_survives_a_kill(
    droplet: Droplet, acme: Acme, neighbour: Machine
) -> None:
    before, serving = served(droplet), worker(droplet)
    users = Load(neighbour, replace(edge(droplet), authority=acme.root()), 20, 2.0).start()
    try:
        for _ in range(2):
            assert call(droplet, "certificate.renew", "force=True").value["renewed"] is True
        renewed = served(droplet)
        assert renewed != before
        assert worker(droplet) == serving
        users.assert_lossless(droplet)
    finally:
        users.abandon()
    droplet.run(["systemctl", "kill", "--signal=SIGKILL", "haproxy"])
    seconds_until(lambda: served(droplet) == renewed, 15)
    # The timer's own run finds nothing to do.
    droplet.run(["systemctl", "start", "certbot.service"])
    assert served(droplet) == renewed
    assert call(droplet, "state.apply", "marketplace.certificate").changed == {}


def test_a_certificate_that_a_power_loss_has_damaged_is_ordered_again(droplet: Droplet, acme: Acme) -> None:
    before = served(droplet)
    droplet.run(["truncate", "--size=0", "/etc/letsencrypt/live/edge/cert.pem"])
    status = call(droplet, "certificate.status")
    assert (status.returncode, status.value["usable"]) == (1, True)
    assert "cert.pem can't be read" in status.value["problem"]
    assert call(droplet, "certificate.renew").value == {"renewed": True, "reason": "missing"}
    assert served(droplet) != before
    assert call(droplet, "certificate.status").value["problem"] is None


def failed(droplet: Droplet, done: Answer, words: str, before: str) -> None:
    """An order failed for that reason: it is told, what was served still is, and the authority is left alone."""
    assert words in done.failed[STATE]
    assert served(droplet) == before
    again = call(droplet, "state.apply", "marketplace.certificate")
    assert words in again.failed[STATE]
    assert "Not asked again before" in again.failed[STATE]
    status = call(droplet, "certificate.status")
    assert (status.returncode, status.value["usable"], status.value["failures"]) == (1, True, 1)
    assert words in status.value["problem"]
    health = call(droplet, "health.check").value
    assert (health["status"], health["services"]["edge"]["status"]) == ("degraded", "degraded")
    assert words in health["services"]["edge"]["detail"]
    told = droplet.run(["sh", "-c", "cat /var/lib/marketplace/spool/*-certificate.failed.json"]).stdout
    assert words in told


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"certificate": DIRECTORY, "domains": ["bot.test", "nowhere.test"]}, "does not point here (DNS)"),
        ({"certificate": LIMITED}, "rate limit is reached"),
    ],
    ids=["wrong DNS", "rate limited"],
)
def test_an_order_that_fails_changes_nothing_and_is_not_repeated(
    droplet: Droplet, site: Site, images: Images, acme: Acme, asked: dict[str, Any], words: str
) -> None:
    before = served(droplet)
    order(droplet, site, images, root=acme.root(), **asked)
    failed(droplet, call(droplet, "state.apply", "marketplace.certificate"), words, before)


def test_an_authority_that_is_down_changes_nothing_and_is_not_asked_again_and_again(
    droplet: Droplet, site: Site, images: Images, acme: Acme
) -> None:
    root, before = acme.root(), served(droplet)
    order(droplet, site, images, root=root, certificate=DIRECTORY, domains=["bot.test", "droplet.test"])
    acme.stop()
    failed(droplet, call(droplet, "state.apply", "marketplace.certificate"), "out of reach", before)
    forced = call(droplet, "certificate.renew", "force=True")
    assert (forced.returncode, forced.value["renewed"]) == (1, False)
    assert "out of reach" in forced.value["reason"]
    assert served(droplet) == before
