"""The Health Status: what PostgreSQL and Redis say of themselves, the worker, and the figures beside it."""

import json
import os
from datetime import UTC, datetime
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from marketplace_backups import Backup
from marketplace_clock import Clock
from marketplace_database import Database, DatabaseError
from marketplace_docker import Docker
from marketplace_durable import to_json
from marketplace_edge import Edge
from marketplace_health import judged_worker, overall, report
from marketplace_health_data import Told, judged_postgres, judged_redis, redis
from marketplace_health_figures import backups, shown, uptime
from marketplace_host import Host, HostError
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_redis import Connection
from marketplace_watch_figures import figures

from tests.support.looks import GIB, answering, burning, container, history, look, up

SLOT = {"active": True, "status": "reserved", "behind": 512}
INFO = {
    "rdb_last_bgsave_status": "ok", "rdb_last_save_time": "1700000000", "used_memory": "1000",
    "maxmemory": "100000",
}  # fmt: skip
SAVED = "2023-11-14T22:13:20+00:00"
SETTINGS = {
    "environment": "production",
    "postgres": {"database": "marketplace", "managed": {"host": ""}},
    "redis": {
        "address": "127.0.0.1", "port": 1, "plain_port": 1, "users": {"monitoring": "monitoring"},
        "managed": {"host": ""},
    },
}  # fmt: skip


def said(used, limit=97, slot=SLOT):
    return {"used": used, "limit": limit, "receiver": slot}


@pytest.mark.parametrize(("used", "is_near"), [(0, False), (87, False), (88, True), (97, True)])
def test_connections_are_judged_by_those_that_there_may_be(used, is_near):
    told = judged_postgres(said(used))
    assert told.facts == {
        "connections": {"used": used, "limit": 97},
        "receiver": {"active": True, "behind": 512},
    }
    assert (told.problem is not None) is is_near
    assert not is_near or f"{used} of 97 connections" in told.problem


def test_a_log_that_nobody_receives_is_no_fault_of_the_database():
    told = judged_postgres(said(1, slot=None))
    assert (told.problem, told.facts["receiver"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"rdb_last_bgsave_status": "err"}, f"its last save failed (the last good one: {SAVED})"),
        ({"used_memory": "95000"}, "its data take 92.8K of 97.7K"),
        # No limit of its own.
        ({"used_memory": "95000", "maxmemory": "0"}, None),
    ],
)
def test_redis_is_judged_by_its_last_save_and_its_memory(changes, words):
    told = judged_redis(INFO | changes)
    assert told.facts["saved"] == {"at": SAVED, "ok": "rdb_last_bgsave_status" not in changes}
    assert (told.problem is None) if words is None else told.problem.startswith(words)


@pytest.mark.parametrize(
    ("changes", "releasing", "status"),
    [
        ({}, False, "healthy"),
        ({"health": "none"}, False, "healthy"),
        ({"health": "unhealthy"}, False, "degraded"),
        ({"status": "exited", "exit_code": 137}, False, "unhealthy"),
        ({"status": "exited"}, True, "healthy"),
    ],
)
def test_a_worker_that_is_away_impairs_and_stops_nothing(changes, releasing, status):
    worker = judged_worker(container("worker-blue", **changes), releasing)
    assert worker.status == status
    assert worker.facts["restarts"] == 0
    others = {name: judged_worker(container(name), False) for name in ("backend", "edge")}
    assert overall({**others, "worker": worker}) == ("healthy" if status == "healthy" else "degraded")


@pytest.fixture
def asked(tmp_path):
    """Whom Redis is asked as, where there is such a user."""
    paths = Paths(tmp_path)
    paths.secrets.mkdir(parents=True)
    (paths.secrets / "redis_monitoring_password").write_text("pass")
    return SimpleNamespace(paths=paths)


def test_a_redis_that_can_not_be_asked_is_told(asked):
    assert "Redis does not answer on 127.0.0.1:1" in redis(asked, SETTINGS).problem


def test_where_an_older_tree_has_made_no_such_user_nobody_asks(asked):
    older = {**SETTINGS, "redis": {**SETTINGS["redis"], "users": {}}}
    assert redis(asked, older) == Told()
    (asked.paths.secrets / "redis_monitoring_password").unlink()
    assert redis(asked, SETTINGS) == Told()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("\r\n".join(f"{name}:{value}" for name, value in INFO.items()), None),
        ("# Server\r\nredis_version:8.0.2", "it does not say how it is"),
    ],
)
def test_redis_is_asked_for_its_statistics(asked, monkeypatch, said, words):
    connection = Mock(spec=Connection)
    connection.__enter__ = Mock(return_value=connection)
    connection.__exit__ = Mock(return_value=None)
    connection.command.return_value = said
    reach = Mock(return_value=connection)
    monkeypatch.setattr("marketplace_health_data.reach", reach)
    told = redis(asked, SETTINGS)
    assert (told.problem is None) if words is None else words in told.problem
    assert reach.call_args.args == ("127.0.0.1", 1, 1, ("monitoring", "pass"), asked.paths.trusted)


