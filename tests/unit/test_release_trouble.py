"""The engine in trouble: effects that fail, kills while going back, full disks, maps and clocks that lie."""

import os
import signal

import pytest
from marketplace_docker import DockerError
from marketplace_durable import make_directory
from marketplace_edge import EdgeError
from marketplace_steps import STEPS

from tests.support.releases import (
    DIGEST_1,
    DIGEST_2,
    DIGEST_3,
    Killed,
    broken,
    kill_at,
    running,
    settle,
    ship,
)
from tests.support.world import LABELS, REPOSITORY, FakeEdge, Image, Simulated


def test_resume_starts_the_worker_of_a_finished_release(
    droplet: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = LABELS | {"marketplace.worker": '["python","-m","worker"]'}
    droplet.docker.push("2.0.0", Image(DIGEST_1, labels=labels))
    droplet.docker.push("2.1.0", Image(DIGEST_2, labels=labels))
    ship(droplet, "2.0.0")
    with monkeypatch.context() as patch:
        kill_at("worker", "start", patch)
        with pytest.raises(Killed):
            ship(droplet, "2.1.0")
    settle(droplet)
    assert running(droplet) == {"backend-green", "worker-green"}
    droplet.docker.remove("worker-green")
    assert ship(droplet, "2.1.0").outcome == "live"  # not unchanged: its worker is gone


def test_drain_that_fails_takes_nothing_back(droplet: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(droplet, "1.0.0")
    with monkeypatch.context() as patch:
        patch.setattr(droplet.edge, "sessions", broken(EdgeError("no socket")))
        record = ship(droplet, "1.1.0")
    assert record.outcome == "live"
    assert droplet.edge.live() == "green"
    assert record.steps[-1].outcome == "failed"
    assert "no socket" in record.steps[-1].detail
    settle(droplet)
    assert running(droplet) == {"backend-green"}


def test_going_back_that_fails_leaves_both_colours_and_resume_ends_it(
    droplet: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))
    switches = []

    def switch(colour: str | None) -> None:
        switches.append(colour)
        if len(switches) > 1:
            raise OSError("No space left on device")
        FakeEdge.switch(droplet.edge, colour)

    with monkeypatch.context() as patch:
        patch.setattr(droplet.edge, "switch", switch)
        record = ship(droplet, "2.0.0")
    assert record.outcome == "rolled_back"
    assert "Both colours were left running" in record.reason
    assert running(droplet) == {"backend-blue", "backend-green"}
    assert "release.stuck" in [event.kind for event in droplet.world.spool.pending()]
    answer = settle(droplet)
    assert "undone" in answer["resumed"]
    assert droplet.edge.live() == droplet.edge.runtime == "blue"
    assert running(droplet) == {"backend-blue"}
    newest = droplet.world.ledger.newest(1)[0]
    assert (newest.outcome, "verify: " in newest.reason) == ("rolled_back", True)


@pytest.mark.parametrize("undone", ["verify", "switch"])
def test_killed_while_going_back_is_never_finished(
    droplet: Simulated, monkeypatch: pytest.MonkeyPatch, undone: str
) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))

    def die(world, run):  # type: ignore[no-untyped-def]
        if undone == "switch":
            next(step for step in STEPS if step.name == "switch").undo(world, run)  # type: ignore[misc]
        raise Killed

    steps = tuple(type(step)(step.name, step.do, die) if step.name == "switch" else step for step in STEPS)
    with monkeypatch.context() as patch:
        patch.setattr("marketplace_release.STEPS", steps)
        with pytest.raises(Killed):
            ship(droplet, "2.0.0")
    answer = settle(droplet)
    assert "undone" in answer["resumed"]
    newest = droplet.world.ledger.newest(1)[0]
    assert newest.outcome == "rolled_back"
    assert "behind the edge release another answers" in newest.reason
    assert droplet.edge.live() == droplet.edge.runtime == "blue"
    assert running(droplet) == {"backend-blue"}


def test_going_back_after_a_reboot_starts_the_old_colour_first(
    droplet: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))
    with monkeypatch.context() as patch:
        kill_at("verify", "start", patch)
        with pytest.raises(Killed):
            ship(droplet, "2.0.0")
    droplet.docker.stop("backend-blue", "backend-green", grace=1)
    answer = settle(droplet)
    assert (answer["live"], answer["ready"]) == ("blue", True)
    assert running(droplet) == {"backend-blue"}


@pytest.mark.parametrize("text", ["live red\n", "live blue\n# by hand\n"])
def test_unreadable_live_map_stops_nothing(droplet: Simulated, text: str) -> None:
    ship(droplet, "1.0.0")
    droplet.world.paths.live_map.write_text(text)
    with pytest.raises(EdgeError, match="expected one line"):
        settle(droplet)
    assert running(droplet) == {"backend-blue"}


