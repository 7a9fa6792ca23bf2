"""The edge as the state keeps it: what it answers, what it does without a live release, when it reloads."""

from __future__ import annotations

import json
from typing import Any

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import call
from tests.support.load.state import secret_of, webhook_path
from tests.support.waiting import seconds_until

# Whoever asks by address has no name to look for in the certificate.
ASKS = (
    "import ssl, sys, urllib.request as u\n"
    "context = ssl._create_unverified_context()\n"
    "print(u.urlopen(sys.argv[1], timeout=10, context=context).read().decode())\n"
)


def curl(droplet: Droplet, url: str, *options: str) -> tuple[int, str]:
    done = droplet.run(
        ["curl", "--silent", "--insecure", "--max-time", "5", "--write-out", "\n%{http_code}", *options, url],
        check=False,
    )
    body, _, code = done.stdout.rpartition("\n")
    return int(code), body


def admin(droplet: Droplet, command: str) -> str:
    script = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock')\n"
        "s.sendall(sys.argv[1].encode() + b'\\n')\n"
        "print(b''.join(iter(lambda: s.recv(65536), b'')).decode())\n"
    )
    return droplet.run(["python3", "-c", script, command]).stdout


def webhook(droplet: Droplet, port: int = 443, secret: bool = False) -> tuple[int, str]:
    """What an update gets: 403 without the secret, 400 (it is none) with it, 503 while the edge is closed."""
    where, path = "bot.test", webhook_path(droplet)
    if port != 443:  # on loopback the public address is not rewritten
        where, path = f"127.0.0.1:{port}", path.rpartition("/")[0]
    options = ["--ipv4", "--include", "--http1.1", "--request", "POST", "--data", "{}"]
    if secret:
        token = secret_of(droplet, "webhook_secret")
        options += ["--header", f"X-Telegram-Bot-Api-Secret-Token: {token}"]
    return curl(droplet, f"https://{where}{path}", *options)


def test_healthz_tells_each_service(droplet: Droplet, neighbour: Machine) -> None:
    code, body = curl(droplet, "https://127.0.0.1/healthz")
    assert code == 200
    assert json.loads(body) == {
        "status": "healthy",
        "services": {"backend": "healthy", "postgres": "healthy", "redis": "healthy"},
    }
    outside = neighbour.run(["python3", "-c", ASKS, f"https://{droplet.address()}/healthz"]).stdout
    assert json.loads(outside) == json.loads(body)


def test_everything_else_is_not_there(droplet: Droplet) -> None:
    for path in ("/", "/version", "/health/ready", "/metrics", "/stats", "/telegram/webhook", "/healthz/x"):
        assert (
            curl(droplet, f"https://bot.test{path}", "--ipv4", "--request", "POST", "--data", "{}")[0] == 404
        )


def test_http_leads_to_https(droplet: Droplet) -> None:
    shown = droplet.run(["curl", "--silent", "--head", "http://127.0.0.1/healthz"]).stdout
    assert "301" in shown.splitlines()[0]
    assert "location: https://127.0.0.1/healthz" in shown.lower()


def test_metrics_and_version_are_on_loopback(droplet: Droplet) -> None:
    assert "haproxy_process_uptime_seconds" in curl(droplet, "http://127.0.0.1:8405/metrics")[1]
    code, body = curl(droplet, "https://127.0.0.1:8443/version")
    assert code == 200
    assert json.loads(body)["colour"] in ("blue", "green")
    for port in (8405, 8443):
        assert curl(droplet, f"https://{droplet.address()}:{port}/")[0] == 0


def test_without_a_live_release_updates_are_asked_to_come_back(droplet: Droplet) -> None:
    live = droplet.get("/var/lib/marketplace/live.map").decode().split()[1]
    admin(droplet, "set map /var/lib/marketplace/live.map live none")
    try:
        code, answer = webhook(droplet, secret=True)
        assert code == 503
        assert "retry-after: 5" in answer.lower()
        code, body = curl(droplet, "https://127.0.0.1/healthz")
        assert (code, json.loads(body)["services"]["backend"]) == (503, "unhealthy")
    finally:
        admin(droplet, f"set map /var/lib/marketplace/live.map live {live}")
    assert curl(droplet, "https://127.0.0.1/healthz")[0] == 200


def test_maintenance_keeps_updates_at_telegram_until_it_is_over(droplet: Droplet) -> None:
    assert webhook(droplet, secret=True)[0] == 400
    assert call(droplet, "deploy.maintenance", "on").value["closed"] is True
    try:
        code, answer = webhook(droplet, secret=True)
        assert code == 503
        assert "retry-after: 5" in answer.lower()
        code, body = curl(droplet, "https://127.0.0.1/healthz")
        assert code == 503
        assert json.loads(body) == {
            "status": "unhealthy",
            "maintenance": True,
            "services": {"backend": "healthy", "postgres": "healthy", "redis": "healthy"},
        }
        # A release is verified behind closed doors.
        assert webhook(droplet, port=8443)[0] == 403
        assert curl(droplet, "https://127.0.0.1:8443/version")[0] == 200
        # state.apply leaves the edge as the operator wants it, and so does a restart.
        assert call(droplet, "state.apply", "marketplace.edge").changed == {}
        droplet.run(["systemctl", "restart", "haproxy"])
        assert webhook(droplet, secret=True)[0] == 503
    finally:
        assert call(droplet, "deploy.maintenance", "off").value["closed"] is False
    assert webhook(droplet, secret=True)[0] == 400
    seconds_until(lambda: curl(droplet, "https://127.0.0.1/healthz")[0] == 200, 15)
    assert "maintenance" not in curl(droplet, "https://127.0.0.1/healthz")[1]