class Droplet:
    """A droplet that is well, but for what a test changes."""

    def __init__(self, tmp_path, monkeypatch):
        self.containers = {
            name: container(name, pid=0) for name in ("backend-blue", "postgres", "redis", "worker-blue")
        }
        edge = Mock(spec=Edge)
        edge.live.return_value, edge.runtime_live.return_value = "blue", "blue"
        edge.statistics.return_value = {
            (f"check_{name}", "BACKEND"): up() for name in ("blue", "postgres", "redis")
        }
        edge.maintenance.return_value = {}
        docker = Mock(spec=Docker)
        docker.containers.side_effect = lambda *names: {name: self.containers[name] for name in names}
        host, lock = Mock(spec=Host), Mock(spec=Lock)
        host.run.side_effect = HostError("no journal")
        lock.holder.return_value = None
        self.database = Mock(spec=Database)
        self.database.ask.return_value = json.dumps(said(12))
        self.world = SimpleNamespace(
            paths=Paths(tmp_path), edge=edge, docker=docker, host=host, lock=lock, database=self.database,
            clock=Clock(),
        )  # fmt: skip
        good = {"problem": None, "usable": True}
        monkeypatch.setattr("marketplace_health._certificate", lambda *_: good)
        self.redis = Mock(return_value=judged_redis(INFO))
        monkeypatch.setattr("marketplace_health.asked_redis", self.redis)

    def services(self):
        return report(self.world, SETTINGS)["services"]


@pytest.fixture
def droplet(tmp_path, monkeypatch):
    return Droplet(tmp_path, monkeypatch)


def test_services_tell_what_they_say_of_themselves(droplet):
    services = droplet.services()
    assert services["postgres"]["facts"]["connections"] == {"used": 12, "limit": 97}
    assert services["redis"]["facts"]["saved"] == {"at": SAVED, "ok": True}
    assert services["worker"]["detail"] == "worker-blue runs"
    assert {service["status"] for service in services.values()} == {"healthy"}
    assert droplet.database.ask.call_args.args[0] == "marketplace"


@pytest.mark.parametrize(
    ("answer", "words"),
    [(DatabaseError("PostgreSQL: PANIC"), "no query: PostgreSQL: PANIC"), ("", "no query")],
)
def test_a_database_that_answers_no_query_is_degraded_though_its_port_is_open(droplet, answer, words):
    droplet.database.ask.side_effect = [answer]
    found = droplet.services()["postgres"]
    assert found["status"] == "degraded"
    assert words in found["detail"]


def test_who_is_known_to_be_away_is_not_waited_for(droplet):
    for name in ("postgres", "redis"):
        droplet.containers[name] = container(name, status="exited")
    found = droplet.services()
    assert (found["postgres"]["status"], found["redis"]["status"]) == ("unhealthy", "unhealthy")
    droplet.database.ask.assert_not_called()
    droplet.redis.assert_not_called()


@pytest.mark.parametrize(("said", "is_asked"), [("L7RSP", True), ("* L7RSP", True), ("L7TOUT", False)])
def test_who_answers_but_not_as_it_should_is_asked_why(droplet, said, is_asked):
    """As a Redis that could not save does: it refuses even PING."""
    statistics = droplet.world.edge.statistics.return_value
    statistics["check_redis", "BACKEND"] = up(status="DOWN", lastchg="12")
    statistics["check_redis", "redis"] = up(status="DOWN", check_status=said)
    droplet.redis.return_value = judged_redis(INFO | {"rdb_last_bgsave_status": "err"})
    found = droplet.services()["redis"]
    assert found["status"] == "unhealthy"
    assert ("for 12 s; its last save failed" in found["detail"]) is is_asked
    assert droplet.redis.called is is_asked


@pytest.mark.parametrize(
    ("routed", "also"), [("blue", ""), ("green", "HAProxy routes to green, live.map says blue")]
)
def test_a_closed_edge_serves_nobody_whatever_impairs_it_as_well(droplet, routed, also):
    droplet.world.edge.maintenance.return_value = {"operator": True, "release": False}
    droplet.world.edge.runtime_live.return_value = routed
    found = report(droplet.world, SETTINGS)
    edge = found["services"]["edge"]
    assert (found["status"], edge["status"]) == ("unhealthy", "unhealthy")
    words, _, told = edge["detail"].partition("; ")
    assert words == "closed for maintenance by operator: updates wait at Telegram"
    assert told.startswith(also) if also else not told


