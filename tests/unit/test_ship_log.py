"""The database's log on its way to a copy, and that it goes on while a backup is on its way."""

from datetime import timedelta

import marketplace_ship
import pytest
from marketplace_host import Host, HostError
from marketplace_lock import LockHeld
from marketplace_ship import ship, ship_log, ship_rounds

from tests.support.shelf import (
    NOW,
    Crowd,
    Shelf,
    base,
    droplet_with_a_backup,  # noqa: F401 - a fixture
    no_house,  # noqa: F401 - a fixture
    put_away,
    streamed,
    tools,  # noqa: F401 - a fixture
)


def test_a_streamed_segment_stays_until_it_was_put_away_and_sent(here):
    shelf, received = Shelf(), streamed(here, 3)
    received.parent.mkdir()
    received.write_text("written")
    ship(here, shelf, "x")
    name = f"shipping/streaming/{received.name}.zst"
    assert name in shelf.backups
    received.unlink()
    assert ship(here, shelf, "x")["dropped"] == 0
    put_away(here, 3).parent.mkdir(parents=True)
    put_away(here, 3).write_text("written")
    assert ship(here, shelf, "x") == {"outcome": "shipped", "reason": "", "files": 1, "dropped": 1}
    assert name not in shelf.backups


def test_log_goes_first_and_goes_on_while_a_backup_is_on_its_way(here):
    shelf, seen = Crowd(), []
    base(here, "2", 3)

    def minute():
        # Cron's next call: another process, which finds the backup's lock held and the log's free.
        put_away(here, 4).write_text("x")
        answer = ship_rounds(here, shelf, "cron", 2, 30)
        seen.append((answer["outcome"], answer["files"], here.bulk_lock.holder() is not None))
        with pytest.raises(LockHeld):
            ship(here, shelf, "somebody")

    shelf.meanwhile = minute
    assert ship_rounds(here, shelf, "cron", 2, 30)["outcome"] == "shipped"
    assert here.slept == [30.0, 30.0]
    log = str(put_away(here, 4).relative_to(here.paths.backups))
    assert [name for name in shelf.calls[0] if "/wals/" in name or "streaming" in name]
    assert not [name for name in shelf.calls[0] if "base" in name]
    # The second of its rounds has nothing left to send.
    assert seen == [("shipped", 0, True)]
    assert [log] in shelf.calls
    order = [name for call in shelf.calls for name in call]
    assert order.index("barman/postgres/base/2/data/base.tar.zst") < order.index(log)
    assert order.index(log) < order.index("records/postgres-2.json")


def test_a_log_that_has_piled_up_goes_in_parts(here, monkeypatch):
    monkeypatch.setattr(marketplace_ship, "AT_ONCE_BYTES", 3)
    shelf = Crowd()
    for number in range(8):
        file = put_away(here, number)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    assert ship_log(here, shelf, "x")["files"] == 8
    assert [len(call) for call in shelf.calls] == [3, 3, 2]
    shelf.broken = "away"
    put_away(here, 9).write_text("x")
    assert ship_log(here, shelf, "x")["outcome"] == "failed"


def test_a_backup_that_is_let_go_of_while_it_is_sent_is_left_nowhere(here):
    shelf = Crowd()
    base(here, "2", 3)
    (backup,) = here.catalogue.of("postgres")

    def let_go():
        here.catalogue.forget(backup)
        # A round of log, which finds nothing of it at the copy.
        assert ship_log(here, shelf, "y")["outcome"] == "shipped"

    shelf.meanwhile = let_go
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    assert not [name for name in shelf.backups if "/base/" in name or "postgres-2" in name]


def test_a_segment_that_is_put_away_while_it_is_packed_is_listed_as_that(here):
    shelf, run = Shelf(), here.host.run
    first, second = streamed(here, 3), streamed(here, 4)
    first.parent.mkdir()
    first.write_text("x")

    def away(*words, **options):
        if first.exists():
            put_away(here, 3).parent.mkdir(parents=True)
            first.rename(put_away(here, 3))
            second.write_text("y")
        return run(*words, **options)

    here.host.run = away
    assert ship_log(here, shelf, "x")["outcome"] == "shipped"
    assert {name for name in shelf.backups if "0000" in name} == {
        str(put_away(here, 3).relative_to(here.paths.backups)),
        f"shipping/streaming/{second.name}.zst",
    }


def test_a_segment_that_can_not_be_packed_is_a_failure_that_is_told(here):
    shelf = Shelf()
    streamed(here, 3).parent.mkdir()
    streamed(here, 3).write_text("x")

    def full(*_, **__):
        raise HostError("zstd failed with exit code 1: No space left on device")

    here.host.run = full
    for minutes in (0, 4, 6, 7):
        here.clock.now = lambda minutes=minutes: NOW + timedelta(minutes=minutes)
        answer = ship(here, shelf, "x")
        assert answer["outcome"] == "failed"
        assert "No space left" in answer["reason"]
        told = [event.kind for event in here.spool.pending()]
        assert told == ([] if minutes < 5 else ["backup.not_shipped"])
    here.host.run = Host(here.paths.run / "pause").run
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    assert [event.kind for event in here.spool.pending()] == ["backup.not_shipped", "backup.shipped_again"]
    assert here.spool.pending()[0].severity == "critical"
