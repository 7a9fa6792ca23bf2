"""Ways to break the engine on purpose, each of which the simulation has to find."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import marketplace_release
import marketplace_settle
import marketplace_steps_colour
import marketplace_steps_house
import marketplace_steps_schema
import pytest
from marketplace_colour import keep_up, stop
from marketplace_durable import Disk
from marketplace_edge import Edge
from marketplace_journal import Journal
from marketplace_ledger import Ledger
from marketplace_release_compose import project, worker
from marketplace_step import Step
from marketplace_steps import STEPS

Break = Callable[[pytest.MonkeyPatch], None]


def _steps(patch: pytest.MonkeyPatch, steps: list[Step]) -> None:
    patch.setattr(marketplace_release, "STEPS", tuple(steps))
    patch.setattr(marketplace_release, "STEP_NAMES", tuple(step.name for step in steps))


def _changed(patch: pytest.MonkeyPatch, name: str, **changes: Any) -> None:
    _steps(patch, [replace(step, **changes) if step.name == name else step for step in STEPS])


def _moved(patch: pytest.MonkeyPatch, name: str, before: str) -> None:
    step = next(step for step in STEPS if step.name == name)
    steps = [other for other in STEPS if other.name != name]
    steps.insert([other.name for other in steps].index(before), step)
    _steps(patch, steps)


def content_is_not_synced(patch: pytest.MonkeyPatch) -> None:
    def write(
        disk: Disk, path: Path, data: str | bytes, mode: int = 0o644, uid: Any = None, gid: Any = None
    ) -> None:
        content = data.encode() if isinstance(data, str) else data
        disk.rename(disk.create_temporary(path, content, mode, uid, gid), path)
        disk.sync_directory(path.parent)

    patch.setattr(Disk, "write", write)


def names_are_not_synced(patch: pytest.MonkeyPatch) -> None:
    def write(
        disk: Disk, path: Path, data: str | bytes, mode: int = 0o644, uid: Any = None, gid: Any = None
    ) -> None:
        content = data.encode() if isinstance(data, str) else data
        temporary = disk.create_temporary(path, content, mode, uid, gid)
        disk.sync_file(temporary)
        disk.rename(temporary, path)

    patch.setattr(Disk, "write", write)


def what_a_killed_process_wrote_is_believed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marketplace_settle, "_make_durable", lambda world: None)


def journal_is_written_once(patch: pytest.MonkeyPatch) -> None:
    written = Journal.write

    def write(journal: Journal, entry: dict[str, Any]) -> None:
        if journal.read() is None:
            written(journal, entry)

    patch.setattr(Journal, "write", write)


def journal_is_never_written(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Journal, "write", lambda journal, entry: None)


def journal_is_cleared_before_the_record_is_there(patch: pytest.MonkeyPatch) -> None:
    appended = Ledger.append

    def append(ledger: Ledger, record: Any) -> Any:
        Journal(ledger.directory.with_name("journal"), ledger.disk).clear()
        return appended(ledger, record)

    patch.setattr(Ledger, "append", append)


def haproxy_is_told_before_the_file(patch: pytest.MonkeyPatch) -> None:
    def switch(edge: Edge, colour: str | None) -> None:
        edge._set(edge.live_map, edge._runtime(edge.live_map), {"live": colour or "none"})
        edge.disk.write(edge.live_map, f"live {colour or 'none'}\n")

    patch.setattr(Edge, "switch", switch)


def switch_does_not_wait_until_it_is_ready(patch: pytest.MonkeyPatch) -> None:
    _changed(patch, "wait", do=lambda world, run: "surely ready")


def worker_moves_before_the_switch(patch: pytest.MonkeyPatch) -> None:
    _moved(patch, "worker", before="switch")


def drain_comes_before_verify(patch: pytest.MonkeyPatch) -> None:
    _moved(patch, "drain", before="verify")


def drain_does_not_wait(patch: pytest.MonkeyPatch) -> None:
    def drain(world: Any, run: Any) -> str:
        if run.live_colour:
            stop(world, run.stop_grace, run.live_colour)
        return "stopped"

    _changed(patch, "drain", do=drain)


def new_worker_starts_beside_the_old(patch: pytest.MonkeyPatch) -> None:
    def move(world: Any, run: Any) -> str:
        world.docker.start_project(run.directory(world) / "compose.yaml", "worker")
        if run.live_colour:
            world.docker.stop(worker(run.live_colour), grace=run.stop_grace)
        return "moved"

    _changed(patch, "worker", do=move)


def old_worker_comes_back_beside_the_new(patch: pytest.MonkeyPatch) -> None:
    def back(world: Any, run: Any) -> None:
        if run.live_colour and world.docker.containers(worker(run.live_colour)):
            world.docker.start(worker(run.live_colour))
        world.docker.stop(worker(run.colour), grace=run.stop_grace)

    _changed(patch, "worker", undo=back)


def going_back_does_not_start_what_it_goes_back_to(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marketplace_steps_colour, "keep_up", lambda world, settings, colour: True)


def going_back_forgets_maintenance(patch: pytest.MonkeyPatch) -> None:
    _changed(patch, "maintenance", undo=lambda world, run: keep_up(world, run.settings, run.live_colour))


def going_back_forgets_the_restore_point(patch: pytest.MonkeyPatch) -> None:
    _changed(patch, "restore-point", undo=None)


def going_back_forgets_the_new_colour(patch: pytest.MonkeyPatch) -> None:
    _changed(patch, "start", undo=None)


def prune_ignores_what_is_pinned(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marketplace_steps_house, "pinned", lambda records, keep: [])
    patch.setattr(marketplace_steps_house, "ancestors", lambda records, start, keep: [])


def strays_are_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marketplace_steps_colour, "remove_strays", lambda world: [])
    patch.setattr(marketplace_settle, "remove_strays", lambda world: [])


def downgrade_comes_before_drain(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(marketplace_steps_schema, "is_drained", lambda world, run: True)
    _moved(patch, "downgrade", before="drain")


def new_colour_goes_with_its_requests(patch: pytest.MonkeyPatch) -> None:
    def remove(world: Any, run: Any) -> None:
        world.docker.remove(project(run.colour), worker(run.colour))

    _changed(patch, "start", undo=remove)


def resume_undoes_no_more_than_it_looked_at(patch: pytest.MonkeyPatch) -> None:
    def reach(flight: Any, step: Step) -> None:
        flight.step = step.name

    patch.setattr(marketplace_release, "_reach", reach)


# Each with the operation in which it shows.
BREAKAGES: tuple[tuple[Break, str], ...] = (
    (content_is_not_synced, "release"),
    (names_are_not_synced, "release"),
    (what_a_killed_process_wrote_is_believed, "release"),
    (journal_is_written_once, "release that is withdrawn"),
    (journal_is_never_written, "release"),
    (journal_is_cleared_before_the_record_is_there, "release"),
    (haproxy_is_told_before_the_file, "release"),
    (switch_does_not_wait_until_it_is_ready, "release"),
    (worker_moves_before_the_switch, "release"),
    (drain_comes_before_verify, "release"),
    (drain_does_not_wait, "release"),
    (new_worker_starts_beside_the_old, "release"),
    (old_worker_comes_back_beside_the_new, "release that goes back"),
    (going_back_does_not_start_what_it_goes_back_to, "release in maintenance that goes back"),
    (going_back_forgets_maintenance, "release in maintenance that goes back"),
    (going_back_forgets_the_restore_point, "release in maintenance that goes back"),
    (going_back_forgets_the_new_colour, "release that goes back"),
    (prune_ignores_what_is_pinned, "release"),
    (strays_are_left, "release behind a killed compose"),
    (downgrade_comes_before_drain, "rollback"),
    (new_colour_goes_with_its_requests, "release that is withdrawn"),
    (resume_undoes_no_more_than_it_looked_at, "release that is withdrawn"),
)