def test_the_watchdog_counts_what_is_used():
    seen, counted = burning(0.5, "backend")
    found = figures(seen, counted, {})
    assert found["uses"]["backend"]["cpu"] == 0.5
    assert found["uses"]["postgres"] == {"cpu": 0.0, "memory": {"used": GIB // 4, "limit": GIB}}
    assert found["disks"]["backups"] == {"used": GIB, "limit": 20 * GIB}
    seen = look()
    # One look alone tells of no share.
    assert figures(seen, history(seen), {})["uses"]["backend"]["cpu"] is None


def test_the_edge_s_errors_are_those_of_the_last_minutes():
    seen, counted = answering(200, 3)
    assert figures(seen, counted, {})["answers"] == {"count": 200, "errors": 3, "seconds": 10}


def test_of_the_webhook_only_what_harms_nobody_is_written_down():
    info = {"url": "https://bot.test/hook/a-secret", "pending_update_count": 4, "ip_address": "203.0.113.9"}
    found = figures(look(), history(look()), {"webhook": info, "units": [], "health": {"redis": {}}})
    assert found["webhook"] == {"registered": True, "pending_update_count": 4}
    assert found["host"] == {"units": []}
    assert figures(look(), history(look()), {"webhook": {"elsewhere": True}})["webhook"] is None


UPDATES = {"waited": {"openssl": 7200.0, "haproxy": 60.0}, "held": ["haproxy"]}


def status():
    services = {
        name: {"status": "healthy", "detail": "", "since_seconds": None, "facts": {"restarts": 0}}
        for name in ("backend", "postgres", "edge")
    }
    return {"status": "healthy", "time": SAVED, "services": services}


def test_figures_stand_with_whom_they_are_of():
    seen, counted = burning(0.5, "backend")
    info = {
        "url": "x", "pending_update_count": 4, "last_error_date": 1_700_000_000,
        "last_error_message": "timed out",
    }  # fmt: skip
    surveyed = {"webhook": info, "clock": {"followed": True, "offset": 0.1}, "updates": UPDATES}
    before = status()
    found = shown(before, figures(seen, counted, surveyed), 86400)
    services = found["services"]
    assert services["backend"]["facts"] == {
        "restarts": 0, "cpu": 0.5, "memory": {"used": GIB // 8, "limit": GIB // 2},
    }  # fmt: skip
    assert services["postgres"]["facts"]["disk"] == {"used": 2 * GIB, "limit": 20 * GIB}
    assert services["edge"]["facts"]["answers"]["errors"] == 0
    droplet = found["droplet"]
    assert (droplet["uptime_seconds"], droplet["memory"]["limit"]) == (86400, 4 * GIB)
    assert set(droplet["disks"]) == {"droplet", "backups"}
    assert (droplet["security_updates"], droplet["units_failed"]) == (
        ["haproxy", "openssl"],
        None,
    )
    assert found["webhook"] == {
        "registered": True, "pending": 4, "last_error": {"at": SAVED, "words": "timed out"},
    }  # fmt: skip
    assert before == status()


def test_while_nobody_watches_the_figures_are_unknown():
    found = shown(status(), {}, 60)
    assert found["services"] == status()["services"]
    assert found["webhook"] is None
    assert found["droplet"] == {
        "uptime_seconds": 60, "disks": {}, "clock": None, "units_failed": None, "reboot_waits_seconds": None,
        "security_updates": None,
    }  # fmt: skip


def test_the_newest_good_backup_of_each_kind_is_told(tmp_path):
    paths = Paths(tmp_path)
    assert backups(paths, None)["newest"]["postgres"] is None
    records = paths.backups / "records"
    records.mkdir(parents=True)
    for day, problems in ((1, ()), (2, ()), (3, ("a file is missing",))):
        at = datetime(2026, 11, day, tzinfo=UTC).isoformat()
        one = Backup("postgres", f"b{day}", at, at, 10, {}, problems=problems)
        (records / f"postgres-{day}.json").write_text(to_json(vars(one)))
    found = backups(paths, None)
    assert found == {
        "newest": {"postgres": "2026-11-02T00:00:00+00:00", "dump": None, "redis": None, "house": None},
        "drill": None,
    }
    (records / "postgres-4.json").write_text("{")
    assert "postgres-4.json" in backups(paths, None)["problem"]


def test_a_machine_is_as_old_as_its_first_process(tmp_path, monkeypatch):
    (tmp_path / "1").mkdir()
    # The kernel is older than a container, and a process may be called anything.
    ticks = 100 * os.sysconf("SC_CLK_TCK")
    (tmp_path / "1/stat").write_text(f"1 (a) b) S {' '.join(map(str, range(3, 21)))} {ticks} 23 24\n")
    monkeypatch.setattr("marketplace_health_figures.time.clock_gettime", lambda _: 500.0)
    assert uptime(tmp_path) == 400