def test_edge_of_an_older_tree_learns_maintenance_by_state_apply_alone(droplet: Droplet) -> None:
    configuration = droplet.get("/etc/haproxy/haproxy.cfg").decode()
    known = [
        line
        for line in configuration.splitlines()
        if not any(word in line for word in ("maintenance", "closed", "/etc/haproxy/secrets"))
    ]
    droplet.put("/etc/haproxy/haproxy.cfg", "\n".join(known) + "\n", mode=0o640)
    droplet.run(["chgrp", "haproxy", "/etc/haproxy/haproxy.cfg"])
    droplet.run(["rm", "-r", "/var/lib/marketplace/maintenance.map", "/etc/haproxy/secrets"])
    droplet.run(["systemctl", "reload", "haproxy"])
    done = call(droplet, "state.apply", "marketplace.edge")
    assert done.failed == {}
    assert {
        "Ensure there is a maintenance map",
        "Ensure the edge knows what only Telegram knows",
        "Ensure the proxy is configured",
        "Ensure the proxy uses its configuration",
    } == set(done.changed)
    assert droplet.get("/var/lib/marketplace/maintenance.map") == b"operator off\nrelease off\n"
    assert webhook(droplet)[0] == 403
    assert call(droplet, "deploy.maintenance").value == {"closed": False, "operator": False, "release": False}
    assert call(droplet, "state.apply", "marketplace.edge").changed == {}


def test_a_reload_that_was_missed_is_made_up_for(droplet: Droplet) -> None:
    droplet.run(["touch", "/etc/haproxy/haproxy.cfg"])
    plan = call(droplet, "state.apply", "marketplace.edge", "test=True")
    assert set(plan.changed) == {"Ensure the proxy uses its configuration"}
    done = call(droplet, "state.apply", "marketplace.edge")
    assert set(done.changed) == {"Ensure the proxy uses its configuration"}
    assert call(droplet, "state.apply", "marketplace.edge").changed == {}
    assert curl(droplet, "https://127.0.0.1/healthz")[0] in (200, 503)


def test_a_new_certificate_is_served_without_being_asked_for(droplet: Droplet) -> None:
    pem = "/etc/haproxy/certs/bot.test.pem"
    serial = [
        "sh",
        "-c",
        "openssl s_client -connect 127.0.0.1:443 </dev/null 2>/dev/null | openssl x509 -noout -serial",
    ]
    before = droplet.run(serial).stdout
    droplet.run(["rm", pem])
    assert call(droplet, "state.apply").failed == {}
    assert droplet.run(serial).stdout != before
    assert call(droplet, "state.apply").changed == {}


def test_a_broken_configuration_never_replaces_the_good_one(droplet: Droplet) -> None:
    template = "/srv/deploy/salt/marketplace/files/haproxy.cfg.jinja"
    before, good = droplet.get(template), droplet.get("/etc/haproxy/haproxy.cfg")
    droplet.put(template, before + b"\nnonsense\n")
    try:
        done = call(droplet, "state.apply", "marketplace.edge")
    finally:
        droplet.put(template, before)
    assert "check_cmd execution failed" in done.failed["Ensure the proxy is configured"]
    assert droplet.get("/etc/haproxy/haproxy.cfg") == good
    assert call(droplet, "state.apply", "marketplace.edge").changed == {}


def test_a_certificate_of_a_real_authority_is_left_alone(droplet: Droplet) -> None:
    pem = "/etc/haproxy/certs/bot.test.pem"
    before = droplet.get(pem)
    droplet.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-days", "1",
         "-subj", "/CN=A Real Authority", "-keyout", "/tmp/key", "-out", "/tmp/crt"]
    )  # fmt: skip
    real = droplet.get("/tmp/crt") + droplet.get("/tmp/key")
    try:
        droplet.put(pem, real, mode=0o600)
        assert call(droplet, "state.apply", "marketplace.edge").failed == {}
        assert droplet.get(pem) == real
    finally:
        droplet.put(pem, before, mode=0o600)
    assert call(droplet, "state.apply", "marketplace.edge").failed == {}
    assert call(droplet, "state.apply", "marketplace.edge").changed == {}


def test_logs_tell_colour_and_times_in_json(droplet: Droplet) -> None:
    begun = droplet.run(["date", "+%s"]).stdout.strip()
    curl(droplet, "https://127.0.0.1/healthz")

    def told() -> list[dict[str, Any]]:
        """What the edge has logged of it: a moment later, through the journal."""
        asked = ["journalctl", "--namespace=edge", f"--since=@{begun}", "-o", "cat"]
        lines = droplet.run(asked).stdout.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and "/healthz" in line]

    seconds_until(told, 20)
    entry = told()[-1]
    assert entry["status"] in (200, 503)
    assert entry["colour"] in ("blue", "green")
    assert {"request_ms", "response_ms", "active_ms", "client", "ended"} <= set(entry)
