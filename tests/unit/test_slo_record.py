"""The record on disk, and what becomes of the time in which nobody looked."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_paths import Paths
from marketplace_slo import tallied
from marketplace_slo_budget import LONGEST, PACES, allowed, burn, burnt
from marketplace_slo_files import KEPT_DAYS, Record
from marketplace_slo_gap import Gap, stops
from marketplace_slo_lines import DAY, Line, length
from marketplace_slo_probe import Probe
from marketplace_slo_recorder import STANDS_FOR, Recorder
from marketplace_slo_traces import gap, machine

NOON = 1_700_006_400 + DAY // 2
MINUTES = "minutes-2023-11-15.jsonl"


def minute(at, by="one-1", **counts):
    return Line(at, by, at + 60.0, (), counts or {"up": 60.0})


def test_the_downtime_of_late(tmp_path):
    record = Record(tmp_path)
    for at in (NOON - DAY, NOON - 60, NOON):
        record.append(Line(at, "one-1", at + 60.0, ((at + 10.0, at + 60.0),), {"up": 10.0}))
    record.append(minute(NOON + 60))
    assert record.down(NOON - 40) == ((NOON - 40, NOON), (NOON + 10, NOON + 60))
    assert len(record.down(NOON - DAY)) == 3


def silent(*_):
    raise AssertionError("nobody was away")


def test_what_was_written_is_there(tmp_path):
    record = Record(tmp_path / "slo")
    assert (record.lines(0), record.last(2 * NOON)) == ([], None)
    record.append(minute(NOON))
    record.append(minute(NOON + 60))
    record.append(minute(NOON + DAY))
    assert [line.at for line in record.lines(NOON)] == [NOON, NOON + 60, NOON + DAY]
    assert [line.at for line in record.lines(NOON + DAY)] == [NOON + DAY]
    assert record.last(2 * NOON) == minute(NOON + DAY)


def test_a_clock_that_was_once_ahead_hides_nothing(tmp_path):
    record = Record(tmp_path)
    record.append(minute(NOON))
    record.append(minute(NOON + 40 * DAY))
    assert record.last(NOON + DAY) == minute(NOON)
    record.append(minute(NOON + 60))
    record.append(minute(NOON + 4000))
    record.append(minute(NOON + 120))
    assert record.last(NOON + 200) == minute(NOON + 120)


@pytest.mark.parametrize("torn", ['{"at":17000', '{"at":1,"by":"x","to":2}', "\x00\x00\x00"])
def test_a_line_that_was_cut_off_spoils_no_other(tmp_path, torn):
    record = Record(tmp_path)
    record.append(minute(NOON))
    with (tmp_path / MINUTES).open("a") as file:
        file.write(torn)
    Record(tmp_path).append(minute(NOON + 60))
    assert [line for line in record.lines(NOON) if line.at >= NOON] == [minute(NOON), minute(NOON + 60)]


def test_old_days_become_a_line_each_and_the_oldest_go(tmp_path):
    record = Record(tmp_path)
    for day in range(4):
        record.append(minute(NOON + day * DAY))
        record.append(minute(NOON + day * DAY, by="two-2"))
    record.roll(NOON + 3 * DAY)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["days.jsonl", *(f"minutes-2023-11-{day}.jsonl" for day in (16, 17, 18))]
    assert record.lines(0)[0] == Line(NOON - DAY // 2, "", NOON + 60.0, (), {"up": 120.0})
    # Killed before the minutes were gone, and then once more.
    record.append(minute(NOON))
    assert record.lines(0)[0].counts == {"up": 120.0}
    record.roll(NOON + 3 * DAY)
    assert record.lines(0)[0].counts == {"up": 120.0}
    assert not (tmp_path / MINUTES).exists()
    record.roll(NOON + (KEPT_DAYS + 6) * DAY)
    assert record.lines(0) == []


def test_it_goes_on_where_the_watchdog_before_has_stopped(tmp_path):
    first = Recorder(Record(tmp_path), "abc", NOON)
    for step in range(7):
        first.probed(Probe(NOON + 10.0 * step, 200), False, silent)
    first.stop()
    second = Recorder(Record(tmp_path), "abc", NOON + 65)
    second.probed(Probe(NOON + 60 + STANDS_FOR, 0), False, silent)
    second.stop()
    lines = Record(tmp_path).lines(NOON)
    assert sum(line.counts.get("up", 0) for line in lines) == 60
    assert [tallied([line])["down"] for line in lines if line.down] == [STANDS_FOR]


def test_what_nobody_saw_is_asked_for(tmp_path):
    first = Recorder(Record(tmp_path), "abc", NOON)
    first.probed(Probe(float(NOON), 200), False, silent)
    first.stop()
    asked = []

    def traces(since, until, same):
        asked.append((since, until, same))
        return Gap(since, until, NOON + 100.0, alive=NOON + 50.0)

    other = Recorder(Record(tmp_path), "def", NOON + 2.2 * DAY)
    other.probed(Probe(NOON + 2.2 * DAY, 200), False, traces)
    # Nobody is asked twice.
    other.probed(Probe(NOON + 2.2 * DAY + 10, 200), False, silent)
    other.stop()
    assert asked == [(NOON, NOON + 2.2 * DAY, False)]
    lines = Record(tmp_path).lines(NOON)
    assert sum(tallied([line])["down"] for line in lines) == pytest.approx(2.2 * DAY - 50)
    # Each day has its own part.
    assert sorted(line.at // DAY - NOON // DAY for line in lines if line.down) == [0, 1, 2]


def test_a_record_that_can_not_be_read_keeps_nobody_from_watching(tmp_path, capsys):
    (tmp_path / MINUTES).mkdir()
    recorder = Recorder(Record(tmp_path), "abc", NOON)
    recorder.probed(Probe(NOON + DAY, 200), False, silent)
    recorder.probed(Probe(NOON + DAY + 10.0, 200), False, silent)
    recorder.stop()
    assert "can't be read: [Errno 21] Is a directory" in capsys.readouterr().out
    assert (tmp_path / "minutes-2023-11-16.jsonl").exists()


def test_a_clock_that_is_put_back_does_no_harm(tmp_path):
    recorder = Recorder(Record(tmp_path), "abc", NOON)
    for at in (NOON, NOON + 10, NOON - 3600, NOON - 3590):
        recorder.probed(Probe(float(at), 200), False, silent)
    recorder.stop()
    assert sum(line.counts["up"] for line in Record(tmp_path).lines(NOON) if "up" in line.counts) == 20


@pytest.mark.parametrize(
    ("known", "down"),
    [
        # Only the watchdog was away: nobody knows.
        ({"booted": 0.0}, ()),
        ({"booted": 0.0, "closed": ((120.0, 150.0),)}, ((120.0, 150.0),)),
        # The droplet was: from its last sign of life until somebody looked again.
        ({"booted": 300.0, "alive": 130.0}, ((130.0, 400.0),)),
        ({"booted": 300.0}, ((100.0, 400.0),)),
        ({"booted": 300.0, "alive": 20.0}, ((100.0, 400.0),)),
    ],
)
def test_what_is_counted_as_down(known, down):
    assert Gap(since=100.0, until=400.0, **known).down() == down


def test_when_a_unit_did_not_run():
    events = [(1.0, True), (10.0, False), (11.0, False), (15.0, True), (30.0, False)]
    assert stops(events, 40.0) == ((10.0, 15.0), (30.0, 40.0))
    assert stops([], 40.0) == ()


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """A droplet that was started at 1000, whose journal says what a test wants it to."""
    paths = Paths(tmp_path / "root")
    (paths.root / "proc/1").mkdir(parents=True)
    ticks = os.sysconf("SC_CLK_TCK")
    fields = " ".join(["S", *["0"] * 18, str(100 * ticks)])
    (paths.root / "proc/1/stat").write_text(f"1 (a (b) c) {fields} 0\n")
    (paths.root / "proc/stat").write_text("cpu 1 2\nbtime 900\n")
    (paths.root / "etc").mkdir()
    (paths.root / "etc/machine-id").write_text("0123456789abcdef\n")
    os.utime(paths.root / "etc/machine-id", (990, 990))
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return paths


def journal(paths, *rows, code=0):
    program = paths.root.parent / "bin/journalctl"
    (paths.root.parent / "rows").write_text("".join(f"{row}\n" for row in rows))
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {program}.asked\ncat {paths.root.parent}/rows\nexit {code}\n'
    )
    program.chmod(0o755)


def said(at, message="b07a249cd024414a82dd00cd181378ff"):
    return f'{{"__REALTIME_TIMESTAMP": "{int(at * 1e6)}", "MESSAGE_ID": "{message}"}}'


def test_a_boot_is_looked_up_in_the_journal(paths):
    journal(paths, said(512.5))
    assert gap(paths, 500.0, 1100.0, True) == Gap(500.0, 1100.0, 1000.0, alive=512.5)
    asked = (paths.root.parent / "bin/journalctl.asked").read_text()
    assert "--until=@999.000 --lines=1" in asked
    journal(paths)
    assert gap(paths, 500.0, 1100.0, True).alive is None
    assert machine(paths.root) == "01234567"


def test_an_edge_that_was_stopped_is_looked_up_in_the_journal(paths):
    journal(
        paths,
        said(1210, "7d4958e842da4a758f6c1cdc7b36dcc5"),
        said(1220, "9d1aaa27d60140bd96365438aad20286"),
        said(1230, "39f53479d3a045ac8e11786248231fbf"),
    )
    assert gap(paths, 1200.0, 1300.0, True).down() == ((1220.0, 1230.0),)


def test_a_journal_that_can_not_be_read_makes_it_no_better_than_it_was(paths, capsys):
    journal(paths, code=1)
    assert gap(paths, 500.0, 1100.0, True).down() == ((500.0, 1100.0),)
    assert gap(paths, 1050.0, 1100.0, True).down() == ()
    assert "nothing tells what was between" in capsys.readouterr().out


def test_a_lost_droplet_lived_as_long_as_it_sent_its_log(paths):
    wals = paths.backups / "barman/postgres/wals/0000000100000000"
    wals.mkdir(parents=True)
    for number, at in enumerate((600, 700, 1050)):
        file = wals / f"00000001000000000000000{number}"
        file.touch()
        os.utime(file, (at, at))
    # What is of this machine's own time says nothing of the other one.
    assert gap(paths, 500.0, 1100.0, False).down() == ((700.0, 1100.0),)


def test_a_budget():
    assert allowed(99.5) == pytest.approx(3.6 * 3600)
    # All of an hour is 200 times what 99.5% allow.
    assert burn([(0.0, 3600.0)], 3600.0, 3600, 99.5) == pytest.approx(200)
    assert burn([], 3600.0, 3600, 99.5) == 0


@pytest.mark.parametrize("pace", PACES)
def test_a_pace_is_too_fast_over_both_windows_only(pace):
    now, goal = 1e6, 99.5
    enough = pace.rate * pace.long * 0.005 + 1
    recent = ((now - enough, now),)
    told = list(burnt(recent, now, goal))
    assert [finding.name for finding in told] == ["slo.budget"]
    # Once the short window is well again, it is over; and so it is where it was never as bad.
    assert list(burnt(recent, now + pace.short, goal)) == []
    slight = ((now - 0.9 * PACES[0].rate * PACES[0].long * 0.005, now),)
    assert list(burnt(slight, now, goal)) == [] or length(slight) >= PACES[1].rate * LONGEST * 0.005


@given(st.floats(0, 21600), st.floats(0, 21600))
def test_more_downtime_never_burns_less(first, second):
    less, more = sorted((first, second))
    now = 1e6
    assert burn([(now - less, now)], now, 3600, 99.5) <= burn([(now - more, now)], now, 3600, 99.5)
