"""The engine over an in-memory droplet: what is live after every kind of release, failure and kill."""

import os
import signal
from pathlib import Path

import pytest
from marketplace_docker import DockerError
from marketplace_durable import make_directory
from marketplace_edge import EdgeError
from marketplace_flight import Request
from marketplace_lock import release_lock
from marketplace_records import ReleaseRecord
from marketplace_release import release, resume
from marketplace_steps import STEP_NAMES, STEPS

from tests.support.world import LABELS, REPOSITORY, FakeEdge, Image, Simulated, settings, simulated

DIGEST_1, DIGEST_2, DIGEST_3 = (f"sha256:{letter * 64}" for letter in "abc")


@pytest.fixture
def droplet(tmp_path: Path) -> Simulated:
    droplet = simulated(tmp_path)
    droplet.docker.push("1.0.0", Image(DIGEST_1))
    droplet.docker.push("1.1.0", Image(DIGEST_2, heads=("0002",)))
    return droplet


def ship(droplet: Simulated, version: str, digest: str = "sha256:settings", **request: str) -> ReleaseRecord:
    asked = Request(version=version, image=request.get("image", ""), by="alice", tree="abc123")
    return release(droplet.world, settings(), digest, asked, lambda line: None)


def running(droplet: Simulated) -> set[str]:
    return {name for name, state in droplet.docker.running.items() if state.running}


def test_first_release_goes_live_in_blue(droplet: Simulated) -> None:
    record = ship(droplet, "1.0.0")
    assert record.outcome == "live", record.reason
    assert (record.colour, record.previous) == ("blue", None)
    assert record.image == f"{REPOSITORY}:1.0.0@{DIGEST_1}"
    assert record.schema == {"before": [], "after": ["0001"]}
    assert [step.name for step in record.steps] == list(STEP_NAMES)
    assert droplet.edge.live() == droplet.edge.runtime == "blue"
    assert running(droplet) == {"backend-blue"}
    assert droplet.world.journal.read() is None


def test_second_release_takes_the_other_colour_and_stops_the_first(droplet: Simulated) -> None:
    first = ship(droplet, "1.0.0")
    record = ship(droplet, "1.1.0")
    assert (record.outcome, record.colour, record.previous) == ("live", "green", first.release)
    assert droplet.edge.live() == "green"
    assert running(droplet) == {"backend-green"}
    assert record.schema == {"before": ["0001"], "after": ["0002"]}
    assert droplet.world.ledger.broken() == []


def test_old_colour_is_stopped_only_behind_the_switch(droplet: Simulated) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.calls.clear()
    ship(droplet, "1.1.0")
    calls = [call for call in droplet.docker.calls if call[0] in ("start_project", "stop")]
    assert calls == [("start_project", "backend-green"), ("stop", "backend-blue")]


def test_older_version_runs_on_the_newer_schema(droplet: Simulated) -> None:
    ship(droplet, "1.0.0")
    ship(droplet, "1.1.0")
    droplet.docker.registry[f"{REPOSITORY}:1.0.0"].migration = "lies"  # what it does not know it leaves alone
    record = ship(droplet, "1.0.0")
    assert record.outcome == "live", record.reason
    assert record.schema == {"before": ["0002"], "after": ["0002"]}


def test_same_digest_and_settings_are_unchanged_and_leave_no_record(droplet: Simulated) -> None:
    first = ship(droplet, "1.0.0")
    again = ship(droplet, "1.0.0")
    assert (again.outcome, again.release) == ("unchanged", first.release)
    assert droplet.world.ledger.ids() == [first.release]


def test_same_digest_with_new_settings_is_a_release(droplet: Simulated) -> None:
    ship(droplet, "1.0.0")
    assert ship(droplet, "1.0.0", digest="sha256:other").outcome == "live"


def test_same_digest_whose_backend_is_down_is_a_release(droplet: Simulated) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.registry[f"{REPOSITORY}:1.0.0"].behaviour = "never_ready"
    assert ship(droplet, "1.0.0").outcome == "failed"


