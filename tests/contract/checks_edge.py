"""The edge, and who answers behind it."""

from collections.abc import Iterator
from contextlib import contextmanager

from marketplace_contract import READY_PATH, VERSION_PATH
from marketplace_probe import VERIFY_PORT, NoAnswer
from marketplace_records import other_colour

from tests.contract.effects import Effects, raises


def _live(effects: Effects) -> str:
    live = effects.world.edge.live()
    assert live is not None
    return live


@contextmanager
def _as_found(effects: Effects) -> Iterator[str]:
    """The live colour, which is live again afterwards."""
    live = _live(effects)
    try:
        yield live
    finally:
        effects.world.edge.switch(live)


def check_switch_changes_the_file_and_haproxy(effects: Effects) -> None:
    edge, disk = effects.world.edge, effects.world.disk
    with _as_found(effects) as live:
        assert edge.runtime_live() == live
        for colour in (other_colour(live), None, live, live):
            edge.switch(colour)
            assert edge.live() == colour
            assert edge.runtime_live() == (colour or "none")
            assert disk.read_text(edge.live_map) == f"live {colour or 'none'}\n"


def check_haproxy_follows_the_file_only_when_it_is_told(effects: Effects) -> None:
    edge = effects.world.edge
    with _as_found(effects) as live:
        effects.world.disk.write(edge.live_map, f"live {other_colour(live)}\n")
        assert edge.live() == other_colour(live)
        assert edge.runtime_live() == live
        edge.synchronise()
        assert edge.runtime_live() == other_colour(live)


def check_haproxy_takes_no_key_that_it_does_not_know(effects: Effects) -> None:
    edge = effects.world.edge
    assert edge.command(f"set map {edge.live_map} nonsense blue").strip()
    assert edge.runtime_live() == _live(effects)


def check_maintenance_belongs_to_who_asked_for_it(effects: Effects) -> None:
    edge = effects.world.edge
    assert edge.maintenance() == {"operator": False, "release": False}
    try:
        edge.maintain("operator", True)
        edge.maintain("operator", True)
        assert edge.maintenance() == {"operator": True, "release": False}
        shown = edge.command(f"show map {edge.maintenance_map}").splitlines()
        assert sorted(line.split()[1:] for line in shown if line) == [["operator", "on"], ["release", "off"]]
        edge.maintain("release", True)
        edge.maintain("operator", False)
        assert edge.maintenance() == {"operator": False, "release": True}
        assert effects.world.disk.read_text(edge.maintenance_map) == "operator off\nrelease on\n"
    finally:
        for keeper in ("operator", "release"):
            edge.maintain(keeper, False)
    assert edge.maintenance() == {"operator": False, "release": False}


def check_haproxy_sees_who_is_ready(effects: Effects) -> None:
    edge, live = effects.world.edge, _live(effects)
    assert effects.world.clock.wait_until(lambda: edge.check_passes(live), timeout=15)
    assert not edge.check_passes(other_colour(live))
    assert effects.world.clock.wait_until(lambda: edge.sessions(live) == 0, timeout=15)
    assert edge.sessions(other_colour(live)) == 0


def check_requests_are_counted_and_those_of_users_logged(effects: Effects) -> None:
    edge, clock, live = effects.world.edge, effects.world.clock, _live(effects)
    begun = clock.now().timestamp()
    before = edge.counters(live)
    for _ in range(3):
        # Whatever the bot says to that, it is an answer.
        status = effects.post()
        assert effects.world.probe.get("127.0.0.1", VERIFY_PORT, VERSION_PATH, tls=True)[0] == 200
    after = edge.counters(live)
    assert (after.answers - before.answers, after.errors) == (6, before.errors)
    assert clock.wait_until(lambda: len(edge.answered(begun)) >= 3, timeout=10)
    assert len(edge.answered(begun)) == 3
    for answer in edge.answered(begun):
        assert (answer.status, answer.colour, answer.retries) == (status, live, 0)
        assert begun <= answer.end <= clock.now().timestamp() + 1
        assert 0 <= answer.active_ms < 5000


def check_answers_come_from_the_live_release(effects: Effects) -> None:
    probe, backend, live = effects.world.probe, effects.settings["backend"], _live(effects)
    record = effects.world.ledger.live()
    assert record is not None
    address = backend["addresses"][live]["app"]
    status, document = probe.get(address, backend["port"], READY_PATH)
    assert (status, document["status"]) == (200, "ready")
    for host, port, tls in ((address, backend["port"], False), ("127.0.0.1", VERIFY_PORT, True)):
        status, document = probe.get(host, port, VERSION_PATH, tls=tls)
        assert (status, document["release"], document["version"]) == (200, record.release, record.version)


def check_nobody_answers_where_nothing_runs(effects: Effects) -> None:
    backend, idle = effects.settings["backend"], other_colour(_live(effects))
    with raises(NoAnswer):
        effects.world.probe.get(backend["addresses"][idle]["app"], backend["port"], READY_PATH)
    status, document = effects.world.probe.get("127.0.0.1", VERIFY_PORT, "/nonsense", tls=True)
    assert (status, document) == (404, None)


def check_nothing_is_live_is_a_503(effects: Effects) -> None:
    with _as_found(effects):
        effects.world.edge.switch(None)
        status, document = effects.world.probe.get("127.0.0.1", VERIFY_PORT, VERSION_PATH, tls=True)
        assert (status, document) == (503, None)
