"""Releases over the droplet in memory: what is live after every kind of release, failure and kill."""

import pytest
from marketplace_container import DockerError
from marketplace_durable import to_json
from marketplace_lock import LockHeld
from marketplace_retention import keep_name
from marketplace_steps import STEP_NAMES

from tests.simulation.droplet import Droplet
from tests.simulation.gate import Fault, Plan
from tests.simulation.images import (
    DIGEST_1,
    DIGEST_2,
    DIGEST_3,
    LABELS,
    REPOSITORY,
    WORKER,
    Change,
    Image,
    chain,
)
from tests.simulation.operations import beside, run, settling, shipping
from tests.support.releases import broken, kill_at, planned, settle, ship


def worker_images(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_1, labels=LABELS | WORKER))
    droplet.push("2.1.0", Image(DIGEST_2, labels=LABELS | WORKER))


def kinds(droplet: Droplet) -> list[str]:
    return [event.kind for event in droplet.world.spool.pending()]


def test_first_release_goes_live_in_blue(droplet: Droplet) -> None:
    record = ship(droplet, "1.0.0")
    assert record.outcome == "live", record.reason
    assert (record.kind, record.colour, record.previous, record.target) == ("release", "blue", None, None)
    assert record.image == f"{REPOSITORY}:1.0.0@{DIGEST_1}"
    assert record.schema == {"before": [], "after": ["0001"]}
    skipped = {"dump", "before", "maintenance", "restore-point", "open", "downgrade", "after"}
    assert [step.name for step in record.steps] == [name for name in STEP_NAMES if name not in skipped]
    assert {step.outcome for step in record.steps} == {"done"}
    assert droplet.live == droplet.edge.runtime == "blue"
    assert droplet.running == {"backend-blue"}
    assert droplet.world.journal.read() is None


def test_second_release_takes_the_other_colour_and_stops_the_first(droplet: Droplet) -> None:
    first = ship(droplet, "1.0.0")
    record = ship(droplet, "1.1.0")
    assert (record.outcome, record.colour, record.previous) == ("live", "green", first.release)
    assert droplet.live == "green"
    assert droplet.running == {"backend-green"}
    assert record.schema == {"before": ["0001"], "after": ["0002"]}
    assert droplet.world.ledger.broken() == []


def test_release_of_no_version_is_the_settings_where_no_other_is_live(droplet: Droplet) -> None:
    droplet.settings["backend"]["version"] = "1.0.0"
    assert planned(droplet, "")["version"] == "1.0.0"
    first = ship(droplet, "")
    assert (first.outcome, first.version) == ("live", "1.0.0"), first.reason
    assert ship(droplet, "").outcome == "unchanged"


def test_release_of_no_version_never_goes_back_to_the_first_one(droplet: Droplet) -> None:
    droplet.settings["backend"] |= {"version": "1.0.0", "follow_pillar": False}
    ship(droplet, "1.0.0")
    live = ship(droplet, "1.1.0")
    droplet.docker.calls.clear()
    refused, plan = ship(droplet, ""), planned(droplet, "")
    assert (refused.outcome, plan["would"]) == ("refused", "refuse")
    assert [refused.reason] == plan["refusals"]
    for words in ("deploy.release 1.1.0 ships the live one", "deploy.release 1.0.0 ships the other"):
        assert words in refused.reason
    assert [call for call in droplet.docker.calls if call[0] in ("pull", "start_project", "stop")] == []
    assert droplet.world.ledger.live() == live
    droplet.settings["backend"]["follow_pillar"] = True
    assert ship(droplet, "").version == "1.0.0"


