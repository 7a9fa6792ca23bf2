"""Strength full of monitoring, on and off: all is measured, nobody outside sees it, and what it tells arrives."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from tests.support import alerts, metrics
from tests.support.alerts import Chat
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import Answer, call
from tests.support.droplet.site import Images, Site
from tests.support.load.state import secret_of
from tests.support.waiting import seconds_until

UNITS = (
    "prometheus",
    "prometheus-node-exporter",
    "prometheus-postgres-exporter",
    "prometheus-redis-exporter",
    "prometheus-blackbox-exporter",
)
MINIMAL = ("marketplace-watch", "prometheus-alertmanager")
PORTS = (9090, 9100, 9115, 9121, 9187)
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def first(droplet: Droplet, site: Site, images: Images) -> Iterator[Answer]:
    """The run that turned it on."""
    yield metrics.turn(droplet, site, images, on=True)
    metrics.turn(droplet, site, images, on=False)


@pytest.fixture
def full(first: Answer, droplet: Droplet) -> Droplet:
    assert first.failed == {}
    seconds_until(lambda: metrics.down(droplet) == {}, 60)
    return droplet


def there(droplet: Droplet, path: str) -> bool:
    return droplet.run(["test", "-e", path], check=False).ok


def test_it_is_there_at_once_and_a_second_run_changes_nothing(
    full: Droplet, first: Answer, note: Callable[[str], None]
) -> None:
    again = call(full, "state.apply")
    assert (again.failed, again.changed) == ({}, {})
    note(f"turned on in {first.seconds:.0f} s; a second run takes {again.seconds:.0f} s and changes nothing")
    assert full.run(["systemctl", "is-enabled", *UNITS]).stdout.split() == ["enabled"] * len(UNITS)


def test_nobody_outside_reaches_it(full: Droplet, neighbour: Machine) -> None:
    listed = full.run(["ss", "--listening", "--tcp", "--numeric", "--no-header"]).stdout.splitlines()
    found = {line.split()[3].rpartition(":")[::2] for line in listed}
    assert {address for address, port in found if int(port) in PORTS} == {"127.0.0.1"}
    assert {int(port) for _, port in found} >= set(PORTS)
    for port in PORTS:
        url = f"http://{full.address()}:{port}/"
        seen = neighbour.run(
            ["python3", "-c", f"import urllib.request as u; u.urlopen({url!r}, timeout=2)"], check=False
        )
        assert not seen.ok


def test_all_is_measured(full: Droplet) -> None:
    for query in (
        "pg_up",
        "redis_up",
        "probe_success",
        'node_filesystem_size_bytes{service="postgres"}',
        'node_filesystem_size_bytes{service="droplet"}',
        'haproxy_backend_active_servers{proxy="check_postgres"} == 1',
        'pg_stat_statements_calls_total{user="marketplace_app"}',
        "redis_memory_used_bytes",
    ):
        assert metrics.value(full, query), query
    assert metrics.value(full, 'pg_stat_statements_calls_total{user!="marketplace_app"}') is None
    call(full, "health.logs")
    assert there(full, "/var/lib/prometheus/node-exporter/logs.prom")


def test_what_it_takes(full: Droplet, note: Callable[[str], None]) -> None:
    shares = {unit: memory(full, unit) for unit in (*MINIMAL, *UNITS)}
    for unit, (proportional, own) in shares.items():
        note(f"{unit}: {proportional / MEGABYTE:.0f} MB, {own / MEGABYTE:.0f} MB of it its own")
    total = sum(proportional for proportional, _ in shares.values())
    note(f"all: {total / MEGABYTE:.0f} MB; {metrics.value(full, 'prometheus_tsdb_head_series'):.0f} series")
    assert sum(shares[unit][0] for unit in MINIMAL) < 60 * MEGABYTE
    assert total < 300 * MEGABYTE
    assert all(kills(full, unit) == 0 for unit in UNITS)


def memory(droplet: Droplet, unit: str) -> tuple[int, int]:
    """Bytes of a unit's first process: its proportional share, and what is its own."""
    pid = droplet.run(["systemctl", "show", "--value", "--property=MainPID", unit]).stdout.strip()
    text = droplet.run(["cat", f"/proc/{pid}/smaps_rollup"]).stdout
    parts = {name: int(size) * 1024 for name, size in re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE)}
    return parts["Pss"], parts["Private_Clean"] + parts["Private_Dirty"]


def kills(droplet: Droplet, unit: str) -> int:
    """How often a unit has been started again by systemd."""
    return int(droplet.run(["systemctl", "show", "--value", "--property=NRestarts", unit]).stdout)


