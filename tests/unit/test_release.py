"""The engine over an in-memory droplet: what is live after every kind of release, failure and kill."""

import pytest
from marketplace_lock import release_lock
from marketplace_steps import STEP_NAMES

from tests.support.releases import DIGEST_1, DIGEST_2, DIGEST_3, Killed, kill_at, running, settle, ship
from tests.support.world import LABELS, REPOSITORY, Image, Simulated


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
    answer = settle(droplet)
    expected = "green" if behind_switch else "blue"
    assert answer["live"] == expected
    assert ("finished" if behind_switch else "undone") in answer["resumed"]
    assert droplet.edge.live() == droplet.edge.runtime == expected
    assert running(droplet) == {f"backend-{expected}"}
    assert droplet.world.ledger.live().colour == expected  # type: ignore[union-attr]
    assert droplet.world.journal.read() is None
    before = droplet.durable
    assert settle(droplet)["resumed"] is None
    assert droplet.durable == before
    assert ship(droplet, "1.1.0").outcome in ("live", "unchanged")


def test_resume_starts_a_live_backend_that_was_stopped(droplet: Simulated) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.stop("backend-blue", grace=1)
    settle(droplet)
    assert running(droplet) == {"backend-blue"}


def test_resume_makes_a_live_backend_that_was_removed_anew(droplet: Simulated) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.remove("backend-blue")
    settle(droplet)
    assert running(droplet) == {"backend-blue"}


def test_resume_where_nothing_was_ever_released(droplet: Simulated) -> None:
    assert settle(droplet) == {
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