def test_image_reference_with_digest_is_obeyed(droplet: Simulated) -> None:
    reference = f"{REPOSITORY}@{DIGEST_2}"
    record = ship(droplet, "1.1.0", image=reference)
    assert (record.outcome, record.version) == ("live", "1.1.0")
    assert record.image == f"{REPOSITORY}:1.1.0@{DIGEST_2}"


@pytest.mark.parametrize(
    ("image", "step", "words"),
    [
        (Image(DIGEST_3, behaviour="exits"), "wait", "exits on start (exit code 3)"),
        (Image(DIGEST_3, behaviour="exits"), "wait", "the last words of backend-green"),
        (Image(DIGEST_3, behaviour="never_ready"), "wait", "did not become ready within 30 s (HTTP 503"),
        (Image(DIGEST_3, heads=("0003",), migration="fails"), "migrate", "relation already exists"),
        (Image(DIGEST_3, heads=("0003",), migration="lies"), "migrate", "reported success"),
        (Image(DIGEST_3, labels={}), "pull", "label marketplace.contract is missing"),
        (Image(DIGEST_3, has_healthcheck=False), "pull", "no HEALTHCHECK"),
        (None, "pull", "could not be pulled"),
    ],
)
def test_failure_before_the_switch_leaves_live_as_it_was(
    droplet: Simulated, image: Image | None, step: str, words: str
) -> None:
    ship(droplet, "1.0.0")
    if image:
        droplet.docker.push("2.0.0", image)
    record = ship(droplet, "2.0.0")
    assert record.outcome == "failed"
    assert record.reason.startswith(f"{step}: ")
    assert words in record.reason
    assert droplet.edge.live() == droplet.edge.runtime == "blue"
    assert running(droplet) == {"backend-blue"}
    assert droplet.world.journal.read() is None
    assert [event.kind for event in droplet.world.spool.pending()] == ["release.live", "release.failed"]


def test_failure_behind_the_switch_goes_back(droplet: Simulated) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))
    record = ship(droplet, "2.0.0")
    assert record.outcome == "rolled_back"
    assert "verify: behind the edge release another answers" in record.reason
    assert droplet.edge.live() == droplet.edge.runtime == "blue"
    assert running(droplet) == {"backend-blue"}
    assert {step.name: step.outcome for step in record.steps}["switch"] == "undone"


def test_first_release_that_fails_behind_the_switch_leaves_nothing_live(droplet: Simulated) -> None:
    droplet.docker.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))
    assert ship(droplet, "2.0.0").outcome == "rolled_back"
    assert droplet.edge.live() is None
    assert droplet.edge.runtime == "none"
    assert running(droplet) == set()


