"""Work on the live data: nobody writes beside it, and what was live runs again behind it, however it ends."""

import itertools
import re

import pytest
from marketplace_backup_world import BackupError
from marketplace_durable import to_json
from marketplace_edge import EdgeError
from marketplace_quiet import quietly

from tests.simulation.droplet import Droplet
from tests.simulation.gate import Fault, Plan
from tests.simulation.images import DIGEST_3, LABELS, WORKER, Image
from tests.simulation.operations import Ended, run, settling
from tests.support.releases import back, kill_at, settle, ship

BEGUN = {"by": "bob", "started": "2026-11-25T12:00:00+00:00", "time": None}


@pytest.fixture
def serving(droplet: Droplet) -> Droplet:
    """A release with a worker is live, behind an edge that somebody has closed."""
    droplet.push("2.0.0", Image(DIGEST_3, labels=LABELS | WORKER))
    assert ship(droplet, "2.0.0").outcome == "live"
    droplet.world.edge.maintain("operator", True)
    assert _runs(droplet)
    return droplet


def _runs(droplet: Droplet) -> bool:
    return droplet.running == {f"backend-{droplet.live}", f"worker-{droplet.live}"}


def _work(droplet: Droplet, plan: Plan | None = None, error: Exception | None = None) -> Ended:
    """What is done in the database's place, which fails with ``error``."""

    def work() -> dict[str, str]:
        assert not droplet.running, "somebody writes"
        droplet.gate.look("other data come into place")
        if error is not None:
            raise error
        return {"outcome": "restored"}

    return run(droplet, lambda _: quietly(droplet.world, droplet.settings, "a restore", work), plan)


def test_nobody_writes_meanwhile_and_all_runs_again(serving: Droplet) -> None:
    answer = _work(serving).answer
    assert answer == {"outcome": "restored", "backend": f"backend-{serving.live} is ready"}
    assert _runs(serving)


def test_it_runs_again_also_where_the_work_fails_and_that_is_told(serving: Droplet) -> None:
    error = _work(serving, error=BackupError("no room")).error
    assert (type(error), getattr(error, "__notes__", [])) == (
        BackupError,
        [f"backend-{serving.live} is ready"],
    )
    assert _runs(serving)


@pytest.mark.parametrize(
    ("begun", "told"),
    [
        (to_json(BEGUN), "stays stopped: a restore that bob .* undo=True gives it up"),
        ("{", "could not be started .*restore.json is not valid JSON.*: deploy.resume starts it"),
    ],
)
def test_where_the_work_fails_it_is_told_what_stays_stopped(serving: Droplet, begun: str, told: str) -> None:
    serving.disk.place(serving.paths.restore, begun)
    error = _work(serving, error=BackupError("no room")).error
    assert isinstance(error, BackupError)
    (note,) = error.__notes__
    assert re.search(told, note, re.DOTALL), note
    assert not serving.running


def test_wherever_it_is_killed_the_same_or_a_boot_starts_it_again(serving: Droplet) -> None:
    for number in itertools.count(1):
        killed = _work(serving, Plan(at={number: Fault("kill")})).killed
        if number % 2:
            assert _work(serving).answer["outcome"] == "restored"
        else:
            settle(serving)
        assert _runs(serving), number
        if not killed:
            break
    assert number > 5


def test_it_stays_stopped_while_nobody_knows_which_data_are_live(serving: Droplet) -> None:
    serving.disk.place(serving.paths.restore, to_json(BEGUN))
    assert "stays stopped: a restore that bob began" in _work(serving).answer["backend"]
    assert not serving.running
    serving.disk.place(serving.paths.restore, to_json(BEGUN | {"came_up": True}))
    assert "is ready" in _work(serving).answer["backend"]
    assert _runs(serving)


def test_nothing_else_starts_it_while_nobody_knows_which_data_are_live(serving: Droplet) -> None:
    serving.disk.place(serving.paths.restore, to_json(BEGUN))
    _work(serving)
    ended = run(serving, settling(serving))
    assert ended.answer["ready"] is False
    (said,) = [line for line in ended.heard if "is left as it is" in line]
    assert said.startswith(f"backend-{serving.live} is left as it is: a restore that bob began")
    # PostgreSQL may well run, on data that the restore throws away.
    for record in (ship(serving, "1.1.0"), back(serving, serving.world.ledger.ids()[0])):
        assert (record.outcome, "undo=True gives it up" in record.reason) == ("refused", True), record
    assert not serving.running
    # Once it has come up, what is live stays.
    serving.disk.place(serving.paths.restore, to_json(BEGUN | {"came_up": True}))
    settle(serving)
    assert _runs(serving)


def test_given_up_or_finished_it_runs_again(serving: Droplet) -> None:
    serving.disk.place(serving.paths.restore, to_json(BEGUN))
    _work(serving)

    def ended() -> dict[str, str]:
        serving.disk.remove(serving.paths.restore)
        return {"outcome": "undone"}

    answer = run(serving, lambda _: quietly(serving.world, serving.settings, "undo", ended)).answer
    assert answer == {"outcome": "undone", "backend": f"backend-{serving.live} is ready"}
    assert _runs(serving)


def test_what_can_not_be_started_is_no_reason_to_forget_what_was_done(serving: Droplet) -> None:
    serving.docker.there.clear()
    answer = _work(serving).answer
    assert answer["outcome"] == "restored"
    assert "deploy.resume starts it" in answer["backend"]


def test_an_interrupted_release_waits_for_a_restore_that_is_not_decided(serving: Droplet) -> None:
    live = serving.live
    kill_at(serving, "1.1.0", "start:end")
    _work(serving)
    serving.disk.place(serving.paths.restore, to_json(BEGUN))
    for ended in (run(serving, settling(serving)), run(serving, settling(serving))):
        assert isinstance(ended.error, EdgeError)
        assert re.search(
            r"was interrupted at start, and this comes first: a restore that bob", str(ended.error)
        )
        assert not serving.running
    record = ship(serving, "1.1.0")
    assert (record.outcome, "this comes first" in record.reason) == ("refused", True)
    serving.disk.remove(serving.paths.restore)
    settle(serving)
    assert (serving.live, serving.world.journal.read()) == (live, None)
    assert _runs(serving)


def test_behind_an_interrupted_release_what_is_live_waits_for_its_end(serving: Droplet) -> None:
    kill_at(serving, "1.1.0", "start:end")
    assert "stays stopped: release" in _work(serving).answer["backend"]
    assert not serving.running
    settle(serving)
    assert _runs(serving)


def test_a_lost_live_map_starts_nothing_while_nobody_knows_which_data_are_live(serving: Droplet) -> None:
    serving.disk.place(serving.paths.restore, to_json(BEGUN))
    _work(serving)
    serving.world.edge.switch(None)
    ended = run(serving, settling(serving))
    assert any("is left as it is: a restore that bob began" in line for line in ended.heard)
    assert not serving.running
    serving.disk.remove(serving.paths.restore)
    settle(serving)
    assert _runs(serving)
