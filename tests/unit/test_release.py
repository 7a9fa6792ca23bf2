"""Releases over the droplet in memory that go well: what is live after each, what is unchanged, hooks and workers."""

from marketplace_steps import STEP_NAMES

from tests.simulation.droplet import Droplet
from tests.simulation.gate import Fault, Plan
from tests.simulation.images import DIGEST_1, DIGEST_2, DIGEST_3, LABELS, REPOSITORY, WORKER, Image, chain
from tests.simulation.operations import run, shipping
from tests.support.releases import kinds, planned, ship


def worker_images(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_1, labels=LABELS | WORKER))
    droplet.push("2.1.0", Image(DIGEST_2, labels=LABELS | WORKER))


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


def test_cutover_is_measured_from_the_edges_log(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    record = ship(droplet, "1.1.0")
    assert record.cutover is not None
    assert record.cutover["requests"] > 10
    assert (record.cutover["milliseconds"], record.cutover["failed"]) == (0, 0)


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


def test_worker_is_a_singleton(droplet: Droplet) -> None:
    worker_images(droplet)
    ship(droplet, "2.0.0")
    droplet.docker.calls.clear()
    assert ship(droplet, "2.1.0").outcome == "live"
    workers = [call for call in droplet.docker.calls if call[-1].startswith("worker-")]
    assert workers.index(("stop", "worker-blue")) < workers.index(("start_project", "worker-green"))
    assert droplet.running == {"backend-green", "worker-green"}
    assert droplet.broken == []