def test_what_it_tells_arrives_in_the_form_of_the_watchdogs(
    full: Droplet, site: Site, note: Callable[[str], None]
) -> None:
    chat = Chat.from_now(site.alerts())
    full.run(["systemctl", "stop", "prometheus-redis-exporter"])
    change = "ALTER ROLE marketplace_monitor PASSWORD 'other';"
    full.run(["docker", "exec", "postgres", "psql", "-qX", "-U", "postgres", "-c", change])
    # A connection that is open needs no password.
    full.run(["systemctl", "restart", "prometheus-postgres-exporter"])
    try:
        # The watchdog sees the unit, Prometheus that its figures are missing.
        seconds_until(lambda: "host.units/droplet" in alerts.active(full), 240)
        # metrics.target, and metrics.refused.
        told = chat.arrives("gives no metrics of redis", 480)
        chat.arrives("log in to postgres: nothing is measured", 240)
    finally:
        full.run(["systemctl", "start", "prometheus-redis-exporter"])
        assert call(full, "state.apply", "marketplace.database").failed == {}
    lines = told["text"].splitlines()
    assert lines[0] == "🟠 <b>development: redis</b>"
    assert re.fullmatch(r"since \d\d \w{3} \d\d:\d\d UTC", lines[2])
    assert lines[3].startswith("<i>likely: ")
    assert lines[4] == "<code>journalctl -u prometheus-redis-exporter -n 50</code>"
    over = chat.arrives("over: 127.0.0.1:9121 (redis) gives no metrics", 240)
    chat.arrives("over: prometheus-postgres-exporter can", 240)
    note(f"a target that is down is told, and over {over['at'] - told['at']:.0f} s after it")


def test_slow_statements_of_the_application_are_counted(full: Droplet) -> None:
    # Twice: a statement that nobody has made before has no rate yet.
    for calls in (10, 20):
        slow_statements(full, 10)
        seconds_until(lambda calls=calls: (slept(full) or 0) >= calls, 90)
    seconds_until(lambda: (metrics.value(full, "sc005:slow_queries:ratio_15m") or 0) > 0, 60)


def slow_statements(droplet: Droplet, calls: int) -> None:
    """The application asks for what takes longer than it may."""
    password = secret_of(droplet, "postgres_app_password")
    psql = [
        "docker",
        "exec",
        "--interactive",
        "--env",
        "PGPASSWORD",
        "postgres",
        "psql",
        "--quiet",
        "--file=-",
    ]
    where = "host=127.0.0.1 user=marketplace_app dbname=marketplace sslmode=require"
    script = "\\o /dev/null\n" + "SELECT pg_sleep(0.7);\n" * calls
    droplet.run(["env", f"PGPASSWORD={password}", *psql, where], stdin=script)


def slept(droplet: Droplet) -> float | None:
    """How often that was asked, as Prometheus has it."""
    return metrics.value(
        droplet,
        "pg_stat_statements_calls_total and pg_stat_statements_seconds_total / pg_stat_statements_calls_total > 0.6",
    )


def test_what_is_recorded(full: Droplet) -> None:
    for rule in ("sc002:available:ratio_30d", "answers:seconds:mean", 'sc010:used:ratio{resource="disk"}'):
        seconds_until(lambda rule=rule: metrics.value(full, rule) is not None, 330)
    found = [rule for group in metrics.ask(full, "rules")["groups"] for rule in group["rules"]]
    assert [rule for rule in found if rule.get("lastError")] == []


def test_off_again_leaves_nothing_but_what_was_measured(
    full: Droplet, site: Site, images: Images, note: Callable[[str], None]
) -> None:
    off = metrics.turn(full, site, images, on=False)
    assert off.failed == {}
    assert call(full, "state.apply").changed == {}
    note(f"turned off in {off.seconds:.0f} s")
    shown = full.run(["systemctl", "is-active", *UNITS], check=False).stdout.split()
    assert shown == ["inactive"] * len(UNITS)
    for path in (
        "/usr/bin/prometheus",
        "/etc/exporters/prometheus-redis-exporter.yml",
        "/etc/marketplace/delivered/monitoring",
    ):
        assert not there(full, path)
    assert there(full, "/var/lib/prometheus/metrics2")
    # Who tells people is there as before.
    assert call(full, "alerts.test").value["told"] is True
    on = metrics.turn(full, site, images, on=True)
    assert on.failed == {}
    seconds_until(lambda: metrics.down(full) == {}, 60)
    assert metrics.value(full, "count_over_time(probe_success[1d])") > 10
