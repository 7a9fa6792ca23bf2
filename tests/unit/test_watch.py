"""The watchdog as a whole, over a droplet that is made up: what it keeps, whom it restarts, what it shows."""

import json
import time
from types import SimpleNamespace

import pytest
from marketplace_container import DockerError
from marketplace_durable import Disk
from marketplace_paths import Paths
from marketplace_slo import tallied
from marketplace_slo_files import Record
from marketplace_slo_lines import added
from marketplace_slo_probe import Probe
from marketplace_spool import Spool
from marketplace_survey import PARTS, survey
from marketplace_surveyor import EVERY, Surveyor
from marketplace_watch import BOOT_SECONDS, Watch
from marketplace_watch_heal import MOST
from marketplace_watch_look import is_up
from marketplace_watched import LATE, watched

from tests.support.looks import GIB, LIMITS, NOW, container, look, silent

SETTINGS = {
    "environment": "production",
    "monitoring": {"thresholds": LIMITS, "uptime": 99.5},
    "alerts": {"telegram": {"chat": ""}, "email": {"to": ""}, "webhook": False, "dead_man": False},
}


class Eyes:
    """What the watchdog sees, as a test says; and what it does to containers."""

    def __init__(self):
        self.next, self.restarted, self.broken = look(), [], False
        self.docker = SimpleNamespace(restart=self._restart)

    def seen(self, _):
        return self.next

    def _restart(self, name, grace):
        if self.broken:
            raise DockerError("no such mount")
        self.restarted.append((name, grace))


class Asleep:
    """A surveyor that never has anything to say."""

    def __init__(self):
        self.found, self.errors, self.finished = {}, {}, time.monotonic()

    def turn(self):
        return []

    def stop(self):
        pass


class Probes:
    """A prober that brings what a test says."""

    def __init__(self):
        self.next = None

    def turn(self, _, now):
        found, self.next = self.next, None
        return found

    def stop(self):
        pass


@pytest.fixture
def paths(tmp_path):
    made = Paths(tmp_path)
    made.watched.parent.mkdir(parents=True)
    made.watched.write_text("{}")  # it is not just booting
    return made


def watching(paths):
    watch = Watch(paths)
    watch.look, watch.surveyor, watch.prober = Eyes(), Asleep(), Probes()
    return watch


def hung(at=NOW):
    state = container("redis", ailing=True)
    return look(at=at, checks={"redis": silent(12)}, with_containers={"redis": state})


def test_what_hangs_is_restarted_and_told(paths):
    watch = watching(paths)
    watch.look.next = hung()
    watch.turn(SETTINGS)
    assert watch.look.restarted == [("redis", 1)]
    event = Spool(paths.spool).pending()[0]
    assert (event.kind, event.severity) == ("watch.restarted", "warning")
    assert event.summary == "redis is alive and has given no answer for 12 s: it was restarted"
    assert [row["name"] for row in watched(paths.watched, NOW)["alerts"]] == ["service.down"]


def test_who_was_just_restarted_is_given_time(paths):
    watch = watching(paths)
    for seconds in (0, 3, 19):
        watch.look.next = hung(NOW + seconds)
        watch.turn(SETTINGS)
    assert len(watch.look.restarted) == 1


def test_a_disk_that_is_full_keeps_nobody_from_being_restarted(paths, monkeypatch):
    watch = watching(paths)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(watch.spool, "emit", full)
    watch.look.next = hung()
    watch.turn(SETTINGS)
    assert watch.look.restarted == [("redis", 1)]
    assert "service.down/redis" in watch.quick.active


def test_an_edge_that_hangs_is_restarted_and_did_not_end_by_itself(paths, monkeypatch):
    watch, killed = watching(paths), []
    monkeypatch.setattr("subprocess.run", lambda command, **_: killed.append(command))

    def surveyed(at, times, **changes):
        watch.surveyor.found["restarts"] = {"edge": times}
        watch.surveyor.turn = lambda: ["restarts"]
        watch.look.next = look(at=at, **changes)
        watch.turn(SETTINGS)

    probed(watch, NOW - 3)
    surveyed(NOW, 0)
    # This survey has looked before.
    surveyed(NOW + 9, 0, statistics=None, silent=9.0)
    surveyed(NOW + 40, 1)
    assert killed == [["systemctl", "kill", "--signal=KILL", "haproxy.service"]]
    assert Spool(paths.spool).pending()[0].summary.endswith("for 9 s: it was restarted")
    assert "service.restarted/edge" not in watch.quick.active
    surveyed(NOW + 70, 2)
    surveyed(NOW + 73, 2)
    assert "service.restarted/edge" in watch.quick.active
    watch.recorder.stop()
    assert added(line.counts for line in lines(paths))["restarts.edge"] == 2


def test_an_edge_that_is_stopped_is_told_and_left(paths):
    watch = watching(paths)
    for step in range(10):
        silent_for = 3.0 * step
        watch.look.next = look(at=NOW + silent_for, statistics=None, silent=silent_for, edge_up=False)
        watch.turn(SETTINGS)
    assert Spool(paths.spool).pending() == []
    assert list(watch.quick.active) == ["service.down/edge"]


