"""The ways that alerts take to people: many at once, Telegram away, a mailbox, another system, a dead man's switch."""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import alerts, receivers
from tests.support.alerts import Chat
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import call
from tests.support.droplet.site import Site
from tests.support.waiting import seconds_until

Note = Callable[[str], None]
pytestmark = [pytest.mark.timeout(2400), pytest.mark.usefixtures("calm")]

TOLD, OVER = 45, 150
OUTAGE = 600
MANY = 50


def test_fifty_at_once_are_few_messages(droplet: Droplet, chat: Chat, note: Note) -> None:
    labels = [
        {
            "alertname": f"test.{number}",
            "kind": "condition",
            "service": alerts.SERVICES[number % len(alerts.SERVICES)],
            "severity": "warning",
        }
        for number in range(MANY)
    ]
    body = [{"labels": one, "annotations": {"summary": f"number {n}"}} for n, one in enumerate(labels)]
    droplet.put("/root/fifty.json", json.dumps(body))
    url = "http://127.0.0.1:9093/api/v2/alerts"
    post = ["curl", "-fsS", "-H", "Content-Type: application/json", "--data", "@/root/fifty.json", url]
    droplet.run(post)
    chat.arrives("number ", TOLD)
    time.sleep(60)  # Nothing else may follow.
    messages = chat.said("number ")
    note(
        f"{MANY} alerts: {len(messages)} messages, the longest of {max(len(m['text']) for m in messages)} characters"
    )
    assert len(messages) == 4
    assert all("more: salt-call health.check" in message["text"] for message in messages)


def test_telegram_is_away_for_ten_minutes(droplet: Droplet, site: Site, chat: Chat, note: Note) -> None:
    standin = site.client.containers.get(f"marketplace-{site.name}-botapi")
    standin.pause()
    try:
        droplet.run(["fallocate", "-l", "800M", "/srv/data/redis/fill"])
        seconds_until(lambda: "resource.disk/redis" in alerts.active(droplet), 60)
        droplet.run(["rm", "/srv/data/redis/fill"])
        for switch in ("on", "off"):
            assert call(droplet, "deploy.maintenance", switch).returncode == 0
        time.sleep(OUTAGE)
    finally:
        standin.unpause()
    begun = time.time()
    told = chat.arrives("the disk of redis is 8", 240)
    over = chat.arrives("over: the disk of redis", 240)
    for words in ("closed the edge", "opened the edge"):
        chat.arrives(words, 240)
    note(
        f"back after {OUTAGE} s: told {told['at'] - begun:.0f} s later, and over {over['at'] - begun:.0f} s later"
    )
    seconds_until(lambda: not call(droplet, "deploy.status").value["events"], 120)


def test_the_dead_man_notices_that_alertmanager_is_gone(
    droplet: Droplet, neighbour: Machine, note: Note
) -> None:
    told = yaml.safe_load(droplet.get(pillar.FILE))
    switch = {"alerts_dead_man_url": {"value": f"http://{neighbour.address()}:8099/ping"}}
    log = "/tmp/dead-man.log"
    serve = f"cd /tmp; touch ping; python3 -u -m http.server 8099 > {log} 2>&1 & echo $! > pid"
    neighbour.run(["sh", "-c", serve])

    def calls() -> int:
        return neighbour.run(["cat", log]).stdout.count("GET /ping")

    changed = {"alerts": told["alerts"] | {"dead_man": True}, "secrets": told["secrets"] | switch}
    pillar.write(droplet, told | changed)
    try:
        assert call(droplet, "state.apply").failed == {}
        seconds_until(lambda: calls() >= 2, 150)
        droplet.run(["systemctl", "stop", "prometheus-alertmanager"])
        time.sleep(5)
        before = calls()
        time.sleep(150)
        assert calls() == before
        assert "Alertmanager does not answer" in call(droplet, "health.check").value["watch"]["problem"]
        droplet.run(["systemctl", "start", "prometheus-alertmanager"])
        note(f"called {before} times, and not once in 150 s without Alertmanager")
    finally:
        with contextlib.suppress(Exception):
            neighbour.run(["sh", "-c", "kill $(cat /tmp/pid)"], check=False)
        pillar.write(droplet, told)
        assert call(droplet, "state.apply").failed == {}


