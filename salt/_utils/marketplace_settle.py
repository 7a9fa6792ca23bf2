"""Settling: world, edge and ledger are brought in step with the live map, whatever was interrupted."""

from typing import Any

from marketplace_colour import is_ready, keep_up, remove_strays, stop
from marketplace_container import DockerError
from marketplace_edge import EdgeError
from marketplace_flight import Flight
from marketplace_job_runs import stop_jobs
from marketplace_ledger import LedgerError
from marketplace_progress import Progress
from marketplace_records import COLOURS, ReleaseRecord, other_colour
from marketplace_release import carry_on, conclude, take_back
from marketplace_release_compose import MIGRATION, project, serves_here, stop_seconds, worker
from marketplace_restore_begun import undecided
from marketplace_retention import keep_name
from marketplace_settings_moving import unreleased
from marketplace_world import World


def settle(world: World, settings: dict[str, Any], progress: Progress, patient: bool = True) -> str | None:
    """Finish or undo what was interrupted, then have the live colour run. Twice equals once.

    Args:
        patient: wait for a live colour that runs and is not ready. A release that mends it need not.

    Returns:
        What was done to an interrupted release, in words; None where there was none.

    Raises:
        DockerError, EdgeError, LedgerError, OSError, ValueError: what is in the way. Nothing that serves was stopped.
    """
    _make_durable(world)
    entry = world.journal.read()
    if entry is None:
        _run_live(world, settings, progress, patient)
        return None
    flight = Flight.from_dict(entry)
    if flight.run.release in world.ledger.ids():
        conclude(world, flight, "", progress)
        _run_live(world, settings, progress)
        return None
    waiting = undecided(world.paths, world.disk)
    if waiting:
        # It would be finished, or undone, on data that may be thrown away.
        raise EdgeError(
            f"release {flight.run.release} was interrupted at {flight.step}, and this comes first: {waiting}"
        )
    interrupted_at = flight.step
    if flight.phase == "do" and world.edge.live() == flight.run.colour:
        # The map names it: it is finished. HAProxy is told at the switch, behind the steps that see it ready; until
        # then it may still route to the old colour. One that does not answer now is mended before anything is done.
        world.edge.runtime_live()
        record = carry_on(world, flight, progress, resumed=True)
    else:
        if not flight.reason:
            flight.reason = f"{flight.step}: interrupted (killed, or the droplet went down)"
            flight.note(flight.step, 0.0, "failed", "interrupted")
        record = take_back(world, flight, progress)
    if world.journal.read() is not None:
        raise EdgeError(record.reason)
    resumed = f"{flight.run.request.kind} {flight.run.release} was interrupted at {interrupted_at}: " + (
        "finished" if record.outcome == "live" else "undone"
    )
    progress.say(resumed)
    _run_live(world, settings, progress)
    return resumed


def _make_durable(world: World) -> None:
    """What a killed process wrote may be there and not survive a power loss: it must, before anything builds on it."""
    for directory in (world.paths.state, world.paths.journal, world.paths.ledger):
        if world.disk.is_directory(directory):
            world.disk.sync_directory(directory)


def _run_live(world: World, settings: dict[str, Any], progress: Progress, patient: bool = True) -> None:
    """The live colour runs, the edge knows it and is open, and only then is the other colour stopped."""
    record = world.ledger.live()
    live = world.edge.live()
    grace = stop_seconds(settings)
    # What it writes would be thrown away by the restore, or be left where the data were moved from.
    waiting = undecided(world.paths, world.disk) or unreleased(world.ledger, world.paths.releases, settings)
    world.docker.remove(MIGRATION)
    remove_strays(world)
    known = live or (record.colour if record else None)
    if known is None:
        stop(world, grace, *COLOURS)
    elif waiting:
        progress.say(f"{project(known)} is left as it is: {waiting}")
    elif live is None or not _try_up(world, settings, live, progress, patient):
        live = _other_that_serves(world, settings, live, record, progress)
    world.edge.synchronise()
    if world.edge.maintenance()["release"]:
        world.edge.maintain("release", False)
        progress.say("updates are let in again: the release that kept them out is over")
    if live is not None and is_ready(world, settings, live):
        stop(world, grace, other_colour(live))
        _settle_worker(world, settings, live, bool(waiting))
        serves = world.docker.containers(project(live))[project(live)].labels.get("marketplace.release")
        stop_jobs(world, f"release {serves} is live", lambda release: release != serves)


def _try_up(
    world: World, settings: dict[str, Any], colour: str, progress: Progress, patient: bool = True
) -> bool:
    """Start a colour's containers, made anew from its release's files where they are gone; whether it is ready."""
    try:
        if project(colour) not in world.docker.containers(project(colour)):
            _make_anew(world, colour)
        if keep_up(world, settings, colour, patient):
            return True
        progress.say(f"{project(colour)} runs, but is not ready")
    except (DockerError, LedgerError) as error:
        progress.say(f"{project(colour)} cannot be started: {error}")
    return False


def _make_anew(world: World, colour: str) -> None:
    record = world.ledger.live()
    if record is None or record.colour != colour:
        raise LedgerError(f"no release in the ledger is live in {colour}")
    file = world.paths.releases / record.release / "compose.yaml"
    if file.name not in world.disk.names(file.parent):
        raise LedgerError(f"the files of release {record.release} are gone ({file})")
    # All that the engine had may be gone as well.
    if world.docker.image(record.image) is None:
        world.docker.pull(record.image)
        world.docker.tag(record.image, keep_name(record.origin))
    world.docker.start_project(file, "backend")


def _settle_worker(world: World, settings: dict[str, Any], colour: str, waiting: bool) -> None:
    """The live release's worker is there, and was started; while another host serves the bot, none is.

    Args:
        waiting: what it writes might be thrown away, so that none is started.
    """
    name, record = worker(colour), world.ledger.live()
    there = bool(world.docker.containers(name))
    if not serves_here(settings):
        if there:
            world.docker.stop(name, grace=stop_seconds(settings))
            world.docker.remove(name)
    elif not there and not waiting and record is not None and record.colour == colour:
        directory = world.paths.releases / record.release
        if (world.disk.read_json(directory / "contract.json") or {}).get("worker"):
            world.docker.start_project(directory / "compose.yaml", "worker")


def _other_that_serves(
    world: World, settings: dict[str, Any], live: str | None, record: ReleaseRecord | None, progress: Progress
) -> str:
    """The map names nobody, or somebody who cannot serve: whoever does serve is live from now on.

    Nothing is stopped on the word of a map like that.
    """
    known = record.colour if record else None
    for colour in sorted(COLOURS, key=lambda colour: colour != known):
        exists = project(colour) in world.docker.containers(project(colour))
        if colour != live and exists and is_ready(world, settings, colour):
            words = f"the live map named {live or 'nobody'}, but {colour} serves: {colour} is live"
            progress.say(words)
            world.spool.emit("edge.live_mended", "critical", words)
            world.edge.switch(colour)
            return colour
    if live is None and known is not None and _try_up(world, settings, known, progress):
        world.edge.switch(known)
        return known
    if live is None:
        raise EdgeError(f"the live map names nobody, and {project(known or 'blue')} is not ready either")
    return live
