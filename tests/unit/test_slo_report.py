"""What health.slo tells of the record, and how it looks."""

import dataclasses
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_ledger import Ledger, LedgerError
from marketplace_paths import Paths
from marketplace_records import ReleaseRecord
from marketplace_release_table import table as release_table
from marketplace_slo import slo, words
from marketplace_slo_budget import query_seconds
from marketplace_slo_files import Record
from marketplace_slo_lines import DAY, Line
from marketplace_slo_table import table
from marketplace_sparkline import sparkline
from marketplace_terminal import Style, columns, picture

from tests.unit.test_terminal import Terminal

SETTINGS = {"monitoring": {"uptime": 99.5}}
NOW = 1_700_049_600.0  # 2023-11-15 12:00
TODAY = int(NOW) - DAY // 2
PLAIN = Style(colour=False, unicode=False)
RELEASE = ReleaseRecord(
    release="20231115T080000Z", version="1.4.0", image="app@sha256:1", previous=None, outcome="live", reason="",
    colour="blue", schema={}, by="alice", tree="", started="2023-11-15T08:00:00+00:00", seconds=41.0,
    settings_digest="", cutover={"milliseconds": 12, "requests": 5, "failed": 0, "slowest_ms": 9},
)  # fmt: skip


@pytest.fixture
def world(tmp_path):
    paths = Paths(tmp_path)
    return SimpleNamespace(paths=paths, ledger=Ledger(paths.ledger))


def written(world, *lines):
    record = Record(world.paths.slo)
    for line in lines:
        record.append(line)


def test_a_droplet_that_nobody_has_watched(world):
    found = slo(world, SETTINGS, 30, NOW)
    assert found["uptime"]["percent"] is None
    assert found["longest_outage"] is None
    assert found["budget"] == {"minutes": 216, "used": 0, "left": 216}
    assert set(found["series"]["uptime_percent"]) == {None}
    assert len(found["series"]["begins"]) == 30
    assert "nobody has looked yet" in words(world, SETTINGS, NOW)


def test_settings_of_an_older_tree_are_as_good(world):
    assert slo(world, {"monitoring": {}}, 1, NOW)["uptime"]["goal"] == 99.5
    assert query_seconds({}) == 0.5


def test_the_figures(world):
    counts = {
        "up": 3000.0, "planned": 120.0, "probes": 330.0, "probes.good": 300.0, "answers": 1000.0,
        "answers.2xx": 990.0, "answers.5xx": 7.0, "answers.none": 3.0, "answers.slow": 20.0, "answers~8": 950.0,
        "answers~20": 50.0, "queries": 10.0, "queries.slow": 1.0, "queries~2": 10.0, "restarts.redis": 2.0,
    }  # fmt: skip
    at = int(NOW) - 3600
    written(
        world,
        Line(at, "a-1", at + 60.0, ((at, at + 60.0),), counts),
        Line(at + 60, "a-1", NOW, ((at + 60.0, at + 180.0), (at + 200.0, at + 230.0))),
    )
    world.ledger.append(RELEASE)
    back = dataclasses.replace(RELEASE, release="20231115T090000Z", kind="rollback", outcome="failed")
    world.ledger.append(dataclasses.replace(back, started="2023-11-15T09:00:00+00:00"))
    found = slo(world, SETTINGS, 1, NOW)
    assert found["uptime"] == {
        "percent": 90.09, "goal": 99.5, "down_minutes": 3.5, "planned_minutes": 2, "unknown_minutes": 4.5,
        "recorded_since": "2023-11-15T11:00:00+00:00", "probes": 330, "probes_failed": 30,
    }  # fmt: skip
    assert found["budget"] == {"minutes": 7.2, "used": 5.5, "left": 1.7}
    assert found["longest_outage"] == {"began": "2023-11-15T11:00:00+00:00", "minutes": 3}
    assert found["burn"] == {"1h": 11.67, "6h": 1.94}
    assert (found["answers"]["lost"], found["answers"]["slow_percent"]) == (10, 2)
    assert found["answers"]["by_status"] == {"2xx": 990, "5xx": 7, "none": 3}
    assert 11 < found["answers"]["p50_ms"] < 16 < found["answers"]["p99_ms"] <= 1024
    assert (found["queries"]["unknown"], found["queries"]["slow_percent"]) == (None, 10)
    assert (found["releases"], found["rollbacks"]) == ({"live": 1}, {"failed": 1})
    assert found["restarts"] == {"redis": 2}
    series = found["series"]
    assert (series["step"], len(series["begins"])) == ("hour", 13)
    assert series["releases"][8:10] == [1, 1]
    assert series["down_minutes"][11:] == [3.5, None]
    assert words(world, SETTINGS, NOW).startswith("90.09% uptime in 30 days (goal 99.5%), 5.5 of 216 minutes")


def test_an_outage_over_midnight_is_one_and_each_hour_has_its_part(world):
    begin = TODAY - 5400.0
    written(
        world,
        Line(TODAY - 5400, "a-1", TODAY, ((begin, float(TODAY)),)),
        Line(TODAY, "a-1", TODAY + 60.0, ((float(TODAY), TODAY + 60.0),)),
    )
    found = slo(world, SETTINGS, 2, NOW)
    assert found["longest_outage"]["minutes"] == 91
    assert [minutes for minutes in found["series"]["down_minutes"] if minutes] == [30, 60, 1]