def test_old_colour_is_stopped_only_behind_the_switch(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.calls.clear()
    ship(droplet, "1.1.0")
    calls = [call for call in droplet.docker.calls if call[0] in ("start_project", "stop")]
    assert calls == [("start_project", "backend-green"), ("stop", "backend-blue")]


def test_old_colour_stays_warm_until_the_soak_is_over(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    seen = []
    droplet.happenings["look"] = lambda chance: seen.append(droplet.running)
    plan = Plan(by_name={"reached soak:end": Fault("look"), "reached drain:end": Fault("look")})
    run(droplet, shipping(droplet, "1.1.0"), plan)
    assert seen == [{"backend-blue", "backend-green"}, {"backend-green"}]


def test_older_version_runs_on_the_newer_schema(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    ship(droplet, "1.1.0")
    record = ship(droplet, "1.0.0")
    assert record.outcome == "live", record.reason
    assert record.schema == {"before": ["0002"], "after": ["0002"]}
    schema = next(step for step in record.steps if step.name == "schema")
    assert "the schema is ahead of this version's 0001" in schema.detail


def test_same_digest_and_settings_are_unchanged_and_leave_no_record(droplet: Droplet) -> None:
    first = ship(droplet, "1.0.0")
    before = droplet.state()
    again = ship(droplet, "1.0.0")
    assert (again.outcome, again.release) == ("unchanged", first.release)
    assert droplet.world.ledger.ids() == [first.release]
    assert droplet.state() == before


def test_the_live_version_is_released_anew_where_its_schema_lacks_migrations(droplet: Droplet) -> None:
    """An import or a restore has put an older database there."""
    ship(droplet, "1.0.0")
    ship(droplet, "1.1.0")
    droplet.database.content.applied.pop()
    assert planned(droplet, "1.1.0")["would"] == "release"
    record = ship(droplet, "1.1.0")
    assert record.outcome == "live", record.reason
    assert record.schema == {"before": ["0001"], "after": ["0002"]}
    # Where the schema is as the live release has left it, no container is started to find that out.
    droplet.docker.calls.clear()
    assert ship(droplet, "1.1.0").outcome == "unchanged"
    assert [call[0] for call in droplet.docker.calls] == ["pull"]


def test_a_schema_that_is_further_on_than_the_live_version_is_no_reason_for_a_release(
    droplet: Droplet,
) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", "0002"), behaviour="never_ready"))
    assert ship(droplet, "2.0.0").schema["after"] == ["0002"]
    assert ship(droplet, "1.0.0").outcome == "unchanged"
    assert droplet.running == {"backend-blue"}


def test_same_digest_with_new_settings_is_a_release(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.settings["backend"]["environment"]["LOG_LEVEL"] = "debug"
    assert ship(droplet, "1.0.0").outcome == "live"


def test_how_carefully_it_is_shipped_is_no_other_release(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.settings["backend"] |= {"soak": 3, "keep_releases": 2, "disk_reserve": 1}
    assert ship(droplet, "1.0.0").outcome == "unchanged"


def test_same_digest_whose_backend_is_down_is_a_release(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.there["backend-blue"].image = Image(DIGEST_1, behaviour="never_ready")
    assert ship(droplet, "1.0.0").outcome == "live"


def test_image_reference_with_digest_is_obeyed(droplet: Droplet) -> None:
    reference = f"{REPOSITORY}@{DIGEST_2}"
    record = ship(droplet, "1.1.0", image=reference)
    assert (record.outcome, record.version) == ("live", "1.1.0")
    assert record.image == f"{REPOSITORY}:1.1.0@{DIGEST_2}"


TWO = chain("0001", "0003")


@pytest.mark.parametrize(
    ("image", "step", "words"),
    [
        (Image(DIGEST_3, behaviour="exits"), "wait", "exits on start (exit code 3)"),
        (Image(DIGEST_3, behaviour="exits"), "wait", "the last words of backend-green"),
        (Image(DIGEST_3, behaviour="oom"), "wait", "more than its memory limit of 256 MiB"),
        (Image(DIGEST_3, behaviour="never_ready"), "wait", "did not become ready within 30 s (HTTP 503"),
        (Image(DIGEST_3, TWO, migration="fails"), "migrate", "relation already exists"),
        (Image(DIGEST_3, TWO, migration="lies"), "migrate", "reported success"),
        (Image(DIGEST_3, TWO, migration="hangs"), "migrate", "took longer than 70 s"),
    ],
)
def test_failure_before_the_switch_leaves_live_as_it_was(
    droplet: Droplet, image: Image, step: str, words: str
) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", image)
    record = ship(droplet, "2.0.0")
    assert record.outcome == "failed"
    assert record.reason.startswith(f"{step}: ")
    assert words in record.reason
    assert droplet.live == droplet.edge.runtime == "blue"
    assert droplet.running == {"backend-blue"}
    assert "migration" not in droplet.docker.there
    assert droplet.database.content.heads == ["0001"]
    assert droplet.world.journal.read() is None
    assert kinds(droplet) == ["release.live", "release.failed"]
    assert droplet.users.lost == []


def _no_data_services(droplet: Droplet) -> None:
    droplet.docker.there["redis"].status = "exited"


def _half_restored(droplet: Droplet) -> None:
    droplet.docker.there["postgres"].status = "exited"
    begun = {"by": "bob", "started": "2026-11-25T12:00:00+00:00", "time": None}
    droplet.disk.place(droplet.paths.restore, to_json(begun))


def _no_database(droplet: Droplet) -> None:
    droplet.database.answers = False


def _no_room(droplet: Droplet) -> None:
    droplet.host.free_bytes = 1 << 20


def _hook_says_no(droplet: Droplet) -> None:
    droplet.settings["backend"]["hooks"]["before"] = [["/usr/local/bin/may-i"]]
    droplet.host.commands["/usr/local/bin/may-i"] = 2


@pytest.mark.parametrize(
    ("image", "trouble", "step", "words"),
    [
        (Image(DIGEST_3, labels={}), None, "pull", "label marketplace.contract is missing"),
        (Image(DIGEST_3, has_healthcheck=False), None, "pull", "no HEALTHCHECK"),
        (Image(DIGEST_3, architecture="arm64"), None, "pull", "is built for arm64, this droplet is amd64"),
        (Image(DIGEST_3, labels=LABELS | {"marketplace.environment": "PAYMENT_KEY"}), None, "pull", "PAYMENT_KEY"),
        (None, None, "pull", "could not be pulled"),
        (Image(DIGEST_3), _no_data_services, "preflight", "redis does not run (exited)"),
        (Image(DIGEST_3), _half_restored, "preflight", "(exited): a restore that bob began"),
        (Image(DIGEST_3), _no_database, "preflight", "PostgreSQL cannot be asked"),
        (Image(DIGEST_3), _no_room, "preflight", "backend:disk_reserve"),
        (Image(DIGEST_3), _hook_says_no, "before", "may-i failed with exit code 2"),
        (Image(DIGEST_3, chain("0001", Change("0009", breaking=True))), None, "schema", "with maintenance=True"),
    ],
)  # fmt: skip
def test_refused_before_anything_is_changed(
    droplet: Droplet, image: Image | None, trouble, step: str, words: str
) -> None:  # type: ignore[no-untyped-def]
    ship(droplet, "1.0.0")
    if image:
        droplet.push("2.0.0", image)
    if trouble:
        trouble(droplet)
    before = droplet.state()
    record = ship(droplet, "2.0.0")
    assert record.outcome == "refused"
    assert record.reason.startswith(f"{step}: ")
    assert words in record.reason
    assert len(droplet.world.ledger.ids()) == 1
    after = droplet.state()
    assert (after["maps"], after["containers"]) == (before["maps"], before["containers"])
    assert after["databases"] == before["databases"]
    assert not [name for name in after["images"] if name.startswith("keep:") and name not in before["images"]]
    assert kinds(droplet) == ["release.live", "release.refused"]


def test_failure_behind_the_switch_goes_back(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))
    record = ship(droplet, "2.0.0")
    assert record.outcome == "rolled_back"
    assert "verify: behind the edge release another answers" in record.reason
    assert droplet.live == droplet.edge.runtime == "blue"
    assert droplet.running == {"backend-blue"}
    assert {step.name: step.outcome for step in record.steps}["switch"] == "undone"
    assert droplet.users.lost == []


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("errors_later", "requests failed (5xx)"),
        ("crashes_later", "backend-green is restarting"),
    ],
)
def test_alarm_in_the_soak_goes_back(droplet: Droplet, behaviour: str, words: str) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, behaviour=behaviour))
    record = ship(droplet, "2.0.0")
    assert record.outcome == "rolled_back"
    assert record.reason.startswith("soak: ")
    assert words in record.reason
    assert droplet.live == droplet.edge.runtime == "blue"
    assert droplet.running == {"backend-blue"}


def test_telegram_that_has_errors_since_the_switch_goes_back(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    later = droplet.clock.time().timestamp() + 60
    error = {"last_error_date": later, "last_error_message": "Bad Gateway"}
    droplet.telegram.said = [{"pending_update_count": 2}, error | {"pending_update_count": 50}]
    record = ship(droplet, "1.1.0")
    assert record.outcome == "rolled_back"
    assert "Telegram reports 'Bad Gateway', 50 updates wait there" in record.reason


def test_telegram_that_is_away_is_no_alarm(droplet: Droplet) -> None:
    droplet.telegram.said = [None]
    assert ship(droplet, "1.0.0").outcome == "live"


def test_soak_that_is_not_wanted_is_left_out(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_3, behaviour="errors_later"))
    record = ship(droplet, "2.0.0", soak=0)
    assert record.outcome == "live"
    assert next(step for step in record.steps if step.name == "soak").detail == "not asked for"


def test_first_release_that_fails_behind_the_switch_leaves_nothing_live(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))
    assert ship(droplet, "2.0.0").outcome == "rolled_back"
    assert droplet.live is None
    assert droplet.edge.runtime == "none"
    assert droplet.running == set()


