"""The event spool: what is kept until somebody has acknowledged it."""

import json
import os
import time
from pathlib import Path

import pytest
from marketplace_spool import FORGOTTEN, UNREADABLE, Spool


def test_spool_keeps_events_until_acknowledged(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    event = spool.emit("release.live", "info", "release 1: live", {"release": "r"})
    assert [pending.summary for pending in Spool(tmp_path / "spool").pending()] == ["release 1: live"]
    assert spool.acknowledge(event.id)
    assert not spool.acknowledge(event.id)
    assert spool.pending() == []
    with pytest.raises(ValueError, match="severity 'loud'"):
        spool.emit("x", "loud", "x")


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"id": "x"}'])
def test_a_damaged_event_is_told_as_such_and_hides_no_other(tmp_path: Path, damage: str) -> None:
    spool = Spool(tmp_path)
    spool.emit("logs.short", "warning", "short", subject="edge")
    # As a newer tree may write them.
    newer = json.loads((tmp_path / "edge-logs.short.json").read_text()) | {"colour": "blue"}
    (tmp_path / "edge-logs.short.json").write_text(json.dumps(newer))
    (tmp_path / "1-release.live.json").write_text(damage)
    told = {event.kind: event for event in spool.pending()}
    assert told.keys() == {"logs.short", UNREADABLE}
    assert "1-release.live.json" in told[UNREADABLE].summary
    assert spool.acknowledge(told[UNREADABLE].id)
    assert [event.kind for event in spool.pending()] == ["logs.short"]


def test_one_kind_of_event_about_one_subject_is_one_event(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for _ in range(2):
        spool.emit("release.live", "info", "live", subject="20260101T000000Z")
    spool.emit("release.prune", "warning", "not pruned", subject="20260101T000000Z")
    assert [event.kind for event in spool.pending()] == ["release.live", "release.prune"]


def test_an_event_about_one_subject_is_not_told_again_while_somebody_goes_on_telling_it(
    tmp_path: Path,
) -> None:
    spool = Spool(tmp_path)

    def told() -> bool:
        event = spool.emit("logs.short", "warning", "the log is full", subject="20260101-redis")
        return spool.acknowledge(event.id)

    def later(seconds: float) -> None:
        for file in tmp_path.glob("*.told"):
            os.utime(file, (time.time() - seconds,) * 2)
        spool.acknowledge(spool.emit("backup.failed", "critical", "no room").id)

    assert told()
    for _ in range(3):
        later(FORGOTTEN - 60)
        assert not told()
    later(FORGOTTEN + 60)
    assert told()
    assert len(list(tmp_path.iterdir())) == 2
    # Without a subject each is another.
    assert spool.acknowledge(spool.emit("backup.failed", "critical", "no room").id)
