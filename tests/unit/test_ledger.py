"""The ledger of releases, their records and ids, and the journal of the one that is under way."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from marketplace_journal import Journal
from marketplace_ledger import Ledger, LedgerError
from marketplace_records import ReleaseRecord, other_colour, release_id


def record(release: str, outcome: str = "live") -> ReleaseRecord:
    return ReleaseRecord(
        release=release,
        version="1",
        image="i@sha256:0",
        previous=None,
        outcome=outcome,
        reason="",
        colour="blue",
        schema={"before": None, "after": ["1"]},
        by="alice",
        tree="abc",
        started="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        settings_digest="sha256:1",
    )


def test_release_ids_sort_by_time_and_never_collide() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    first = release_id(now)
    assert first == "20260102T030405Z"
    assert first < release_id(now, first) < release_id(now.replace(second=6), first)


def test_release_ids_go_on_growing_when_the_clock_goes_back() -> None:
    ids = ["20260102T030405Z"]
    for _ in range(60):
        ids.append(release_id(datetime(2026, 1, 1, tzinfo=UTC), ids[-1]))
    assert ids == sorted(set(ids))


def test_ledger_returns_what_was_appended_newest_first(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    assert ledger.live() is None
    for number in range(3):
        ledger.append(record(f"2026010{number}T000000Z", "failed" if number == 2 else "live"))
    assert [item.release[:8] for item in ledger.newest(2)] == ["20260102", "20260101"]
    live = ledger.live()
    assert live is not None
    assert live.release.startswith("20260101")
    assert ledger.broken() == []


@pytest.mark.parametrize("damage", ["altered", "removed"])
def test_ledger_tells_broken_history(tmp_path: Path, damage: str) -> None:
    ledger = Ledger(tmp_path)
    for number in range(3):
        ledger.append(record(f"2026010{number}T000000Z"))
    file = tmp_path / "20260101T000000Z.json"
    if damage == "altered":
        file.write_text(file.read_text().replace("alice", "mallory"))
    else:
        file.unlink()
    assert ledger.broken() == ["20260102T000000Z"]


def test_ledger_names_the_damaged_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    (tmp_path / "20260101T000000Z.json").write_text("{")
    with pytest.raises(LedgerError, match=r"20260101T000000Z\.json"):
        ledger.live()
    with pytest.raises(LedgerError, match="no record of release 'x'"):
        ledger.record("x")


def test_journal_knows_who_wants_its_release_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.write({"step": "pull"})
    journal.withdraw("r1", "bob")
    assert (journal.withdrawn("r1"), journal.withdrawn("r2")) == ("bob", None)
    assert journal.read() == {"step": "pull"}
    journal.clear()
    assert (journal.read(), journal.withdrawn("r1")) == (None, None)


def test_record_of_an_older_engine_is_read(tmp_path: Path) -> None:
    document = record("20260101T000000Z").to_dict()
    for name in ("kind", "target", "cutover"):
        del document[name]
    read = ReleaseRecord.from_dict(document | {"of a newer engine": 1})
    assert (read.kind, read.origin) == ("release", "20260101T000000Z")


def test_colours_take_turns() -> None:
    assert [other_colour("blue"), other_colour("green")] == ["green", "blue"]