def test_cutover_is_measured_from_the_edges_log(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    record = ship(droplet, "1.1.0")
    assert record.cutover is not None
    assert record.cutover["requests"] > 10
    assert (record.cutover["milliseconds"], record.cutover["failed"]) == (0, 0)


def test_a_bug_in_a_step_is_a_failure_like_any_other(
    droplet: Droplet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")
    monkeypatch.setattr(droplet.docker, "start_project", lambda *args, **kwargs: {}["no such key"])
    record = ship(droplet, "1.1.0")
    assert record.outcome == "failed"
    assert "no such key" in record.reason
    assert droplet.live == "blue"


def test_hooks_run_before_and_after_and_one_that_fails_after_takes_nothing_back(droplet: Droplet) -> None:
    droplet.settings["backend"]["hooks"] = {"before": [["/bin/ask", "me"]], "after": [["/bin/tell"]]}
    droplet.host.commands |= {"/bin/ask": 0, "/bin/tell": 0}
    record = ship(droplet, "1.0.0")
    assert [words[0] for words in droplet.host.ran] == ["/bin/ask", "/bin/tell"]
    assert droplet.host.ran[0][-1] == record.release
    droplet.host.commands["/bin/tell"] = 1
    record = ship(droplet, "1.1.0")
    assert record.outcome == "live"
    assert {step.name: step.outcome for step in record.steps}["after"] == "failed"
    assert "release.after" in kinds(droplet)


def test_hooks_of_the_image_run_in_it(droplet: Droplet) -> None:
    hooks = {"marketplace.before": '["check"]', "marketplace.after": '["warm"]'}
    droplet.push("2.0.0", Image(DIGEST_3, labels=LABELS | hooks))
    assert ship(droplet, "2.0.0").outcome == "live"
    ran = [call[1] for call in droplet.docker.calls if call[0] == "run_once"]
    assert (ran.count("check"), ran.count("warm")) == (1, 1)


def test_somebody_else_holds_the_lock(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    seen = []

    def ask(chance: object) -> None:
        seen.append(beside(droplet, shipping(droplet, "1.1.0", by="bob")).answer)

    droplet.happenings["ask"] = ask
    record = run(
        droplet, shipping(droplet, "1.1.0"), Plan(by_name={"reached wait:start": Fault("ask")})
    ).record
    assert record.outcome == "live"
    assert seen[0].outcome == "refused"
    assert "release of 1.1.0 by alice" in seen[0].reason
    assert "now at step wait" in seen[0].reason


def test_somebody_waits_for_the_lock(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    waiting = []
    droplet.push("1.2.0", Image(DIGEST_3))

    def ask(chance: object) -> None:
        waiting.append(beside(droplet, shipping(droplet, "1.2.0", by="bob", wait=300)))

    droplet.happenings["ask"] = ask
    plan = Plan(by_name={"reached wait:start": Fault("ask")})
    assert run(droplet, shipping(droplet, "1.1.0"), plan).record.outcome == "live"
    assert waiting[0].answer.outcome == "live"
    assert [record.version for record in droplet.world.ledger.newest()] == ["1.2.0", "1.1.0", "1.0.0"]


def places() -> list[str]:
    return [f"{name}:{when}" for name in STEP_NAMES for when in ("start", "end")]


@pytest.mark.parametrize("place", places())
def test_killed_at_any_step_resume_finishes_or_undoes(droplet: Droplet, place: str) -> None:
    """Steps that this release does not have are those of test_simulation_kills."""
    ship(droplet, "1.0.0")
    plan = Plan(by_name={f"reached {place}": Fault("kill")})
    if not run(droplet, shipping(droplet, "1.1.0"), plan).killed:
        assert place.partition(":")[0] in {
            "dump",
            "before",
            "maintenance",
            "restore-point",
            "open",
            "downgrade",
            "after",
        }
        return
    droplet.edge.restart()  # and HAProxy has only its files
    step, _, when = place.partition(":")
    behind_switch = STEP_NAMES.index(step) + (when == "end") > STEP_NAMES.index("switch")
    answer = settle(droplet)
    expected = "green" if behind_switch else "blue"
    assert answer["live"] == expected
    assert ("finished" if behind_switch else "undone") in answer["resumed"]
    assert droplet.live == droplet.edge.runtime == expected
    assert droplet.running == {f"backend-{expected}"}
    assert droplet.world.ledger.live().colour == expected  # type: ignore[union-attr]
    assert droplet.world.journal.read() is None
    before = droplet.state()
    assert settle(droplet)["resumed"] is None
    assert droplet.state() == before
    assert ship(droplet, "1.1.0").outcome in ("live", "unchanged")


def test_resume_starts_a_live_backend_that_was_stopped(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.stop("backend-blue", grace=1)
    settle(droplet)
    assert droplet.running == {"backend-blue"}


def test_resume_makes_a_live_backend_that_was_removed_anew(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.docker.remove("backend-blue")
    settle(droplet)
    assert droplet.running == {"backend-blue"}


def test_resume_pulls_an_image_that_is_gone_as_well(droplet: Droplet) -> None:
    record = ship(droplet, "1.0.0")
    droplet.docker.remove("backend-blue")
    droplet.docker.names.clear()
    settle(droplet)
    assert droplet.running == {"backend-blue"}
    # For a rollback, as it was.
    assert keep_name(record.release) in droplet.docker.names


def test_resume_where_nothing_was_ever_released(droplet: Droplet) -> None:
    assert settle(droplet) == {"live": None, "ready": False, "resumed": None}


def test_resume_while_a_release_runs_is_refused(droplet: Droplet) -> None:
    seen = []
    droplet.happenings["resume"] = lambda chance: seen.append(beside(droplet, settling(droplet)).error)
    run(droplet, shipping(droplet, "1.0.0"), Plan(by_name={"reached soak:start": Fault("resume")}))
    assert isinstance(seen[0], LockHeld)


def test_worker_is_a_singleton(droplet: Droplet) -> None:
    worker_images(droplet)
    ship(droplet, "2.0.0")
    droplet.docker.calls.clear()
    assert ship(droplet, "2.1.0").outcome == "live"
    workers = [call for call in droplet.docker.calls if call[-1].startswith("worker-")]
    assert workers.index(("stop", "worker-blue")) < workers.index(("start_project", "worker-green"))
    assert droplet.running == {"backend-green", "worker-green"}
    assert droplet.broken == []


def test_plan_says_what_would_be_done_and_changes_nothing(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    before = droplet.state()
    plan = planned(droplet, "1.1.0")
    assert (plan["would"], plan["version"], plan["from"], plan["colour"]) == (
        "release",
        "1.1.0",
        "1.0.0",
        "green",
    )
    assert plan["schema"] == ["0001"]
    assert [(item["revision"], item["kind"], item["reversible"]) for item in plan["migrations"]] == [
        ("0002", "expand", True)
    ]
    assert plan["steps"][:4] == ["preflight", "pull", "schema", "migrate"]
    after = droplet.state()
    assert (after["containers"], after["maps"], after["databases"]) == (
        before["containers"],
        before["maps"],
        before["databases"],
    )
    assert not [name for name in after["images"] if name.startswith("keep:") and name not in before["images"]]
    assert planned(droplet, "1.0.0")["would"] == "unchanged"
    refused = planned(droplet, "9.9.9")
    assert refused["would"] == "refuse"
    assert "could not be pulled" in refused["refusals"][0]


def test_plan_while_something_is_unfinished_says_so(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    kill_at(droplet, "1.1.0", "start:end")
    plan = planned(droplet, "1.1.0")
    assert plan["would"] == "refuse"
    assert "deploy.resume" in plan["refusals"][0]


def test_docker_that_is_away_refuses(droplet: Droplet, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(droplet, "1.0.0")
    monkeypatch.setattr(droplet.docker, "containers", broken(DockerError("docker does not answer")))
    record = ship(droplet, "1.1.0")
    assert "docker does not answer" in record.reason
    assert droplet.live == "blue"
