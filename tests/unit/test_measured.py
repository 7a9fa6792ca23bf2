"""Documents of measurements, and the tables of the bench."""

from __future__ import annotations

from bench import report
from bench.footprint import Footprint
from bench.ours import Release, Rollback
from bench.side_by_side import Shipping
from tests.support import measured
from tests.support.rounds import turns


def release(recorded: float, **steps: float) -> Release:
    return Release(caller=recorded, recorded=recorded - 1.0, steps=steps)


STEPS = {"preflight": 0.2, "pull": 0.5, "schema": 1.0, "start": 1.0, "wait": 4.0, "switch": 0.1, "drain": 1.0}


def test_table_escapes_what_would_break_it() -> None:
    assert measured.table(("a", "b"), [(1, "x|y\nz")]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y z |"


def test_document_says_when_of_what_and_where() -> None:
    text = measured.document("Title", "make bench", 90, ["## Part"])
    for words in ("# Title\n", "`make bench`", "| date | 20", "| commit | ", "| machine | ", "\n\n## Part\n"):
        assert words in text


def test_overhead_leaves_out_what_is_not_the_engines() -> None:
    item = release(9.0, **STEPS)
    assert round(item.overhead, 3) == 1.5
    assert item.asking == 1.0
    assert item.start == 5.0
    text = report.overhead([item, release(9.3, **STEPS), release(100.0, **STEPS)])
    assert "**Engine overhead: 1.80 s** (goal: at most 2 s, met)" in text
    assert "with that it is 2.80 s" in text
    assert "| pull | 0.50 |  |" in text
    assert "| schema | 1.00 |  |" in text
    assert "outside of the steps | 1.50 | yes |" in text


def test_rollbacks_are_judged_by_the_application_s_start() -> None:
    text = report.rollbacks([Rollback(2.9, 0)], [Rollback(8.0, 5.9)])
    assert "| warm: while the new version soaks | 2.90 | 0 | 3 s | met |" in text
    assert "| cold: the old colour was stopped | 8.00 | 5.90 | start + 2 s | NOT met |" in text


def test_ways_stand_side_by_side() -> None:
    text = report.side_by_side(
        {
            "deploy.release": [Shipping(30.0, 20.0, 100, 0, 50.0, 90.0)] * 3,
            "scale up, scale down": [Shipping(8.0, 0.0, 100, 2, 500.0, 90.0)] * 3,
        }
    )
    assert "| `deploy.release` | 300 | 0 | 0 | 50 | 90 | 30.00 | 20.00 | 1.00 |" in text
    assert "| scale up, scale down | 300 | 6 | 2 | 500 | 90 | 8.00 | 0.00 | 0.80 |" in text


def test_ledger_is_judged_by_the_whole_release() -> None:
    text = report.ledger([release(10.0, **STEPS)], [release(11.5, **STEPS)], (10, 1000))
    assert "Difference: +15.0% (goal: within 10%, NOT met)" in text


def test_rounds_have_two_releases_to_a_rollback() -> None:
    assert list(turns(3, 2)) == ["release", "release", "rollback", "release", "rollback"]
    assert list(turns(20, 10)).count("rollback") == 10
    assert len(list(turns(20, 10))) == 30


def test_memory_is_all_but_containers_and_docker() -> None:
    memory = {
        "docker.service": 90.0,
        "haproxy.service": 30.0,
        "marketplace-watch.service": 25.5,
        "cron.service": 0.4,
    }
    found = Footprint([150.0, 190.0, 160.0], memory, {100: 1.0, 400: 2.5})
    text = report.footprint(found)
    assert "median **160 s** of 3 (goal: at most 180 s, met)" in text
    assert "**56 MB** (goal: at most 150 MB, met)" in text
    assert "| docker.service | 90 | Docker's own |" in text
    assert "cron" not in text
    assert "5.0 ms for each more" in text
