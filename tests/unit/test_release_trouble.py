"""The engine in trouble: effects that fail, kills while going back, full disks, maps and clocks that lie."""

import json
from pathlib import Path

import pytest
from marketplace_container import DockerError
from marketplace_edge import EdgeError
from marketplace_journal import Journal
from marketplace_progress import Progress

from tests.simulation.droplet import Droplet, simulated
from tests.simulation.edge import SimEdge
from tests.simulation.gate import Fault, Plan
from tests.simulation.images import (
    DIGEST_1,
    DIGEST_2,
    DIGEST_3,
    DIGEST_4,
    LABELS,
    WORKER,
    Change,
    Image,
    chain,
)
from tests.simulation.operations import beside, going_back, run, shipping
from tests.support.releases import back, broken, kill_at, kinds, settle, ship


def test_resume_starts_the_worker_of_a_finished_release(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_1, labels=LABELS | WORKER))
    droplet.push("2.1.0", Image(DIGEST_2, labels=LABELS | WORKER))
    ship(droplet, "2.0.0")
    kill_at(droplet, "2.1.0", "worker:start")
    settle(droplet)
    assert droplet.running == {"backend-green", "worker-green"}
    droplet.docker.remove("worker-green")
    settle(droplet)
    assert droplet.running == {"backend-green", "worker-green"}
    assert droplet.broken == []


def test_no_worker_runs_while_another_host_serves_the_bot(droplet: Droplet) -> None:
    """It would do the bot's work twice: on this host's copy of the data, and for the same users."""
    droplet.settings["telegram"]["register"] = False
    for number, digest in enumerate((DIGEST_1, DIGEST_2, DIGEST_3)):
        droplet.push(f"2.{number}.0", Image(digest, labels=LABELS | WORKER))
    ship(droplet, "2.0.0")
    record = ship(droplet, "2.1.0")
    assert record.outcome == "live"
    detail = next(step.detail for step in record.steps if step.name == "worker")
    assert detail == "not started: another host serves the bot (telegram:register)"
    assert ship(droplet, "2.1.0").outcome == "unchanged"
    back(droplet)
    settle(droplet)
    assert droplet.running == {"backend-blue"}
    # The bot is moved here, and back again.
    droplet.settings["telegram"]["register"] = True
    settle(droplet)
    assert droplet.running == {"backend-blue", "worker-blue"}
    droplet.settings["telegram"]["register"] = False
    settle(droplet)
    assert "worker-blue" not in droplet.docker.there
    assert droplet.broken == []


def test_a_worker_that_was_stopped_stays_so_while_another_host_serves_the_bot(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_1, labels=LABELS | WORKER))
    droplet.push("2.1.0", Image(DIGEST_2, labels=LABELS | WORKER, behaviour="wrong_version"))
    ship(droplet, "2.0.0")
    droplet.settings["telegram"]["register"] = False
    droplet.docker.stop("worker-blue", grace=1)
    assert ship(droplet, "2.1.0").outcome == "rolled_back"
    assert droplet.running == {"backend-blue"}


def test_a_backend_that_was_removed_comes_back_with_its_worker_and_without_its_jobs(droplet: Droplet) -> None:
    job = json.dumps([{"name": "tidy", "command": ["tidy"], "time": "0 3 * * *"}])
    droplet.push("2.0.0", Image(DIGEST_1, labels=LABELS | WORKER | {"marketplace.schedule": job}))
    ship(droplet, "2.0.0")
    droplet.docker.remove("backend-blue", "worker-blue")
    settle(droplet)
    assert droplet.running == {"backend-blue", "worker-blue"}