def test_queries_that_can_not_be_read_are_unknown(world):
    written(world, Line(TODAY, "a-1", TODAY + 60.0, (), {"up": 60.0, "queries.unread": 1.0}))
    assert "pg_stat_statements" in slo(world, SETTINGS, 1, NOW)["queries"]["unknown"]


def test_queries_at_a_provider_are_its_own_to_tell(world):
    written(world, Line(TODAY, "a-1", TODAY + 60.0, (), {"up": 60.0, "queries.unread": 1.0}))
    managed = SETTINGS | {"postgres": {"managed": {"host": "db.example.com"}}}
    assert slo(world, managed, 1, NOW)["queries"]["unknown"] == (
        "PostgreSQL is at a provider, which has the figures"
    )
    # From before the database moved there.
    written(world, Line(TODAY + 60, "a-1", TODAY + 120.0, (), {"up": 60.0, "queries": 5.0}))
    assert slo(world, managed, 1, NOW)["queries"]["unknown"] is None


def test_nothing_less_than_all_is_all(world):
    written(world, Line(TODAY, "a-1", NOW, ((TODAY + 1.0, TODAY + 1.1),), {"up": 1e6}))
    assert slo(world, SETTINGS, 1, NOW)["uptime"]["percent"] == 99.999


def test_a_release_without_a_time_is_said(world):
    world.ledger.append(dataclasses.replace(RELEASE, started="soon"))
    with pytest.raises(LedgerError, match="20231115T080000Z has no time"):
        slo(world, SETTINGS, 1, NOW)


@pytest.mark.parametrize("days", [1, 2, 30, 400])
@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("style", [PLAIN, Style(colour=True, unicode=True)])
def test_a_table_has_its_place(world, days, width, style):
    written(world, Line(TODAY, "a-1", TODAY + 60.0, ((TODAY + 1.0, TODAY + 11.0),), {"up": 50.0}))
    shown = table(slo(world, SETTINGS, days, NOW), dataclasses.replace(style, colour=False), width)
    assert all(columns(line) < max(width, 52) for line in shown.splitlines())
    assert "83.333% (goal 99.5%)" in shown
    assert shown.isascii() == (not style.unicode)


def test_an_overspent_budget_is_red(world):
    style = Style(colour=True, unicode=True)
    written(world, Line(TODAY, "a-1", NOW, ((TODAY, TODAY + 600.0),), {"up": 43_000.0}))
    assert "\x1b[31m98.623% (goal 99.5%)" in table(slo(world, SETTINGS, 1, NOW), style, 80)
    assert "\x1b[32m98.623% (goal 99.5%)" in table(slo(world, SETTINGS, 30, NOW), style, 80)


def test_a_picture_is_for_terminals_and_as_good_as_they_are():
    def draw(found, style, width):
        return f"{found} {style.unicode} {style.colour} {width}"

    assert picture(Terminal(), draw, 1, True, {"TERM": "x"}) == "1 True True 80"
    assert picture(Terminal("ascii"), draw, 1, False, {"TERM": "x"}) == "1 False False 80"
    assert picture(Terminal(), draw, 1, True, {"TERM": "x", "NO_COLOR": "1"}) == "1 True False 80"
    assert picture(Terminal(), draw, 1, True, {"TERM": "dumb"}) is None


VALUES = st.lists(st.none() | st.floats(-1e6, 1e6), max_size=60)


@given(VALUES, st.booleans())
def test_a_sparkline_has_a_character_a_value_and_the_order_shows(values, unicode):
    shown = sparkline(values, unicode)
    assert len(shown) == len(values)
    bars = "▁▂▃▄▅▆▇█" if unicode else "_.-:=+*#"
    known = [(value, bars.index(bar)) for value, bar in zip(values, shown, strict=True) if value is not None]
    assert [bar for _, bar in sorted(known)] == sorted(bar for _, bar in known)


def test_a_sparkline_between_two_values():
    assert sparkline([95, 97.5, 100, None, 20], True, 95, 100) == "▁▅█·▁"
    assert sparkline([0, 0], True, 0) == "▁▁"
    assert sparkline([None, 1], False) == " _"


def test_the_ledger_as_a_table():
    records = [
        {
            **RELEASE.to_dict(),
            "outcome": "rolled_back",
            "reason": "too many errors\nand more",
            "seconds": 82.0,
        },
        {**RELEASE.to_dict(), "kind": "rollback", "cutover": None},
        {**RELEASE.to_dict(), "chain_broken": True},
    ]
    shown = release_table(records, PLAIN, 120).splitlines()
    assert shown[0].split() == ["release", "version", "outcome", "took", "cut-over", "by", "why"]
    assert shown[1].startswith("x 20231115T080000Z  1.4.0    rolled back ")
    assert "too many errors" in shown[1]
    assert shown[2].startswith("+ ")
    assert "live (rollback)" in shown[2]
    assert shown[3].startswith("x ")
    assert shown[4].split() == ["took", "==#", "41.0", "s", "to", "82.0", "s,", "oldest", "to", "newest"]
    assert "12 ms to 12 ms" in shown[5]
    assert all(columns(line) <= 60 for line in release_table(records, PLAIN, 60).splitlines())
