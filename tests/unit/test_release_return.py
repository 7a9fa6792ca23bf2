"""Where there is a way back, where there is none any more, and what an interrupted release may not do."""

from dataclasses import replace

import pytest
from marketplace_container import DockerError
from marketplace_steps import STEP_NAMES, STEPS

from tests.simulation.droplet import Droplet
from tests.simulation.gate import Fault, Plan
from tests.simulation.images import DIGEST_3, Image, chain
from tests.simulation.operations import beside, going_back, run, shipping
from tests.support.releases import broken, kill_at, settle, ship

# Only a release in maintenance opens the edge; only a rollback has a downgrade, and only a team with hooks an after.
FINAL = [
    (step.name, when, maintenance)
    for step in STEPS
    for when in ("start", "end")
    for maintenance in (False, True)
    if step.final and step.name not in ("downgrade", "after") and (maintenance or step.name != "open")
]


@pytest.mark.parametrize(("step", "when", "maintenance"), FINAL)
def test_release_that_users_were_let_in_to_is_never_taken_back(
    droplet: Droplet, monkeypatch: pytest.MonkeyPatch, step: str, when: str, maintenance: bool
) -> None:
    ship(droplet, "1.0.0")
    kill_at(droplet, "1.1.0", f"{step}:{when}", maintenance=maintenance)
    with monkeypatch.context() as patch:
        patch.setattr(droplet.world.probe, "get", _unready_through_the_edge(droplet))
        settle(droplet)
    record = droplet.world.ledger.newest(1)[0]
    assert record.outcome == "live", record.reason
    assert "verify: " in record.reason
    assert droplet.live == droplet.edge.runtime == "green"
    assert not droplet.edge.maintenance()["release"]
    assert droplet.broken == []


def _unready_through_the_edge(droplet: Droplet):  # type: ignore[no-untyped-def]
    get = droplet.world.probe.get

    def answer(host, port, path, **how):  # type: ignore[no-untyped-def]
        return (503, None) if how.get("tls") else get(host, port, path, **how)

    return answer


def test_docker_that_does_not_answer_is_no_reason_to_remake_the_live_colour(
    droplet: Droplet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")
    kill_at(droplet, "1.1.0", "soak:start")
    with monkeypatch.context() as patch:
        patch.setattr(droplet.docker, "containers", broken(DockerError("no answer")))
        with pytest.raises(DockerError):
            settle(droplet)
    assert droplet.live == "green"
    assert "backend-green" in droplet.running
    assert droplet.world.journal.read() is not None
    settle(droplet)
    assert droplet.world.ledger.newest(1)[0].outcome == "live"
    assert droplet.broken == []


def test_alarm_while_the_old_colour_cannot_serve_leaves_the_new_one_live(
    droplet: Droplet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")

    def spoil(chance: object) -> None:
        blue = droplet.docker.there["backend-blue"]
        blue.image = replace(blue.image, behaviour="never_ready")
        droplet.world.journal.withdraw(droplet.world.journal.read()["run"]["release"], "bob")  # type: ignore[index]

    droplet.happenings["spoil"] = spoil
    record = run(
        droplet, shipping(droplet, "1.1.0"), Plan(by_name={"reached soak:start": Fault("spoil")})
    ).record
    assert record.outcome == "live", record.reason
    assert "backend-blue is not ready, and backend-green is" in record.reason
    assert droplet.live == droplet.edge.runtime == "green"
    assert droplet.running == {"backend-green"}
    assert "release.stays" in [event.kind for event in droplet.world.spool.pending()]
    # The worker was moved again, and the record says so, in the steps' own order.
    outcomes = {step.name: step.outcome for step in record.steps}
    assert outcomes["worker"] == "done"
    assert list(outcomes) == [name for name in STEP_NAMES if name in outcomes]


def test_rollback_beside_a_release_that_is_refused_takes_nothing_else_back(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    ship(droplet, "1.1.0")
    asked = []
    droplet.happenings["ask"] = lambda chance: asked.append(beside(droplet, going_back(droplet, by="bob")))
    plan = Plan(by_name={"reached pull:start": Fault("ask")})
    refused = run(droplet, shipping(droplet, "9.9.9"), plan).record
    assert refused.outcome in ("refused", "failed")
    assert asked[0].answer.outcome == "unchanged"
    live = droplet.world.ledger.live()
    assert live is not None
    assert live.version == "1.1.0"


def test_rollback_behind_a_killed_release_takes_only_that_one_back(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    ship(droplet, "1.1.0")
    droplet.push("2.0.0", Image(DIGEST_3))
    kill_at(droplet, "2.0.0", "wait:start")
    answer = run(droplet, going_back(droplet)).record
    assert answer.outcome == "unchanged"
    assert "was interrupted, and was taken back" in answer.reason
    live = droplet.world.ledger.live()
    assert live is not None
    assert live.version == "1.1.0"


def test_schema_stays_once_users_have_written_to_it(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, chain("0001", "0002"), behaviour="wrong_version"))
    record = ship(droplet, "2.0.0")
    assert record.outcome == "rolled_back"
    assert record.schema["after"] == ["0002"]


def test_what_is_at_the_old_place_is_not_started_for_a_release_at_the_new_one(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    before = droplet.live
    assert before is not None
    droplet.world.docker.stop(*droplet.running, grace=1)
    droplet.settings["postgres"] |= {"managed": {"host": "db.test"}, "address": "db.test"}
    settle(droplet)
    assert droplet.running == set()
    assert ship(droplet, "1.0.0").outcome == "live"
    assert droplet.live != before
    assert droplet.running == {f"backend-{droplet.live}"}
