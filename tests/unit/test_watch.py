"""The watchdog as a whole, over a droplet that is made up: what it keeps, what it takes for over, what it shows."""

import time

from marketplace_durable import Disk
from marketplace_spool import Spool
from marketplace_watch import BOOT_SECONDS
from marketplace_watched import LATE, watched

from tests.support.looks import GIB, NOW, look, silent
from tests.support.watching import (
    SETTINGS,
    watched_paths,  # noqa: F401 - a fixture
    watching,
)


def test_a_disk_that_is_full_hides_no_alert_and_what_is_known_is_kept_once_there_is_room(
    paths, monkeypatch, capsys
):
    watch, real = watching(paths), Disk.write

    def full(disk, path, *arguments, **options):
        if path == paths.watch:
            raise OSError(28, "No space left on device")
        real(disk, path, *arguments, **options)

    monkeypatch.setattr(Disk, "write", full)
    for step in range(3):
        watch.look.next = look(at=NOW + 3 * step, checks={"redis": silent(60)})
        watch.turn(SETTINGS)
    assert [row["name"] for row in watched(paths.watched, NOW + 9)["alerts"]] == ["service.down"]
    assert capsys.readouterr().out.count("can't be kept") == 1
    assert not paths.watch.exists()
    monkeypatch.setattr(Disk, "write", real)
    watch.look.next = look(at=NOW + 9, checks={"redis": silent(60)})
    watch.turn(SETTINGS)
    assert "service.down/redis" in watching(paths).quick.active


def test_figures_are_for_who_asks_and_only_while_somebody_watches(paths):
    watch = watching(paths)
    watch.surveyor.found = {"units": ["cron.service"]}
    watch.turn(SETTINGS)
    found = watched(paths.watched, NOW)["figures"]
    assert found["uses"]["postgres"]["memory"] == {"used": GIB // 4, "limit": GIB}
    assert found["host"] == {"units": ["cron.service"]}
    assert watched(paths.watched, NOW + LATE)["figures"] == {}


def test_what_a_survey_has_found_is_not_over_because_the_process_began_anew(paths):
    first = watching(paths)
    first.surveyor.found = {"webhook": {"url": ""}}
    first.turn(SETTINGS)
    again = watching(paths)
    again.look.next = look(at=NOW + 60)
    again.turn(SETTINGS)
    assert again.thorough.active["webhook.missing/webhook"].since == NOW
    assert [letter.ends for letter in again.postman.letters] == [None]
    again.surveyor.found = {"webhook": {"url": "https://bot.test/hook"}}
    again.turn(SETTINGS)
    assert again.thorough.active == {}


def test_what_is_wrong_outlives_the_process(paths):
    first = watching(paths)
    first.look.next = look(checks={"redis": silent(60)})
    first.turn(SETTINGS)
    again = watching(paths)
    assert again.quick.active["service.down/redis"].since == NOW - 60
    assert [letter.key for letter in again.postman.letters] == ["service.down/redis"]
    paths.watch.write_text("{")
    assert watching(paths).quick.active == {}
    paths.watch.write_text('{"letters": [{"of": "another tree"}]}')
    assert watching(paths).postman.letters == []


def test_what_both_looks_have_seen_is_one_thing(paths):
    watch = watching(paths)
    facts = {"provider": "cache.example.com:25061"}
    watch.surveyor.found["health"] = {
        "redis": {"status": "unhealthy", "detail": "AUTH failed", "facts": facts}
    }
    watch.turn(SETTINGS)
    watch.look.next = look(at=NOW + 60)
    watch.turn(SETTINGS)
    assert [(one.finding.key, one.finding.summary) for one in watch.active] == [
        ("service.down/redis", "AUTH failed")
    ]
    watch.look.next = look(at=NOW + 63, checks={"redis": silent(60)})
    watch.turn(SETTINGS)
    assert [one.finding.key for one in watch.active] == ["service.down/redis"]
    assert "does not pass the edge's check" in watch.active[0].finding.summary


def test_services_are_not_missed_while_the_droplet_boots(paths, monkeypatch):
    paths.watched.unlink()
    watch = watching(paths)
    watch.look.next = look(checks={"redis": silent(60)}, disks={"redis": (GIB, GIB)})
    watch.turn(SETTINGS)
    assert list(watch.quick.active) == []
    now = time.monotonic() + BOOT_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watch.turn(SETTINGS)
    assert "service.down/redis" in watch.quick.active


def test_what_has_come_up_once_is_missed_at_once(paths):
    paths.watched.unlink()
    watch = watching(paths)
    watch.look.next = look(containers=None)  # Docker is about to come: nobody can say yet that all is well.
    watch.turn(SETTINGS)
    watch.look.next = look(at=NOW + 3, checks={"redis": silent(60)})
    watch.turn(SETTINGS)
    watch.look.next = look(at=NOW + 9, checks={"redis": silent(66)})
    watch.turn(SETTINGS)
    assert list(watch.quick.active) == []
    watch.look.next = look(at=NOW + 12)
    watch.turn(SETTINGS)
    for later in (60, 66):
        watch.look.next = look(at=NOW + later, checks={"redis": silent(5)})
        watch.turn(SETTINGS)
    assert "service.down/redis" in watch.quick.active


def test_a_droplet_that_was_not_shut_down_in_order_says_so_once_it_is_back(paths):
    def told():
        return [event.kind for event in Spool(paths.spool).pending()]

    def boots():
        paths.watched.unlink(missing_ok=True)
        return watching(paths)

    first = boots()
    first.turn(SETTINGS)
    # The watchdog alone has died, and then all.
    watching(paths)
    assert told() == []
    again = boots()
    assert told() == ["host.rebooted"]
    again.turn(SETTINGS)
    again.stop()
    boots()
    assert len(told()) == 1


def test_nothing_is_written_while_nothing_changes(paths):
    watch = watching(paths)
    watch.turn(SETTINGS)
    written = paths.watch.stat().st_mtime_ns
    watch.look.next = look(at=NOW + 3)
    watch.turn(SETTINGS)
    assert paths.watch.stat().st_mtime_ns == written


def test_who_asks_is_told_the_worst_first_and_that_nobody_watches(paths):
    watch = watching(paths)
    watch.look.next = look(checks={"redis": silent(60)}, closed=())
    watch.turn(SETTINGS)
    told = watched(paths.watched, NOW + 1)
    assert (told["watching"], told["alerts"][0]["command"]) == (
        True,
        "salt-call deploy.logs service=redis",
    )
    late = watched(paths.watched, NOW + LATE)
    assert (late["watching"], late["alerts"]) == (False, [])
    assert "nobody watches" in late["problem"]
    paths.watched.unlink()
    assert watched(paths.watched)["watching"] is False
    paths.watched.write_text('{"looked": 1, "alerts": [{}]}')
    assert watched(paths.watched, 2.0)["watching"] is False
