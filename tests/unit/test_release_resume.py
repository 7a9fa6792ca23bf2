"""What runs at boot: a release that was killed at any step is finished or undone, and what is live runs again."""

import pytest
from marketplace_lock import LockHeld
from marketplace_retention import keep_name
from marketplace_steps import STEP_NAMES

from tests.simulation.droplet import Droplet
from tests.simulation.gate import Fault, Plan
from tests.simulation.operations import beside, run, settling, shipping
from tests.support.releases import settle, ship


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