def test_drain_that_fails_takes_nothing_back(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    record = run(droplet, shipping(droplet, "1.1.0"), Plan(by_name={"docker stop": Fault("fail")})).record
    assert record.outcome == "live"
    assert droplet.live == "green"
    drain = next(step for step in record.steps if step.name == "drain")
    assert (drain.outcome, drain.detail) == ("failed", "docker stop: simulated")
    assert "release.drain" in kinds(droplet)
    settle(droplet)
    assert droplet.running == {"backend-green"}


def test_schema_is_not_taken_back_under_what_still_runs(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    ship(droplet, "1.1.0")
    record = run(droplet, going_back(droplet), Plan(by_name={"docker stop": Fault("fail")})).record
    assert record.outcome == "live"
    downgrade = next(step for step in record.steps if step.name == "downgrade")
    assert (downgrade.outcome, "backend-green was not stopped" in downgrade.detail) == ("failed", True)
    assert record.schema["after"] == droplet.database.content.heads == ["0002"]


def test_drain_waits_its_time_where_the_edge_does_not_say_what_is_open(
    droplet: Droplet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")
    monkeypatch.setattr(droplet.edge, "sessions", broken(EdgeError("no socket")))
    record = ship(droplet, "1.1.0")
    drain = next(step for step in record.steps if step.name == "drain")
    assert (drain.outcome, drain.detail) == ("done", "backend-blue stopped with requests still open")
    assert drain.seconds > 20
    assert droplet.running == {"backend-green"}


def test_going_back_that_fails_leaves_both_colours_and_resume_ends_it(
    droplet: Droplet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))
    switches = []

    def switch(colour: str | None) -> None:
        switches.append(colour)
        if len(switches) > 1:
            raise OSError("No space left on device")
        SimEdge.switch(droplet.edge, colour)

    with monkeypatch.context() as patch:
        patch.setattr(droplet.edge, "switch", switch)
        record = ship(droplet, "2.0.0")
    assert record.outcome == "interrupted"
    assert "What serves was left running" in record.reason
    assert droplet.running == {"backend-blue", "backend-green"}
    assert "release.stuck" in kinds(droplet)
    answer = settle(droplet)
    assert "undone" in answer["resumed"]
    assert droplet.live == droplet.edge.runtime == "blue"
    assert droplet.running == {"backend-blue"}
    newest = droplet.world.ledger.newest(1)[0]
    assert (newest.outcome, "verify: " in newest.reason) == ("rolled_back", True)
    assert droplet.users.unexplained() == []


@pytest.mark.parametrize("place", ["verify:start", "switch:undone", "start:undone", "migrate:undone"])
def test_killed_while_going_back_is_never_finished(droplet: Droplet, place: str) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))
    if place == "verify:start":  # killed before it could tell, and then on the way back
        kill_at(droplet, "2.0.0", place)
        droplet.docker.stop("backend-blue", "backend-green", grace=1)  # and a reboot
        answer = settle(droplet)
        assert (answer["live"], answer["ready"]) == ("blue", True)
    else:
        kill_at(droplet, "2.0.0", place)
        answer = settle(droplet)
    assert "undone" in answer["resumed"]
    newest = droplet.world.ledger.newest(1)[0]
    assert newest.outcome == "rolled_back"
    assert "behind the edge release another answers" in newest.reason
    assert droplet.live == droplet.edge.runtime == "blue"
    assert droplet.running == {"backend-blue"}


@pytest.mark.parametrize("text", ["live red\n", "live blue\n# by hand\n"])
def test_unreadable_live_map_stops_nothing(droplet: Droplet, text: str) -> None:
    ship(droplet, "1.0.0")
    droplet.disk.place(droplet.paths.live_map, text)
    with pytest.raises(EdgeError, match="expected one line"):
        settle(droplet)
    assert droplet.running == {"backend-blue"}


@pytest.mark.parametrize("text", [None, "live none\n", "live green\n"])
def test_live_map_that_names_nobody_who_serves_is_mended(droplet: Droplet, text: str | None) -> None:
    ship(droplet, "1.0.0")
    if text is None:
        droplet.disk.take(droplet.paths.live_map)
    else:
        droplet.disk.place(droplet.paths.live_map, text)
    answer = settle(droplet)
    assert (answer["live"], answer["ready"]) == ("blue", True)
    assert droplet.live == droplet.edge.runtime == "blue"
    assert droplet.running == {"backend-blue"}
    assert "edge.live_mended" in kinds(droplet)