@pytest.mark.parametrize("text", [None, "live none\n", "live green\n"])
def test_live_map_that_names_nobody_who_serves_is_mended(droplet: Simulated, text: str | None) -> None:
    ship(droplet, "1.0.0")
    if text is None:
        droplet.world.paths.live_map.unlink()
    else:
        droplet.world.paths.live_map.write_text(text)
    answer = settle(droplet)
    assert (answer["live"], answer["ready"]) == ("blue", True)
    assert droplet.edge.live() == droplet.edge.runtime == "blue"
    assert running(droplet) == {"backend-blue"}
    assert "edge.live_mended" in [event.kind for event in droplet.world.spool.pending()]


def test_live_that_cannot_be_started_does_not_bar_the_next_release(
    droplet: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.stop("backend-blue", grace=1)
    with monkeypatch.context() as patch:
        patch.setattr(droplet.docker, "start", broken(DockerError("No such image")))
        record = ship(droplet, "1.1.0")
    assert record.outcome == "live", record.reason
    assert running(droplet) == {"backend-green"}


@pytest.mark.parametrize("behind", ["journal", "ledger", "spool"])
def test_full_disk_never_hides_what_is_live(
    droplet: Simulated, monkeypatch: pytest.MonkeyPatch, behind: str
) -> None:
    ship(droplet, "1.0.0")
    full = broken(OSError("No space left on device"))
    with monkeypatch.context() as patch:
        if behind == "journal":
            written = droplet.world.journal.write

            def write(entry):  # type: ignore[no-untyped-def]
                if entry["step"] == "verify":
                    raise OSError("No space left on device")
                written(entry)

            patch.setattr(droplet.world.journal, "write", write)
        else:
            patch.setattr(getattr(droplet.world, behind), "append" if behind == "ledger" else "emit", full)
        record = ship(droplet, "1.1.0")
    if behind == "journal":
        assert record.outcome == "rolled_back"
        assert droplet.edge.live() == droplet.edge.runtime == "blue"
        assert running(droplet) == {"backend-blue"}
        return
    assert record.outcome == "live"
    assert "not recorded yet" in record.reason
    settle(droplet)
    live = droplet.world.ledger.live()
    assert live is not None
    assert live.version == "1.1.0"
    assert [event.kind for event in droplet.world.spool.pending()] == ["release.live", "release.live"]
    assert droplet.world.journal.read() is None


def test_migration_that_breaks_the_live_version_is_a_failure(
    droplet: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")
    run_once = droplet.docker.run_once

    def breaking(arguments, timeout):  # type: ignore[no-untyped-def]
        answer = run_once(arguments, timeout)
        if arguments[-1] == "head":
            droplet.docker.registry[f"{REPOSITORY}:1.0.0"].behaviour = "never_ready"
        return answer

    monkeypatch.setattr(droplet.docker, "run_once", breaking)
    record = ship(droplet, "1.1.0")
    assert record.outcome == "failed"
    assert "backend-blue no longer works with the migrated schema" in record.reason
    assert record.schema == {"before": ["0001"], "after": ["0002"]}
    assert droplet.edge.live() == "blue"


def test_words_of_others_are_kept_without_secrets(droplet: Simulated) -> None:
    make_directory(droplet.world.paths.secrets)
    (droplet.world.paths.secrets / "postgres_owner_password").write_text("hunter2-hunter2")
    droplet.docker.push("2.0.0", Image(DIGEST_3, heads=("0003",), migration="fails"))
    record = ship(droplet, "2.0.0")
    assert "password (secret)" in record.reason
    assert "hunter2" not in str(record.to_dict())


def test_variables_that_the_image_wants_and_nothing_gives(droplet: Simulated) -> None:
    wants = LABELS | {"marketplace.environment": "DATABASE_HOST PAYMENT_KEY"}
    droplet.docker.push("2.0.0", Image(DIGEST_3, labels=wants))
    record = ship(droplet, "2.0.0")
    assert record.outcome == "failed"
    assert "wants variables that nothing gives: PAYMENT_KEY" in record.reason


def test_interruption_is_undone_and_said(droplet: Simulated, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(droplet, "1.0.0")

    def interrupted(*args: object, **kwargs: object) -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        return "unreachable"

    steps = tuple(
        type(step)(step.name, interrupted, step.undo) if step.name == "wait" else step for step in STEPS
    )
    monkeypatch.setattr("marketplace_release.STEPS", steps)
    before = signal.getsignal(signal.SIGTERM)
    record = ship(droplet, "1.1.0")
    assert (record.outcome, record.reason) == ("failed", "wait: interrupted (SIGTERM)")
    assert running(droplet) == {"backend-blue"}
    assert signal.getsignal(signal.SIGTERM) == before


def test_clock_that_goes_back_keeps_the_order(droplet: Simulated) -> None:
    ship(droplet, "1.0.0")
    droplet.clock.seconds -= 7200
    assert ship(droplet, "1.1.0").outcome == "live"
    live = droplet.world.ledger.live()
    assert live is not None
    assert (live.version, droplet.world.ledger.broken()) == ("1.1.0", [])
    assert ship(droplet, "1.1.0").outcome == "unchanged"
