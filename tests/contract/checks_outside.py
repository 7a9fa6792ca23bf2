"""The database, the host, Telegram and the clock."""

from marketplace_colour import is_ready
from marketplace_database import DatabaseError
from marketplace_host import HostError

from tests.contract.effects import Effects, raises

POINT = "restore_point_contract"


def _is_well(effects: Effects) -> bool:
    """Whether the live backend is ready, on connections of its own."""
    live = effects.world.edge.live()
    assert live is not None
    return effects.world.clock.wait_until(lambda: is_ready(effects.world, dict(effects.settings), live), 20)


def check_database_answers_and_has_a_size(effects: Effects) -> None:
    database = effects.world.database
    database.check(effects.database)
    assert database.size(effects.database) > 1 << 20
    assert database.points() == []


def check_restore_point_is_made_proven_and_dropped(effects: Effects) -> None:
    database = effects.world.database
    try:
        for _ in range(2):
            database.make_point(effects.database, POINT, timeout=60)
            assert database.points() == [POINT]
            assert "counted" in database.prove_point(effects.database, POINT, timeout=60)
    finally:
        database.drop_point(POINT)
        database.drop_point(POINT)
    assert database.points() == []
    with raises(DatabaseError):
        database.prove_point(effects.database, POINT, timeout=60)
    assert _is_well(effects)


def check_restore_point_brings_back_what_was(effects: Effects) -> None:
    database = effects.world.database
    try:
        database.make_point(effects.database, POINT, timeout=60)
        effects.change_database()
        assert effects.database_changed()
        with raises(DatabaseError, POINT):
            database.prove_point(effects.database, POINT, timeout=60)
    finally:
        database.use_point(effects.database, POINT)
    assert not effects.database_changed()
    assert database.points() == []
    database.use_point(effects.database, POINT)
    assert not effects.database_changed()
    database.check(effects.database)
    assert _is_well(effects)


def check_host_says_how_much_room_there_is(effects: Effects) -> None:
    host = effects.world.host
    free, whole = host.free(effects.place)
    assert 0 < free <= whole
    assert host.free(effects.place / "not" / "there")[1] == whole


def check_host_runs_commands(effects: Effects) -> None:
    host = effects.world.host
    told = {"MARKETPLACE_RELEASE": "contract"}
    host.run(["/bin/true"], 10, told)
    with raises(HostError, "/bin/false failed with exit code 1"):
        host.run(["/bin/false"], 10, told)
    with raises(HostError, "/bin/nonsense"):
        host.run(["/bin/nonsense"], 10, told)
    with raises(HostError, "took longer than 1 s"):
        host.run(["/bin/sleep", "60"], 1, told)


def check_nobody_stops_where_nobody_asked_for_it(effects: Effects) -> None:
    effects.world.host.reached("preflight", "start")


def check_telegram_that_is_away_says_nothing(effects: Effects) -> None:
    telegram = effects.world.telegram
    assert telegram.webhook_info("http://127.0.0.1:9") is None
    info = telegram.webhook_info(effects.settings["telegram"]["api_url"])
    assert info is not None
    assert info["pending_update_count"] >= 0


def check_clock_waits_for_what_comes_true_and_no_longer(effects: Effects) -> None:
    clock, looks = effects.world.clock, []
    begun = clock.monotonic()
    assert clock.wait_until(lambda: bool(looks.append(1)) or len(looks) == 3, timeout=10, interval=0.1)
    assert len(looks) == 3
    assert not clock.wait_until(lambda: False, timeout=0.5, interval=0.1)
    assert 0.5 <= clock.monotonic() - begun < 10
    assert clock.now().tzinfo is not None


def check_dump_is_taken_and_said(effects: Effects) -> None:
    for _ in range(2):
        assert effects.world.dumps.take(dict(effects.settings), "contract")
