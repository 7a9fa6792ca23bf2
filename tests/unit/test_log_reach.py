"""Journals: their shares, and whether one is full before its time."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from marketplace_log_metrics import exposition, publish
from marketplace_log_places import HOST_SHARE, KEEP_FREE, SHARES, docker_arguments, journal, share
from marketplace_log_reach import Journal, journals, short, tell
from marketplace_paths import Paths

NOW = 1_700_000_000.0
DAY = 86400
MIB = 1 << 20


def test_the_shares_are_the_whole():
    assert sum(SHARES.values()) + HOST_SHARE == 100
    assert HOST_SHARE >= 10


def test_whole_files_go_so_one_holds_a_day_and_goes_a_day_later():
    entries = journal(4 << 30, 14, "redis")
    assert (entries["MaxFileSec"], entries["MaxRetentionSec"]) == ("1day", "15day")
    most, file = (int(entries[f"System{name}"].removesuffix("K")) for name in ("MaxUse", "MaxFileSize"))
    assert most == share(4 << 30, "redis") // 1024
    assert file == most // 16


def test_the_smallest_share_still_makes_files_that_journald_takes():
    assert int(journal(512 * MIB, 7, "redis")["SystemMaxFileSize"].removesuffix("K")) >= 512


def test_one_off_containers_log_where_their_service_does():
    assert docker_arguments("backend", "migration/r1")[:2] == [
        "--log-driver=syslog",
        "--log-opt=syslog-address=unixgram:///run/systemd/journal.backend/dev-log",
    ]


def kept(**values):
    given = {"name": "backend", "used": 100 * MIB, "most": 100 * MIB, "first": NOW - 3 * DAY}
    return Journal(**given | values)


@pytest.mark.parametrize(
    ("values", "free", "words"),
    [
        (
            {},
            9 << 30,
            "the log of backend reaches back 3.0 days, not 14: its share of logs.size (100M) is full",
        ),
        ({"name": "host"}, 9 << 30, "the log of the host reaches back"),
        ({"used": 90 * MIB}, 9 << 30, None),
        ({"used": 90 * MIB}, KEEP_FREE, "only 2G of the disk are free"),
        ({"first": NOW - 15 * DAY}, 9 << 30, None),
        ({"first": None}, 0, None),
    ],
)
def test_a_journal_that_is_full_before_its_time(values, free, words):
    found = short([kept(**values)], 14, free, NOW)
    assert len(found) == (words is not None)
    assert words is None or words in found[0].words


def test_journals_are_seen_by_their_files(tmp_path):
    place = tmp_path / "var/log/journal"
    stamp = f"{round((NOW - DAY) * 1e6):016x}"
    for name, size in (
        (f"machine/system@{'a' * 32}-{1:016x}-{stamp}.journal", 8192),
        ("machine.redis/system.journal", 4096),
        (f"machine.redis/system@{stamp}-{1:016x}.journal~", 4096),
    ):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(b"x" * size)
    found = {one.name: one for one in journals(tmp_path, 1000 * MIB)}
    assert set(found) == {"host", *SHARES}
    assert found["host"] == Journal("host", 8192, 150 * MIB, NOW - DAY)
    assert found["redis"] == Journal("redis", 8192, 30 * MIB, None)
    assert found["edge"].used == 0


def test_operators_are_told_of_each_once_a_day_and_worse_below_a_week():
    told = []
    clock = SimpleNamespace(now=lambda: datetime(2026, 11, 24, tzinfo=UTC))
    world = SimpleNamespace(clock=clock, spool=SimpleNamespace(emit=lambda *event: told.append(event)))
    tell(world, short([kept(), kept(name="edge", first=NOW - 9 * DAY)], 14, 9 << 30, NOW))
    assert [(event[0], event[1], event[4]) for event in told] == [
        ("logs.short", "critical", "20261124-backend"),
        ("logs.short", "warning", "20261124-edge"),
    ]


def test_prometheus_gets_to_know_of_logs_that_have_a_file_that_is_over():
    found = [kept(name="backend"), kept(name="redis", first=None)]
    assert exposition(found, NOW).splitlines()[2:] == ['marketplace_log_days{log="backend"} 3.00']


@pytest.mark.parametrize("strength", ["minimal", "full"])
def test_figures_are_left_where_somebody_reads_them(tmp_path, strength):
    place = tmp_path / "var/lib/prometheus/node-exporter"
    clock = SimpleNamespace(now=lambda: datetime.fromtimestamp(NOW, UTC))
    world = SimpleNamespace(paths=Paths(tmp_path), clock=clock)
    settings = {"monitoring": {"strength": strength}, "logs": {"size": 1 << 30}}
    publish(world, settings)
    assert not place.exists()
    place.mkdir(parents=True)
    publish(world, settings)
    assert [file.name for file in place.iterdir()] == (["logs.prom"] if strength == "full" else [])