@pytest.fixture
def received(droplet: Droplet, neighbour: Machine) -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    """A mailbox and another system on the neighbour are told as well: ``received("mail")``, ``received("webhook")``."""
    certificate, key, log = "/root/mail.pem", "/root/mail.key", "/root/received.jsonl"
    password, address = "the-mailbox-password", neighbour.address()
    neighbour.run(["apt-get", "update", "-qq"])
    neighbour.run(
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "python3-aiosmtpd", "openssl"]
    )
    certify = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    certify += ["-subj", "/CN=mail", "-addext", f"subjectAltName=IP:{address}", "-days", "2"]
    neighbour.run([*certify, "-keyout", key, "-out", certificate])
    neighbour.put("/root/receivers.py", Path(receivers.__file__).read_text())
    words = ["python3", "/root/receivers.py", certificate, key, "alerts", password, log]
    receive = (
        f"rm -f {log}; touch {log}; {shlex.join(words)} > /root/receivers.log 2>&1 & echo $! > /root/pid"
    )
    neighbour.run(["sh", "-c", receive])
    trusted = "/usr/local/share/ca-certificates/mail.crt"
    droplet.put(trusted, neighbour.get(certificate))
    droplet.run(["update-ca-certificates"])
    told = yaml.safe_load(droplet.get(pillar.FILE))
    changed = told["alerts"] | {
        "email": {
            "to": "ops@example.com",
            "sender": "alerts@example.com",
            "server": f"{address}:{receivers.SMTP_PORT}",
            "username": "alerts",
        },
        "webhook": True,
    }
    secrets = told["secrets"] | {
        "alerts_email_password": {"value": password},
        "alerts_webhook_url": {"value": f"http://{address}:{receivers.HTTP_PORT}/in?key=a-secret"},
    }
    pillar.write(droplet, told | {"alerts": changed, "secrets": secrets})
    try:
        assert call(droplet, "state.apply").failed == {}

        def arrived(kind: str) -> list[dict[str, Any]]:
            lines = neighbour.run(["cat", log]).stdout.splitlines()
            return [one for one in map(json.loads, lines) if one["kind"] == kind]

        yield arrived
    finally:
        pillar.write(droplet, told)
        droplet.run(["rm", "-f", trusted])
        droplet.run(["update-ca-certificates", "--fresh"])
        neighbour.run(["sh", "-c", "kill $(cat /root/pid)"], check=False)
        assert call(droplet, "state.apply").failed == {}


def test_a_mailbox_and_another_system_are_told_as_well(
    droplet: Droplet, chat: Chat, note: Note, received: Callable[[str], list[dict[str, Any]]]
) -> None:
    assert call(droplet, "alerts.test").value["sent"] == dict.fromkeys(
        ("telegram", "email", "webhook"), "sent"
    )
    mail = received("mail")[0]
    assert (mail["to"], mail["sender"]) == (["ops@example.com"], "alerts@example.com")
    assert "alerts from this droplet arrive here" in mail["text"]
    webhook = received("webhook")[0]
    assert webhook["path"] == "/in?key=a-secret"
    assert webhook["body"]["alerts"][0]["labels"]["alertname"] == "alerts.test"
    droplet.run(["fallocate", "-l", "800M", "/srv/data/redis/fill"])
    try:
        mailed = seconds_until(lambda: said(received("mail"), "the disk of redis is 8"), 90)
    finally:
        droplet.run(["rm", "/srv/data/redis/fill"])
    over = seconds_until(lambda: said(received("mail"), "over: ", "the disk of redis"), OVER)
    bodies = [
        json.dumps(one["body"]) for one in received("webhook") if "resource.disk" in json.dumps(one["body"])
    ]
    assert any('"status": "firing"' in body for body in bodies)
    assert any('"status": "resolved"' in body for body in bodies)
    chat.arrives("over: the disk of redis", OVER)
    note(f"a mailbox and a webhook: told after {mailed:.0f} s, and that it is over {over:.0f} s later")


def said(mails: list[dict[str, Any]], *words: str) -> bool:
    return any(all(word in mail["text"] for word in words) for mail in mails)


def test_a_disk_is_told_though_telegram_fails_and_alertmanager_dies(
    droplet: Droplet, chat: Chat, note: Note
) -> None:
    chat.bot.fail_next("sendMessage", 502, times=2)
    droplet.run(["fallocate", "-l", "790M", "/srv/data/redis/fill"])
    try:
        seen = seconds_until(lambda: "resource.disk/redis" in alerts.active(droplet), 30)
        droplet.run(["systemctl", "kill", "--signal=KILL", "prometheus-alertmanager.service"])
        told = chat.arrives("the disk of redis is 8", 100)
    finally:
        droplet.run(["rm", "-f", "/srv/data/redis/fill"])
    for words in ("since ", "<code>du -xh", "🟠 <b>development: redis</b>"):
        assert words in told["text"]
    over = chat.arrives("over: the disk of redis", 100)
    note(f"disk: seen after {seen:.0f} s, told, and over {over['at'] - told['at']:.0f} s later")
    assert len(chat.said("the disk of redis")) == 2