def test_live_that_cannot_be_started_does_not_bar_the_next_release(
    droplet: Droplet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.stop("backend-blue", grace=1)
    with monkeypatch.context() as patch:
        patch.setattr(droplet.docker, "start", broken(DockerError("No such image")))
        record = ship(droplet, "1.1.0")
    assert record.outcome == "live", record.reason
    assert droplet.running == {"backend-green"}


@pytest.mark.parametrize("behind", ["journal", "ledger", "spool"])
def test_full_disk_never_hides_what_is_live(
    droplet: Droplet, monkeypatch: pytest.MonkeyPatch, behind: str
) -> None:
    ship(droplet, "1.0.0")
    full = broken(OSError("No space left on device"))
    with monkeypatch.context() as patch:
        if behind == "journal":

            def write(journal: Journal, entry: dict) -> None:
                if entry["step"] == "verify":
                    raise OSError("No space left on device")
                written(journal, entry)

            written = Journal.write
            patch.setattr(Journal, "write", write)
        else:
            patch.setattr(getattr(droplet.world, behind), "append" if behind == "ledger" else "emit", full)
        record = ship(droplet, "1.1.0")
    if behind == "journal":
        assert record.outcome == "rolled_back"
        assert droplet.live == droplet.edge.runtime == "blue"
        assert droplet.running == {"backend-blue"}
        return
    assert record.outcome == "live"
    assert "not recorded yet" in record.reason
    settle(droplet)
    live = droplet.world.ledger.live()
    assert live is not None
    assert live.version == "1.1.0"
    assert kinds(droplet) == ["release.live", "release.live"]
    assert droplet.world.journal.read() is None


BREAKS = Change("0003", breaks=True)


def test_migration_that_breaks_the_live_version_is_undone(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", BREAKS)))
    record = ship(droplet, "2.0.0")
    assert record.outcome == "failed"
    assert "backend-blue no longer works with the migrated schema" in record.reason
    assert "They were undone" in record.reason
    assert record.schema == {"before": ["0001"], "after": ["0001"]}
    assert droplet.live == "blue"
    assert droplet.database.content.heads == ["0001"]


def test_migration_that_breaks_live_and_cannot_be_undone_is_said(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", Change("0003", breaks=True, reversible=False))))
    record = ship(droplet, "2.0.0")
    assert (record.outcome, record.schema["after"]) == ("failed", ["0003"])
    assert "these migrations cannot be taken back" in record.reason


def test_what_nothing_brings_back_is_kept_in_a_dump_first(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", Change("0003", reversible=False))))
    droplet.push("3.0.0", Image(DIGEST_2, chain("0001", Change("0003", reversible=False), Change("0004"))))
    record = ship(droplet, "2.0.0")
    assert (record.outcome, droplet.dumps.taken) == ("live", [(record.by, ["0001"])])
    assert ship(droplet, "3.0.0").outcome == "live"
    assert len(droplet.dumps.taken) == 1


def test_without_a_dump_nothing_is_done_that_nothing_brings_back(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", Change("0003", reversible=False))))
    result = run(droplet, shipping(droplet, "2.0.0"), Plan(by_name={"dump": Fault("fail")}))
    assert (result.record.outcome, droplet.database.content.heads) == ("refused", ["0001"])
    assert "dump: no dump could be taken before what nothing brings back" in result.record.reason


DECLARED = Change("0003", breaks=True, breaking=True, transactional=False)


def test_breaking_migration_in_maintenance_loses_nothing(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", DECLARED)))
    record = ship(droplet, "2.0.0", maintenance=True)
    assert record.outcome == "live"
    assert [step.name for step in record.steps][3:5] == ["maintenance", "restore-point"]
    assert not droplet.edge.closed
    assert droplet.database.databases.keys() == {"marketplace"}
    assert droplet.users.lost == []
    assert droplet.users.kept > 0


@pytest.mark.parametrize(
    "how", [{"migration": "half"}, {"behaviour": "wrong_version"}, {"behaviour": "exits"}]
)
def test_maintenance_release_that_fails_uses_its_restore_point(droplet: Droplet, how: dict[str, str]) -> None:
    ship(droplet, "1.0.0")
    handled = set(droplet.database.content.handled)
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", DECLARED), **how))
    record = ship(droplet, "2.0.0", maintenance=True)
    assert record.outcome in ("failed", "rolled_back")
    assert record.schema["after"] == ["0001"]
    assert droplet.database.content.heads == ["0001"]
    assert not droplet.database.content.half
    assert handled <= droplet.database.content.handled
    assert droplet.users.committed <= droplet.database.content.handled
    assert droplet.database.databases.keys() == {"marketplace"}
    assert droplet.running == {"backend-blue"}
    assert not droplet.edge.closed
    assert droplet.users.lost == []


def test_operators_maintenance_outlives_a_release(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.edge.maintain("operator", True)
    assert ship(droplet, "1.1.0", maintenance=True).outcome == "live"
    assert droplet.edge.maintenance() == {"operator": True, "release": False}


def test_words_of_others_are_kept_without_secrets(tmp_path: Path) -> None:
    droplet = simulated(tmp_path)
    droplet.paths.secrets.mkdir(parents=True)
    (droplet.paths.secrets / "postgres_owner_password").write_text("hunter2-hunter2")
    droplet.push("2.0.0", Image(DIGEST_3, migration="fails"))
    record = ship(droplet, "2.0.0")
    assert "password (secret)" in record.reason
    assert "hunter2" not in str(record.to_dict())


def test_interruption_is_undone_and_said(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    plan = Plan(by_name={"reached wait:start": Fault("signal")})
    record = run(droplet, shipping(droplet, "1.1.0"), plan).record
    assert (record.outcome, record.reason) == ("failed", "wait: interrupted (SIGTERM)")
    assert droplet.running == {"backend-blue"}


def test_interruption_on_the_way_back_is_ignored(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))
    plan = Plan(by_name={"reached switch:undone": Fault("signal")})
    record = run(droplet, shipping(droplet, "2.0.0"), plan).record
    assert "behind the edge release another answers" in record.reason
    assert droplet.world.journal.read() is None


def test_clock_that_goes_back_keeps_the_order(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.clock.skew -= 7200
    assert ship(droplet, "1.1.0").outcome == "live"
    live = droplet.world.ledger.live()
    assert live is not None
    assert (live.version, droplet.world.ledger.broken()) == ("1.1.0", [])
    assert ship(droplet, "1.1.0").outcome == "unchanged"


def test_leftovers_of_a_killed_compose_do_not_bar_the_next_release(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_3, labels=LABELS | WORKER))
    ship(droplet, "2.0.0")
    stray = droplet.docker.there["backend-blue"]
    droplet.docker.there["0123456789ab_backend-green"] = type(stray)(
        "0123456789ab_backend-green", stray.image, stray.reference, {}, project="backend-green"
    )
    assert ship(droplet, "1.1.0").outcome == "live"
    assert droplet.running == {"backend-green"}
    assert "0123456789ab_backend-green" not in droplet.docker.there


def test_migration_that_goes_on_after_its_release_was_killed_is_ended(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    plan = Plan(by_name={"docker run ends": Fault("kill")})
    assert run(droplet, shipping(droplet, "1.1.0"), plan).killed
    assert "migration" in droplet.running
    settle(droplet)
    assert droplet.running == {"backend-blue"}


def test_rollback_while_a_release_is_on_its_way_withdraws_it(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    asked = []
    droplet.happenings["ask"] = lambda chance: asked.append(beside(droplet, going_back(droplet, by="bob")))
    plan = Plan(by_name={"reached soak:start": Fault("ask")})
    record = run(droplet, shipping(droplet, "1.1.0"), plan).record
    assert (record.outcome, record.reason) == ("rolled_back", "soak: withdrawn by bob")
    assert droplet.live == "blue"
    answer = asked[0].answer
    assert answer.outcome == "unchanged"
    assert record.release in answer.reason
    assert len(droplet.world.ledger.ids()) == 2
    assert droplet.users.lost == []


def test_rollback_takes_back_what_was_interrupted_while_somebody_else_has_the_lock(droplet: Droplet) -> None:
    """Who has it is no release: it ends without another look at the one that was killed."""
    ship(droplet, "1.0.0")
    kill_at(droplet, "1.1.0", "soak:start")
    assert droplet.live == "green"
    asked = []

    def other(_: Progress) -> None:
        with droplet.world.lock.held("cron", "starting the data services"):
            asked.append(beside(droplet, going_back(droplet, by="bob")))

    run(droplet, other)
    answer = asked[0].answer
    assert (answer.outcome, "was interrupted, and was taken back" in answer.reason) == ("unchanged", True)
    assert droplet.world.journal.read() is None
    assert (droplet.live, droplet.running) == ("blue", {"backend-blue"})


def test_rollback_behind_the_point_of_no_return_waits_and_goes_back(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    asked = []

    def ask(chance: object) -> None:
        asked.append(beside(droplet, going_back(droplet, by="bob", wait=120)))

    droplet.happenings["ask"] = ask
    plan = Plan(by_name={"reached drain:start": Fault("ask")})
    assert run(droplet, shipping(droplet, "1.1.0"), plan).record.outcome == "live"
    answer = asked[0].answer
    assert (answer.outcome, answer.kind, answer.version) == ("live", "rollback", "1.0.0")


def test_rollback_whose_downgrade_fails_is_live_and_says_so(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_4, chain("0001", "0002")))
    ship(droplet, "2.0.0")
    plan = Plan(by_name={"reached downgrade:start": Fault("lose")})
    droplet.happenings["lose"] = lambda chance: droplet.docker.names.clear()
    record = run(droplet, going_back(droplet), plan).record
    assert record.outcome == "live"
    assert {step.name: step.outcome for step in record.steps}["downgrade"] == "failed"
    assert "release.downgrade" in kinds(droplet)
    assert record.schema["after"] in (None, ["0002"])


def test_no_release_while_no_backup_was_restored_for_days(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    ship(droplet, "1.1.0")
    droplet.clock.skew += 8 * 86400
    refused = ship(droplet, "1.0.0")
    assert refused.outcome == "refused"
    assert "backup.drill" in refused.reason
    # Going back never waits for a backup.
    assert run(droplet, going_back(droplet), Plan()).record.outcome == "live"
    droplet.settings["backup"]["max_drill_age"] = 0
    assert ship(droplet, "1.1.0").outcome == "live"
