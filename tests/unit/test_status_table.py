"""What health.check and deploy.status show at a terminal."""

import copy

import pytest
from marketplace_records import NOTHING_LIVE
from marketplace_status_table import health_table, status_table
from marketplace_terminal import Style, columns

PLAIN = Style(colour=False, unicode=False)
WIDTH = 100
AT = "2026-11-26T01:05:00+00:00"
HEALTH = {
    "status": "degraded",
    "time": AT,
    "services": {
        "backend": {
            "status": "healthy",
            "detail": "backend-blue answers",
            "facts": {"version": "1.4.0", "started": AT, "restarts": 1},
        },
        "edge": {
            "status": "degraded",
            "detail": "its certificate is old",
            "facts": {"certificate": {"days_left": 9}},
        },
    },
}
ALERT = {
    "severity": "critical", "summary": "postgres does not answer", "since": AT, "cause": "it hangs",
    "command": "salt-call deploy.logs service=postgres",
}  # fmt: skip
STATUS = {
    "live": {"version": "1.4.0", "colour": "blue", "since": AT, "by": "alice", "release": "20261126T010500Z"},
    "health": HEALTH,
    "lock": None,
    "in_flight": None,
    "maintenance": [],
    "pending": ["backend settings have changed"],
    "drift": {"summary": "none", "differences": [], "trouble": []},
    "ledger": {"releases": 1, "broken": []},
    "events": 0,
    "jobs": {"scheduled": [], "pending": [], "trouble": []},
    "slo": "100% uptime",
    "backups": {
        "newest": {"postgres": {"when": AT}}, "count": 3, "bytes": {"used": 10, "of": 100},
        "drill": {"time": AT}, "copy": None, "trouble": [], "pending": [], "busy": None,
    },
}  # fmt: skip


def shown(**changes):
    return status_table({**copy.deepcopy(STATUS), **changes}, PLAIN, WIDTH).splitlines()


def test_each_service_has_a_line_with_what_matters_of_it():
    assert health_table(HEALTH, PLAIN, WIDTH).splitlines() == [
        "! degraded, 2026-11-26 01:05 UTC",
        "+ backend   backend-blue answers; version 1.4.0; up since 2026-11-26 01:05 UTC; restarted once",
        "! edge      its certificate is old; certificate for 9 days",
    ]


def test_figures_are_told_in_few_words():
    half = {"used": 512 * 1024**2, "limit": 1024**3}
    facts = {
        "connections": {"used": 12, "limit": 97},
        "receiver": {"active": True, "behind": 512},
        "saved": {"at": AT, "ok": True},
        "answers": {"count": 200, "errors": 3, "seconds": 290},
        "cpu": 0.054,
        "memory": half,
        "disk": half,
    }
    droplet = {
        "uptime_seconds": 3 * 86400,
        "cpu": 0.5,
        "memory": half,
        "disks": {"droplet": half, "backups": half},
        "clock": {"followed": True, "offset": -0.1},
        "units_failed": ["cron.service"],
        "reboot_waits_seconds": 7200,
        "security_updates": ["openssl"],
    }
    found = {
        "status": "healthy",
        "services": {"postgres": {"status": "healthy", "detail": "postgres answers", "facts": facts}},
        "droplet": droplet,
        "webhook": {"registered": True, "pending": 4, "last_error": {"at": AT, "words": "timed out"}},
        "backups": {"newest": {"postgres": AT, "redis": None}, "drill": AT},
    }
    assert health_table(found, PLAIN, 400).splitlines() == [
        "+ healthy",
        "+ postgres  postgres answers; 12 of 97 connections; its log is received, 512 bytes behind; "
        "saved 2026-11-26 01:05 UTC; 3 of 200 answers of 4:50 min were 5xx; "
        "CPU 5%, memory 50% of 1G, disk 50% of 1G",
        "  droplet   up for 3 days; CPU 50%, memory 50% of 1G, disk 50% of 1G; disk of backups 50% of 1G; "
        "clock -0.1 s off; units that failed or do not run: cron.service; "
        "an update has waited for a reboot for 2:00 h; security updates wait: openssl",
        "  webhook   4 updates wait at Telegram; its last error 2026-11-26 01:05 UTC: timed out",
        "  backups   postgres 2026-11-26 01:05 UTC; none of redis yet; restored on trial 2026-11-26 01:05 UTC",
    ]