@pytest.mark.parametrize(
    ("state", "up"),
    [
        ("active", True),
        ("reloading", True),
        ("activating", False),
        ("inactive", False),
        ("failed", False),
        (None, True),
    ],
)
def test_whether_a_unit_should_answer(tmp_path, monkeypatch, state, up):
    program = tmp_path / "systemctl"
    program.write_text(f"#!/bin/sh\necho {state}\n" if state else "#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert is_up("haproxy.service") is up


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


def test_what_can_not_be_restarted_is_told_too(paths):
    watch = watching(paths)
    watch.look.next, watch.look.broken = hung(), True
    watch.turn(SETTINGS)
    assert "could not be restarted (no such mount)" in Spool(paths.spool).pending()[0].summary


def test_who_was_restarted_too_often_is_left_also_by_another_process(paths):
    for number in range(MOST + 1):
        watch = watching(paths)
        watch.look.next = hung(NOW + 60 * number)
        watch.turn(SETTINGS)
        assert len(watch.look.restarted) == (number < MOST)
    assert "service.given_up/redis" in watch.quick.active


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


def until(surveyor, condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        surveyor.turn()
        time.sleep(0.02)


def test_a_survey_is_made_by_a_process_of_its_own(tmp_path):
    program = tmp_path / "survey.py"
    program.write_text(
        "import json, sys\n"
        "print(json.dumps({'found': {'units': sys.argv[1:]}, 'errors': {'clock': 'no chrony'}}))\n"
    )
    surveyor = Surveyor(program)
    until(surveyor, lambda: surveyor.found)
    assert surveyor.found["units"] == list(EVERY)
    assert surveyor.errors == {"clock": "no chrony"}
    # Nothing is due again at once.
    assert surveyor.turn() == []
    assert surveyor.turn() == []


def test_a_survey_that_breaks_is_said_for_every_part(tmp_path):
    program = tmp_path / "survey.py"
    program.write_text("raise SystemExit(3)\n")
    surveyor = Surveyor(program)
    until(surveyor, lambda: surveyor.errors)
    assert surveyor.errors == dict.fromkeys(EVERY, "it ended with exit code 3")


def test_a_survey_that_can_not_be_begun_ends_no_look(tmp_path, monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    surveyor = Surveyor(tmp_path / "survey.py")
    assert (surveyor.turn(), surveyor.turn()) == ([], [])
    assert "No space left" in surveyor.errors["units"]


def test_a_survey_that_hangs_is_ended(tmp_path, monkeypatch):
    program = tmp_path / "survey.py"
    program.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr("marketplace_surveyor.LONGEST", 0.2)
    surveyor = Surveyor(program)
    until(surveyor, lambda: surveyor.errors)
    assert "took longer" in surveyor.errors["units"]


@pytest.mark.parametrize(
    ("strength", "unwell"),
    [
        ("full", ["b.service", "prometheus-node-exporter.service"]),
        # Nobody misses what nobody wants.
        ("minimal", ["b.service"]),
    ],
)
def test_units_that_failed_or_that_systemd_starts_again_and_again(monkeypatch, tmp_path, strength, unwell):
    for name in ("prometheus", "prometheus-node-exporter"):
        (tmp_path / f"{name}.service").touch()

    def systemctl(*command):
        patterns = [word for word in command if word.endswith(".service")]
        listed = {"b.service": "failed", "prometheus-node-exporter.service": "activating"}
        listed |= dict.fromkeys(set(patterns) - listed.keys(), "active")
        state = next(
            word.rpartition("=")[2].replace("--", "") for word in command if word[:3] in ("--f", "--s")
        )
        return "".join(f"{name} loaded {shown} -\n" for name, shown in listed.items() if shown == state)

    monkeypatch.setattr("marketplace_survey._run", systemctl)
    # The other exporters' packages are still to come.
    monkeypatch.setattr("marketplace_survey._PACKAGED", tmp_path)
    assert PARTS["units"](None, {"monitoring": {"strength": strength}}) == unwell


def test_how_often_systemd_has_restarted_whom(monkeypatch):
    monkeypatch.setattr("marketplace_survey._run", lambda *_: "2\n\n0\n\n0\n\n1\n")
    assert PARTS["restarts"](None, {}) == {"edge": 2, "docker": 0, "containerd": 0, "alertmanager": 1}


def test_one_part_that_fails_keeps_nobody_from_the_others(monkeypatch):
    def fails(*_):
        raise FileNotFoundError("chronyc")

    monkeypatch.setitem(PARTS, "clock", fails)
    monkeypatch.setitem(PARTS, "units", lambda *_: [])
    assert survey(None, {}, ["clock", "units"]) == {
        "found": {"units": []},
        "errors": {"clock": "FileNotFoundError: chronyc"},
    }
    assert PARTS.keys() == EVERY.keys()


def lines(paths):
    return Record(paths.slo).lines(NOW - 86400)


def probed(watch, at, status=200, **changes):
    """A look at which a probe that was begun then has ended."""
    watch.look.next, watch.prober.next = look(at=at, **changes), Probe(at, status)
    watch.turn(SETTINGS)


def test_minutes_are_written_when_they_are_over(paths):
    watch = watching(paths)
    begun = NOW // 60 * 60
    for step in range(14):
        probed(watch, begun + 10 * step, status=503 if step in (3, 4) else 200)
    assert [line.at for line in lines(paths)] == [begun, begun + 60]
    first = lines(paths)[0]
    assert first.down == ((begun + 20, begun + 40),)
    assert first.counts == {"up": 40, "probes": 6, "probes.good": 4}
    watch.recorder.stop()
    assert len(lines(paths)) == 3


def test_no_second_is_lost_or_counted_twice(paths):
    watch = watching(paths)
    for step in range(200):
        probed(watch, NOW + 11.3 * step, status=503 if step % 7 == 3 else 200)
        watch.look.next = look(at=NOW + 11.3 * step + 3)
        watch.turn(SETTINGS)
    watch.recorder.stop()
    whole = tallied(lines(paths))
    assert whole["up"] + whole["down"] == pytest.approx(11.3 * 199)
    assert whole["down"] == pytest.approx(11.3 * 29)
    written = [json.loads(row)["at"] for file in paths.slo.iterdir() for row in file.read_text().splitlines()]
    assert len(written) == len(set(written))


def test_a_bot_that_was_never_there_is_not_missed(paths):
    watch = watching(paths)
    for step in range(30):
        probed(watch, NOW + 10 * step, 503)
    assert "slo.budget/edge" not in watch.quick.active
    probed(watch, NOW + 300)
    probed(watch, NOW + 310, 503)
    watch.recorder.stop()
    assert tallied(lines(paths))["down"] == 10


@pytest.mark.parametrize(
    ("changes", "status", "planned"),
    [
        ({"closed": ("operator",)}, 503, 10),
        ({"closed": ("release",)}, 503, 10),
        # Nothing at all is no maintenance, and a restore in the database's place is none that was planned.
        ({"closed": ("operator",)}, 0, 0),
        ({"closed": ("operator",), "at_backups": "backup.restore to=live"}, 503, 0),
        ({}, 503, 0),
    ],
)
def test_what_was_closed_on_purpose_is_told_apart(paths, changes, status, planned):
    watch = watching(paths)
    probed(watch, NOW)
    probed(watch, NOW + 10, status, **changes)
    watch.recorder.stop()
    whole = tallied(lines(paths))
    assert (whole.get("planned", 0), whole["down"]) == (planned, 10 - planned)


def test_a_rebuild_was_not_planned(paths):
    paths.rebuild.parent.mkdir(parents=True)
    paths.rebuild.write_text("{}")
    watch = watching(paths)
    probed(watch, NOW)
    probed(watch, NOW + 10, 503, closed=("operator",))
    watch.recorder.stop()
    assert tallied(lines(paths))["down"] == 10


def test_a_budget_that_is_used_up_fast_is_told(paths):
    watch = watching(paths)
    probed(watch, NOW - 10)
    for step in range(30):
        probed(watch, NOW + 10 * step, 503)
    told = watch.quick.active["slo.budget/edge"].finding
    assert "5 of the last 60 minutes: 30 days allow 216 (99.5% uptime)" in told.summary
    assert (told.severity, told.command) == ("warning", "salt-call health.slo")
    for step in range(31):
        probed(watch, NOW + 300 + 10 * step)
    assert "slo.budget/edge" not in watch.quick.active


def test_what_a_survey_and_the_restarts_say_is_counted(paths):
    watch = watching(paths)
    watch.surveyor.found = {
        "answers": {"count": 3, "slow": 1, "kinds": {"2xx": 2, "none": 1}, "milliseconds": {"9": 2}},
        "queries": None,
    }
    watch.surveyor.turn = lambda: ["answers", "queries"]
    watch.prober.next = Probe(NOW, 200)
    watch.look.next = look(with_containers={"redis": container("redis", restarts=2)})
    watch.turn(SETTINGS)
    watch.look.next = look(at=NOW + 3, with_containers={"redis": container("redis", restarts=3)})
    watch.turn(SETTINGS)
    watch.look.next = look(at=NOW + 6, with_containers={"redis": container("redis", restarts=3)})
    watch.turn(SETTINGS)
    watch.recorder.stop()
    counts = added(line.counts for line in lines(paths))
    assert counts == {
        "probes": 1, "probes.good": 1,
        "answers": 9, "answers.slow": 3, "answers.2xx": 6, "answers.none": 3, "answers~9": 6,
        "queries.unread": 3, "restarts.redis": 1,
    }  # fmt: skip
    assert watch.history.slow_answers.sums(NOW + 6) == (9, 3)


def test_a_disk_that_is_full_costs_no_minute(paths, monkeypatch, capsys):
    watch = watching(paths)
    real = Record.append

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Record, "append", full)
    for step in range(20):
        probed(watch, NOW + 10 * step)
    assert capsys.readouterr().out.count("can't be written down") == 1
    monkeypatch.setattr(Record, "append", real)
    probed(watch, NOW + 200)
    watch.recorder.stop()
    assert tallied(lines(paths))["up"] == 200