def test_a_bug_in_a_step_is_a_failure_like_any_other(
    droplet: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")
    monkeypatch.setattr(
        droplet.docker, "start_project", lambda *args, **kwargs: {}["no such key"], raising=True
    )
    record = ship(droplet, "1.1.0")
    assert record.outcome == "failed"
    assert "no such key" in record.reason
    assert droplet.edge.live() == "blue"


def test_somebody_else_holds_the_lock(droplet: Simulated) -> None:
    ship(droplet, "1.0.0")
    with release_lock(droplet.world.paths.lock, "bob", "release of 1.1.0"):
        record = ship(droplet, "1.1.0")
    assert record.outcome == "refused"
    assert "release of 1.1.0 by bob" in record.reason
    assert ship(droplet, "1.1.0").outcome == "live"


class Killed(BaseException):
    """The process is gone: nothing behind this instant runs, no undo either."""


def kill_at(step_name: str, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrange for the process to die at the start or the end of a step."""
    steps = []
    for step in STEPS:
        if step.name == step_name:

            def do(world, run, step=step):  # type: ignore[no-untyped-def]
                if when == "end":
                    step.do(world, run)
                raise Killed

            step = type(step)(step.name, do, step.undo)
        steps.append(step)
    monkeypatch.setattr("marketplace_release.STEPS", tuple(steps))


@pytest.mark.parametrize("when", ["start", "end"])
@pytest.mark.parametrize("step_name", STEP_NAMES)
def test_killed_at_any_step_resume_finishes_or_undoes(
    droplet: Simulated, monkeypatch: pytest.MonkeyPatch, step_name: str, when: str
) -> None:
    ship(droplet, "1.0.0")
    with monkeypatch.context() as patch:
        kill_at(step_name, when, patch)
        with pytest.raises(Killed):
            ship(droplet, "1.1.0")
    droplet.edge.runtime = "none"  # and HAProxy was restarted from an old file
    behind_switch = STEP_NAMES.index(step_name) + (when == "end") > STEP_NAMES.index("switch")
    answer = resume(droplet.world, settings(), "boot", lambda line: None)
    expected = "green" if behind_switch else "blue"
    assert answer["live"] == expected
    assert ("finished" if behind_switch else "undone") in answer["resumed"]
    assert droplet.edge.live() == droplet.edge.runtime == expected
    assert running(droplet) == {f"backend-{expected}"}
    assert droplet.world.ledger.live().colour == expected  # type: ignore[union-attr]
    assert droplet.world.journal.read() is None
    before = droplet.durable
    assert resume(droplet.world, settings(), "boot", lambda line: None)["resumed"] is None
    assert droplet.durable == before
    assert ship(droplet, "1.1.0").outcome in ("live", "unchanged")


def test_resume_starts_a_live_backend_that_was_stopped(droplet: Simulated) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.stop("backend-blue", grace=1)
    resume(droplet.world, settings(), "boot", lambda line: None)
    assert running(droplet) == {"backend-blue"}


def test_resume_makes_a_live_backend_that_was_removed_anew(droplet: Simulated) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.remove("backend-blue")
    resume(droplet.world, settings(), "boot", lambda line: None)
    assert running(droplet) == {"backend-blue"}


def test_resume_where_nothing_was_ever_released(droplet: Simulated) -> None:
    assert resume(droplet.world, settings(), "boot", lambda line: None) == {
        "live": None,
        "ready": False,
        "resumed": None,
    }


def test_worker_is_a_singleton(droplet: Simulated) -> None:
    labels = LABELS | {"marketplace.worker": '["python","-m","worker"]'}
    droplet.docker.push("2.0.0", Image(DIGEST_1, labels=labels))
    droplet.docker.push("2.1.0", Image(DIGEST_2, labels=labels))
    ship(droplet, "2.0.0")
    droplet.docker.calls.clear()
    assert ship(droplet, "2.1.0").outcome == "live"
    workers = [call for call in droplet.docker.calls if call[-1].startswith("worker-")]
    assert workers.index(("stop", "worker-blue")) < workers.index(("start_project", "worker-green"))
    assert running(droplet) == {"backend-green", "worker-green"}


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
    resume(droplet.world, settings(), "boot", lambda line: None)
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
    resume(droplet.world, settings(), "boot", lambda line: None)
    assert running(droplet) == {"backend-green"}


def broken(error: BaseException):  # type: ignore[no-untyped-def]
    """A function that raises."""

    def call(*args: object, **kwargs: object) -> None:
        raise error

    return call


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
    answer = resume(droplet.world, settings(), "operator", lambda line: None)
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
    answer = resume(droplet.world, settings(), "boot", lambda line: None)
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
    answer = resume(droplet.world, settings(), "boot", lambda line: None)
    assert (answer["live"], answer["ready"]) == ("blue", True)
    assert running(droplet) == {"backend-blue"}


@pytest.mark.parametrize("text", ["live red\n", "live blue\n# by hand\n"])
def test_unreadable_live_map_stops_nothing(droplet: Simulated, text: str) -> None:
    ship(droplet, "1.0.0")
    droplet.world.paths.live_map.write_text(text)
    with pytest.raises(EdgeError, match="expected one line"):
        resume(droplet.world, settings(), "boot", lambda line: None)
    assert running(droplet) == {"backend-blue"}


@pytest.mark.parametrize("text", [None, "live none\n", "live green\n"])
def test_live_map_that_names_nobody_who_serves_is_mended(droplet: Simulated, text: str | None) -> None:
    ship(droplet, "1.0.0")
    if text is None:
        droplet.world.paths.live_map.unlink()
    else:
        droplet.world.paths.live_map.write_text(text)
    answer = resume(droplet.world, settings(), "boot", lambda line: None)
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
    resume(droplet.world, settings(), "boot", lambda line: None)
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
