"""Every rule of the quick look: it fires, it does not below, and it clears."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from marketplace_consumption import Group
from marketplace_drift_record import LATE
from marketplace_watch_history import SPAN, History
from marketplace_watch_rules import findings, timing

from tests.support.looks import (
    GIB,
    LIMITS,
    NOW,
    answering,
    burning,
    container,
    history,
    look,
    silent,
    up,
)


def found(seen, remembered=None, active=()):
    return {finding.key: finding for finding in findings(seen, remembered or history(seen), LIMITS, active)}


def test_a_droplet_that_is_well_is_silent():
    assert found(look()) == {}


@pytest.mark.parametrize("service", ["postgres", "redis", "backend"])
def test_a_service_without_an_answer_is_down_since_the_edge_says_so(service):
    told = found(look(checks={service: silent(7)}))[f"service.down/{service}"]
    assert told.severity == "critical"
    assert told.since == NOW - 7
    assert "hangs" in told.cause
    assert told.command.startswith("salt-call deploy.logs service=")


@pytest.mark.parametrize(
    ("state", "words", "command"),
    [
        ({"status": "exited", "exit_code": 0}, "somebody stopped it", "salt-call state.apply"),
        ({"status": "restarting", "exit_code": 1}, "can't start", "salt-call state.apply"),
        ({"status": "paused"}, "somebody paused", "docker unpause redis"),
    ],
)
def test_a_container_that_does_not_run_is_down(state, words, command):
    told = found(look(with_containers={"redis": container("redis", **state)}))["service.down/redis"]
    assert words in told.cause
    assert told.command == command
    # HAProxy's figure is about its check.
    assert told.since is None


def test_a_worker_that_does_not_run_is_told_but_for_a_release():
    ended = {"worker": container("worker-blue", status="exited", exit_code=1)}
    assert found(look(with_containers=ended))["service.down/worker"].command == "docker start worker-blue"
    paused = {"worker": container("worker-blue", status="paused")}
    assert found(look(with_containers=paused))["service.down/worker"].command == "docker unpause worker-blue"
    assert found(look(with_containers=ended, releasing="release of 1.2.0")) == {}
    assert found(look(with_containers={"worker": container("worker-blue", health="none")})) == {}


def test_a_worker_without_a_container_is_told_where_there_should_be_one():
    told = found(look(has_worker=True))["service.down/worker"]
    assert (told.severity, told.command) == ("warning", "salt-call deploy.resume")
    assert found(look(has_worker=True, releasing="release of 1.2.0")) == {}
    assert "service.down/worker" not in found(look(has_worker=True, containers=None))
    runs = {"worker": container("worker-blue", health="none")}
    assert found(look(has_worker=True, with_containers=runs)) == {}


def test_a_container_that_is_gone_is_down():
    containers = {"postgres": container("postgres"), "backend": container("backend-blue")}
    assert "removed" in found(look(containers=containers))["service.down/redis"].cause


def test_a_backend_that_waits_for_the_database_is_no_news_of_its_own():
    waiting = up(status="DOWN", check_status="L7STS", check_code="503", lastchg="9")
    told = found(look(checks={"postgres": silent(9), "backend": waiting}))
    assert list(told) == ["service.down/postgres"]
    assert "the bot waits for it" in told["service.down/postgres"].summary
    # By itself it is.
    alone = found(look(checks={"backend": waiting}))
    assert "not ready" in alone["service.down/backend"].cause
    # Nor is one that has just got it back.
    assert found(look(checks={"postgres": up(lastchg="19"), "backend": waiting})) == {}
    # However it puts that: it may be busy with waiting.
    both = found(look(checks={"postgres": silent(9), "backend": silent(9)}))
    assert list(both) == ["service.down/postgres"]


def test_a_database_that_replays_its_log_is_said_to():
    told = found(look(checks={"postgres": silent(9, "L7RSP")}))["service.down/postgres"]
    assert "replays its log" in told.cause


def test_a_redis_that_takes_no_writes_is_said_to():
    told = found(look(checks={"redis": silent(9, "L7RSP")}))["service.down/redis"]
    assert "takes no writes" in told.cause


def test_an_edge_that_says_nothing_is_down():
    told = found(look(statistics=None, routed=None))
    assert told["service.down/edge"].command == "systemctl status haproxy"
    assert told["service.down/edge"].cause == ""
    stopped = found(look(statistics=None, routed=None, edge_up=False))["service.down/edge"]
    assert "somebody stopped it, or it can't start" in stopped.cause


def test_docker_that_says_nothing_is_told():
    assert "service.silent/docker" in found(look(containers=None))


@pytest.mark.parametrize(
    ("changes", "down"),
    [
        ({"closed": ("operator",)}, set()),
        ({"closed": ("release",)}, {"postgres", "redis"}),
        ({"at_backups": "backup.restore to=live"}, {"redis", "backend"}),
        ({"at_backups": "backup.create"}, {"postgres", "redis", "backend"}),
    ],
)
def test_what_was_taken_out_of_service_is_not_missed(changes, down):
    for service in ("postgres", "redis", "backend"):
        told = found(look(checks={service: silent(60)}, **changes))
        assert (f"service.down/{service}" in told) == (service in down)


def test_a_maintenance_that_is_forgotten_is_told_after_an_hour():
    told = found(look(closed=("operator",)))
    assert told["maintenance.long/edge"].command == "salt-call deploy.maintenance off"
    assert timing("maintenance.long").after == 3600
    assert "maintenance.long/edge" not in found(look(closed=("release",)))


def restarting(*counts, **changes):
    remembered = History()
    for step, count in enumerate(counts):
        seen = look(
            at=NOW + 3 * step, with_containers={"redis": container("redis", restarts=count, **changes)}
        )
        remembered.note(seen)
    return seen, remembered


def test_a_restart_is_a_warning_and_many_are_a_loop():
    told = found(*restarting(0, 1, exit_code=137))["service.restarted/redis"]
    assert "once" in told.summary
    assert "memory limit" in told.cause
    assert "service.crash_loop/redis" not in found(*restarting(0, 2))
    assert found(*restarting(0, 2, 3))["service.crash_loop/redis"].severity == "critical"


def test_restarts_of_before_and_of_other_containers_do_not_count():
    assert found(*restarting(7, 7)) == {}
    assert found(*restarting(7, 0)) == {}
    seen, remembered = restarting(0, 1)
    later = replace(seen, at=NOW + 700)
    remembered.note(later)
    assert found(later, remembered) == {}


def test_restarts_by_systemd_count_as_those_by_docker():
    remembered = history(look())
    assert remembered.restarts.note_units({"edge": 4, "docker": 0}, NOW) == {}
    assert remembered.restarts.note_units({"edge": 5, "docker": 0}, NOW + 30) == {"edge": 1}
    told = found(look(at=NOW + 30), remembered)["service.restarted/edge"]
    assert told.summary == "edge ended by itself and was restarted once within 10 minutes"
    assert told.command == "systemctl status haproxy.service"
    # Somebody has stopped and started it: systemd counts from nothing.
    remembered.restarts.note_units({"edge": 0}, NOW + 60)
    remembered.restarts.note_units({"edge": 2}, NOW + 90)
    assert found(look(at=NOW + 90), remembered)["service.crash_loop/edge"].severity == "critical"
    remembered.note(look(at=NOW + 700))
    assert found(look(at=NOW + 700), remembered) == {}


def test_what_the_watchdog_has_killed_did_not_end_by_itself():
    remembered = history(look())
    # Nothing was known of it yet.
    remembered.restarts.ours("edge")
    remembered.restarts.note_units({"edge": 1}, NOW)
    remembered.restarts.ours("edge")
    assert remembered.restarts.note_units({"edge": 2}, NOW + 30) == {}
    assert remembered.restarts.note_units({"edge": 3}, NOW + 60) == {"edge": 1}


@pytest.mark.parametrize("service", ["droplet", "postgres", "redis", "backend"])
def test_processors(service):
    key = f"resource.cpu/{service}"
    seen, remembered = burning(0.85, service)
    assert "85%" in found(seen, remembered)[key].summary
    assert found(*burning(0.78, service)) == {}
    # Who knows of it already hears that it is over only when it is clearly below.
    assert key in found(*burning(0.78, service), active={key})
    assert found(*burning(0.74, service), active={key}) == {}


def test_a_backup_may_take_what_it_is_given():
    seen, remembered = burning(0.99, "postgres")
    remembered.note(replace(seen, at=seen.at + 10, at_backups="backup.create"))
    assert found(seen, remembered) == {}


def test_the_largest_consumers_are_named():
    seen, remembered = burning(0.9, "droplet")
    assert found(seen, remembered)["resource.cpu/droplet"].cause == (
        "most of it: the host 1.80 CPUs, postgres 0.00 CPUs, redis 0.00 CPUs"
    )


def test_a_burst_is_no_load():
    remembered = History()
    for step in range(5):
        seen = look(at=NOW + 10 * step, groups={"droplet": Group(20.0 * step, 2.0, GIB, 4 * GIB)})
        remembered.note(seen)
    assert found(seen, remembered) == {}


def using(share):
    return look(groups={**look().groups, "redis": Group(0.0, 0.25, int(share * GIB), GIB)})


def test_memory():
    key = "resource.memory/redis"
    assert "81%" in found(using(0.815))[key].summary
    assert timing("resource.memory").after == 120
    assert found(using(0.79)) == {}
    assert key in found(using(0.79), active={key})
    assert found(using(0.74), active={key}) == {}


def filled(share, name="backups"):
    return look(disks={name: (int(share * GIB), GIB)})


def test_disks():
    key = "resource.disk/backups"
    told = found(filled(0.815))[key]
    assert (told.severity, told.service) == ("warning", "backups")
    assert "81% full" in told.summary
    assert "/var/backups/marketplace" in told.command
    assert found(filled(0.96))[key].severity == "critical"
    assert found(filled(0.795)) == {}
    assert key in found(filled(0.79), active={key})
    assert found(filled(0.74), active={key}) == {}
    assert "resource.disk/droplet" in found(filled(0.9, "droplet"))


def test_failures():
    told = found(*answering(40, 3))["edge.errors/backend"]
    assert "3 of 40" in told.summary
    assert told.severity == "warning"
    assert found(*answering(4, 4))["edge.errors/backend"].severity == "critical"
    assert found(*answering(100, 3)) == {}
    assert found(*answering(2, 2)) == {}


def test_failures_of_an_outage_are_no_news_of_their_own():
    seen, remembered = answering(40, 30)
    remembered.note(look(at=seen.at + 3, checks={"backend": silent(9)}))
    assert found(replace(seen, at=seen.at + 6), remembered) == {}
    assert found(replace(seen, at=seen.at + SPAN + 30), remembered) != {}


def answered(count, slow):
    remembered = history(look())
    for minute in range(5):
        remembered.slow_answers.note(NOW + 60 * minute, count // 5, slow // 5)
    return look(at=NOW + 250), remembered


def test_slow_answers():
    assert "6% of 500" in found(*answered(500, 30))["edge.slow/backend"].summary
    assert found(*answered(500, 25)) == {}
    # Too few to be a rule.
    few = history(look())
    few.slow_answers.note(NOW, 20, 4)
    assert found(look(at=NOW + 1), few) == {}
    _, remembered = answered(500, 30)
    remembered.slow_answers.note(NOW + 250 + SPAN, 10, 0)
    assert remembered.slow_answers.sums(NOW + 250 + SPAN) == (10, 0)
    # Nobody counts any more, or the clock was set back: it is over.
    assert remembered.slow_answers.sums(NOW + 250 + 2 * SPAN) == (0, 0)
    assert remembered.slow_answers.sums(NOW) == (0, 0)


def test_slow_queries():
    seen, remembered = answered(500, 0)
    remembered.slow_queries.note(NOW, 1000, 60.4)
    told = found(seen, remembered)["query.slow/postgres"]
    assert "about 6% of the bot's 1000 queries took longer than 0.5 s" in told.summary
    assert (told.severity, told.command) == ("warning", "salt-call deploy.logs service=postgres")
    # Fewer than one in twenty; too few to go by; while nothing is served anyway.
    remembered.slow_queries.note(NOW, 250, 1)
    assert found(seen, remembered) == {}
    _, few = answered(500, 0)
    few.slow_queries.note(NOW, 20, 4.9)
    assert found(seen, few) == {}
    few.slow_queries.note(NOW, 10, 5)
    assert "query.slow/postgres" in found(seen, few)
    few.note(look(closed=("operator",)))
    assert found(seen, few) == {}


def drift(*rows, trouble=(), looked=NOW):
    at = datetime.fromtimestamp(looked, UTC).isoformat(timespec="seconds")
    return {"looked": at, "differences": list(rows), "pending": [], "trouble": list(trouble)}


def difference(name, owned=True, follows=False, since=NOW - 60):
    at = datetime.fromtimestamp(since, UTC).isoformat(timespec="seconds")
    state = "Ensure it" if owned else "container"
    words = {"state": state, "name": name, "words": "was changed", "since": at}
    return words | {"owned": owned, "follows": follows}


def test_drift_is_told_until_a_look_or_an_apply_finds_none():
    told = found(look(drift=drift(difference("/etc/motd"), difference("x.service", follows=True))))
    assert told["drift/droplet"].summary.startswith("1 difference since")
    assert "/etc/motd was changed" in told["drift/droplet"].summary
    assert (told["drift/droplet"].command, told["drift/droplet"].since) == ("salt-call state.apply", NOW - 60)
    assert found(look(drift=drift())) == {}
    assert timing("drift").clear == 0


def test_drift_that_no_state_puts_right_says_where_to_look():
    told = found(look(drift=drift(difference("/etc/motd"), difference("eve", owned=False))))["drift/droplet"]
    assert "container eve" in told.summary
    assert told.command == "salt-call health.drift"


def test_a_look_for_drift_that_fails_or_was_missed_is_told():
    assert "can't be looked for" in found(look(drift=drift(trouble=["bad"])))["drift/droplet"].summary
    late = found(look(drift=drift(looked=NOW - 3 * 86400)))["drift/droplet"]
    assert late.summary == "nobody has looked for drift for 3 days"
    assert found(look(drift=drift(looked=NOW - LATE + 60))) == {}
    never = found(look(unlooked=NOW - LATE - 1))["drift/droplet"]
    assert (never.summary, never.command) == (
        "nobody has ever looked for drift",
        "journalctl -u marketplace-drift -n 50",
    )
    # A new droplet has time until its first look.
    assert found(look(unlooked=NOW - LATE + 60)) == {}