def test_what_nobody_knows_is_said_or_left_out():
    droplet = {
        "uptime_seconds": 90, "disks": {}, "clock": None, "units_failed": None, "reboot_waits_seconds": None,
        "security_updates": None,
    }  # fmt: skip
    found = {
        "status": "healthy",
        "services": {},
        "droplet": droplet,
        "webhook": None,
        "backups": {"problem": "a record is no record"},
    }
    assert health_table(found, PLAIN, 100).splitlines()[1:] == [
        "  droplet   up for 90.0 s",
        "  webhook   nobody knows what Telegram says of it",
        "  backups   a record is no record",
    ]


def test_the_brief_answer_is_brief():
    brief = {"status": "unhealthy", "services": {"backend": "unhealthy"}}
    assert health_table(brief, PLAIN, WIDTH).splitlines() == ["x unhealthy", "x backend   unhealthy"]


def test_an_alert_says_what_to_type():
    found = health_table({**HEALTH, "alerts": [ALERT], "watch": {"problem": "nobody watches"}}, PLAIN, WIDTH)
    assert found.splitlines()[-6:] == [
        "",
        "x postgres does not answer, since 2026-11-26 01:05 UTC",
        "  likely: it hangs",
        "  salt-call deploy.logs service=postgres",
        "",
        "x watchdog  nobody watches",
    ]


def test_what_is_live_comes_first_and_what_waits_last():
    lines = shown()
    assert (
        lines[0] == "+ 1.4.0 is live in blue since 2026-11-26 01:05 UTC, by alice (release 20261126T010500Z)"
    )
    assert lines[-1] == "! backend settings have changed"
    assert "+ ledger    1 release" in lines
    assert any(line.startswith("+ backups   database 2026-11-26 01:05 UTC; 3 kept, 10%") for line in lines)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"live": None}, f"x {NOTHING_LIVE}"),
        ({"maintenance": ["operator"]}, "! the edge is closed for updates (operator)"),
        ({"ledger": {"releases": 2, "broken": ["r1"]}}, "! ledger    2 releases, altered: r1"),
        ({"events": 2}, "  events    2 wait to be told"),
        (
            {"drift": {"summary": "2 differences", "differences": [1, 2], "trouble": []}},
            "! drift     2 differences",
        ),
        (
            {"drift": {"summary": "can't be looked for", "differences": [], "trouble": ["bad"]}},
            "! drift     can't be looked for",
        ),
    ],
)
def test_what_is_odd_is_marked(changes, line):
    assert line in shown(**changes)


def test_who_is_at_the_backups_is_shown_and_that_they_cannot_be_told():
    backups = STATUS["backups"] | {"busy": {"doing": "backup.drill", "by": "bob"}}
    (line,) = (line for line in shown(backups=backups) if "backups" in line)
    assert line.startswith("+ backups   backup.drill by bob is at them; database 2026-11-26 01:05 UTC")
    told = shown(backups=backups | {"busy": None, "count": None, "trouble": ["a record is none"]})
    assert "! backups   cannot be told" in told
    assert "x a record is none" in told


@pytest.mark.parametrize(
    ("lock", "words"),
    [
        ({"pid": 1}, "! a release to 1.5.0 by bob, begun 2026-11-26 01:05 UTC, is at step soak"),
        (
            None,
            "x a release to 1.5.0 by bob, begun 2026-11-26 01:05 UTC, was interrupted at step soak: salt-call",
        ),
    ],
)
def test_a_release_on_its_way_or_interrupted(lock, words):
    flight = {"kind": "release", "version": "1.5.0", "by": "bob", "started": AT, "step": "soak"}
    assert words in shown(in_flight=flight, lock=lock)


def test_a_job_says_when_and_trouble_comes_before_what_waits():
    job = {"name": "digest", "running": False, "next": "2026-11-30T09:00+01:00"}
    lines = shown(jobs={"scheduled": [job], "pending": ["no job starts"], "trouble": ["job digest failed"]})
    assert any(line.startswith("  job       digest: next 2026-11-30 09:00") for line in lines)
    assert lines[-3:] == ["x job digest failed", "! backend settings have changed", "! no job starts"]


def test_a_droplet_that_was_never_converged():
    first = {"health": None, "drift": None, "slo": None, "live": None}
    assert shown(**first)[0].startswith("x nothing is live")


def test_nothing_is_wider_than_the_terminal_and_nothing_is_obeyed():
    evil = copy.deepcopy(STATUS)
    evil["health"]["services"]["edge"]["detail"] = "\x1b[2J" + "words " * 40
    found = status_table(evil, PLAIN, 50)
    assert "\x1b" not in found
    assert all(columns(line) <= 50 for line in found.splitlines())
