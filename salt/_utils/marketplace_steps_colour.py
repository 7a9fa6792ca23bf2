"""The steps that move traffic from one colour to the other, watch the new one, and let the old one go."""

import contextlib
from typing import Any

import yaml
from marketplace_colour import asked, fate, is_ready, keep_up, looked_at, remove_strays, stop
from marketplace_container import ContainerState, DockerError
from marketplace_contract import VERSION_PATH
from marketplace_edge import EdgeError
from marketplace_flight import Run
from marketplace_job_runs import running_of, stop_jobs
from marketplace_log_lines import readable
from marketplace_probe import VERIFY_PORT, NoAnswer
from marketplace_release_compose import project, render, worker
from marketplace_soak import UNREADY_LOOKS, Baseline, containers_alarm, errors_alarm, since, webhook_alarm
from marketplace_step import NoWayBack, StepFailed, Withdrawn
from marketplace_world import World

LOG_LINES = 15
# How long the edge may take to see what is ready: it looks every two seconds.
EDGE_SECONDS = 15
# How often the new colour is looked at while it soaks, and how often Telegram is asked about it.
LOOK_SECONDS = 1.0
ASK_EVERY = 5
# How long a new colour is watched that nobody is let in to.
CLOSED_SECONDS = 5


def close_edge(world: World, run: Run) -> str:
    """Updates wait at Telegram from now on, and nothing writes any more."""
    world.edge.maintain("release", True)
    stop_jobs(world, f"release {run.release} is in maintenance")
    if run.live_colour is None:
        return "updates wait at Telegram"
    old = run.live_colour
    _let_go(world, run, old)
    return f"updates wait at Telegram, {project(old)} stopped"


def reopen_edge(world: World, run: Run) -> None:
    """The old colour is started and waited for before updates are let in: ready, or as unready as it was before."""
    if run.live_colour:
        keep_up(world, run.settings, run.live_colour)
        _seen_by_edge(world, run.live_colour)
    world.edge.maintain("release", False)


def open_edge(world: World, run: Run) -> str:
    """Let updates in again: from here on there is no way back, for the restore point does not know them."""
    world.edge.maintain("release", False)
    return "updates are let in again"


def edge_is_open(world: World, run: Run) -> bool:
    return not world.edge.maintenance()["release"]


def start(world: World, run: Run) -> str:
    """Write the release's immutable compose file and start its backend in the idle colour."""
    directory = run.directory(world)
    if world.edge.live() == run.colour and has_started(world, run):
        return f"{project(run.colour)} runs and is live"
    document = render(
        run.settings,
        run.declared,
        run.release,
        run.version,
        run.image,
        run.colour,
        str(world.paths.delivered / "backend"),
    )
    world.disk.write(directory / "compose.yaml", yaml.safe_dump(document, sort_keys=False))
    world.docker.remove(project(run.colour), worker(run.colour))
    strays = remove_strays(world)
    world.docker.start_project(directory / "compose.yaml", "backend")
    also = f"; removed what an interrupted start had left: {', '.join(strays)}" if strays else ""
    return f"{project(run.colour)} started{also}"


def has_started(world: World, run: Run) -> bool:
    return _runs(world, run, project(run.colour))


def remove_idle(world: World, run: Run) -> None:
    """Take the new colour away again, once it has answered what it was sent while it was live."""
    if run.was_live:
        with contextlib.suppress(DockerError):
            _let_go(world, run, run.colour)
        stop_jobs(world, f"release {run.release} went back", lambda release: release == run.release)
    world.docker.remove(project(run.colour), worker(run.colour))
    remove_strays(world)


def wait(world: World, run: Run) -> str:
    """Wait until the new backend is ready, and the edge knows; fail early, with its last words, when it exits."""
    name = project(run.colour)
    fates: list[str] = []
    answer = ""

    def settled() -> bool:
        nonlocal answer
        heed_withdrawal(world, run)
        ready, answer = asked(world, run.settings, run.colour)
        if ready:
            return True
        memory = int(run.settings["backend"]["limits"]["memory"])
        found = fate(looked_at(world, name).get(name), memory)
        if found:
            fates.append(found)
        return bool(found)

    timeout = run.settings["backend"]["ready_timeout"]
    if not world.clock.wait_until(settled, timeout=timeout) or fates:
        why = fates[0] if fates else f"it did not become ready within {timeout} s ({answer})"
        raise StepFailed(f"{name}: {why}.{last_words(world, name)}")
    if not _seen_by_edge(world, run.colour):
        raise StepFailed(
            f"{name} is ready, but the edge's check of it does not pass; see: deploy.logs service=edge"
        )
    return f"{name} is ready"


def _seen_by_edge(world: World, colour: str) -> bool:
    """Wait for the edge's next look, or /healthz would say "unhealthy" until then."""
    return world.clock.wait_until(lambda: world.edge.check_passes(colour), timeout=EDGE_SECONDS)


def is_waited_for(world: World, run: Run) -> bool:
    return is_ready(world, run.settings, run.colour)


def last_words(world: World, name: str) -> str:
    """The end of a container's log, for a reason; deploy.logs has all of it."""
    words = readable(world.scrubbed(world.docker.logs(name, LOG_LINES)), LOG_LINES)
    return f"\nIts last words:\n{words}" if words else " It said nothing."


def switch(world: World, run: Run) -> str:
    """Make the new colour live: the file first, then HAProxy's runtime map."""
    run.switched = world.clock.now().timestamp()
    world.edge.switch(run.colour)
    return f"{run.live_colour or 'none'} -> {run.colour}"


def is_switched(world: World, run: Run) -> bool:
    return world.edge.live() == run.colour == world.edge.runtime_live()


def switch_back(world: World, run: Run) -> None:
    """The old colour is live again. It may have been stopped meanwhile (a reboot), so it is started first.

    In maintenance nobody is let in yet, and the old colour may need its old schema: it is started once it has that.
    """
    if (
        run.live_colour
        and not run.maintenance
        and not keep_up(world, run.settings, run.live_colour)
        and is_ready(world, run.settings, run.colour)
    ):
        raise NoWayBack(f"{project(run.live_colour)} is not ready, and {project(run.colour)} is")
    run.was_live = True
    world.edge.switch(run.live_colour)


def verify(world: World, run: Run) -> str:
    """Ask for the version through the edge: it must be the new release that answers."""
    try:
        status, document = world.probe.get("127.0.0.1", VERIFY_PORT, VERSION_PATH, timeout=10, tls=True)
    except NoAnswer as error:
        raise StepFailed(f"the edge: {error}") from error
    answered = document.get("release") if isinstance(document, dict) else None
    if status != 200 or answered != run.release:
        raise StepFailed(
            f"behind the edge release {answered or '?'} answers (HTTP {status}), not {run.release}"
        )
    return f"release {run.release} answers through the edge"


def is_verified(world: World, run: Run) -> bool:
    """Never by what was seen before an interruption: it is looked at again."""
    return False


def move_worker(world: World, run: Run) -> str:
    """Singleton workers: the old one stops before the new one starts."""
    if run.live_colour and world.docker.containers(worker(run.live_colour)):
        world.docker.stop(worker(run.live_colour), grace=run.stop_grace)
    if not run.declared.worker:
        return "this image has no worker"
    if not run.has_worker:
        return "not started: another host serves the bot (telegram:register)"
    world.docker.start_project(run.directory(world) / "compose.yaml", "worker")
    return f"{worker(run.colour)} started"


def worker_moved(world: World, run: Run) -> bool:
    if run.live_colour:
        states = world.docker.containers(worker(run.live_colour))
        if any(state.status != "exited" for state in states.values()):
            return False
    return not run.has_worker or _runs(world, run, worker(run.colour))


def move_worker_back(world: World, run: Run) -> None:
    """On the way back as well: the new worker stops before the old one starts."""
    world.docker.stop(worker(run.colour), grace=run.stop_grace)
    if run.live_colour and not run.maintenance and world.docker.containers(worker(run.live_colour)):
        world.docker.start(worker(run.live_colour))


def soak(world: World, run: Run) -> str:
    """Watch the new colour under what users do, and fail at the first alarm."""
    seconds = soak_seconds(run)
    if not seconds:
        return "not asked for"
    if run.live_colour is None:
        return "there is nothing to go back to"
    names = [project(run.colour), *([worker(run.colour)] if run.has_worker else [])]
    info = _webhook_info(world, run)
    states = world.docker.containers(*names)
    baseline = Baseline(
        world.edge.counters(run.colour),
        {name: states[name].restarts if name in states else 0 for name in names},
        int(info.get("pending_update_count") or 0) if info else None,
        run.switched or world.clock.now().timestamp(),
    )
    begun = world.clock.monotonic()
    unready = looks = 0
    alarms: list[str] = []

    def over() -> bool:
        nonlocal unready, looks
        heed_withdrawal(world, run)
        looks += 1
        ready, answer = asked(world, run.settings, run.colour)
        unready = 0 if ready else unready + 1
        found = containers_alarm(baseline, looked_at(world, *names)) or errors_alarm(
            baseline, world.edge.counters(run.colour), run.settings["backend"]["soak_errors"]
        )
        if not found and unready >= UNREADY_LOOKS:
            found = f"{names[0]} is no longer ready ({answer})"
        if not found and looks % ASK_EVERY == 0:
            found = webhook_alarm(baseline, _webhook_info(world, run))
        if found:
            alarms.append(found)
        return bool(found) or world.clock.monotonic() - begun >= seconds

    world.clock.wait_until(over, timeout=seconds + LOOK_SECONDS, interval=LOOK_SECONDS)
    if alarms:
        raise StepFailed(f"{alarms[0]}.{last_words(world, names[0])}")
    seen = since(baseline, world.edge.counters(run.colour))
    return f"{seconds} s, {seen.answers} requests, {seen.errors} failed"


def _webhook_info(world: World, run: Run) -> dict[str, Any] | None:
    """What Telegram says of our webhook; nothing while it is another host's."""
    telegram = run.settings["telegram"]
    return world.telegram.webhook_info(telegram["api_url"]) if telegram.get("register", True) else None


def soak_seconds(run: Run) -> int:
    """How long this release is watched; in maintenance briefly, for users wait and there is little to see.

    One that was interrupted is not watched longer than the setting says: those who settle it have their own deadlines.
    """
    seconds = int(run.settings["backend"]["soak"])
    if run.request.soak is not None:
        return min(run.request.soak, seconds) if run.resumed else run.request.soak
    return min(seconds, CLOSED_SECONDS) if run.maintenance else seconds


def heed_withdrawal(world: World, run: Run) -> None:
    """Stop where somebody asked for this release to be taken back."""
    by = world.journal.withdrawn(run.release)
    if by:
        raise Withdrawn(f"withdrawn by {by}")


def drain(world: World, run: Run) -> str:
    """Let the old colour finish its requests, then stop it gracefully."""
    old = run.live_colour
    if old is None:
        return "nothing was live before"
    stop_jobs(world, f"release {run.release} is live", lambda release: release != run.release)
    drained = _let_go(world, run, old)
    return f"{project(old)} stopped" + ("" if drained else " with requests still open")


def _let_go(world: World, run: Run, colour: str) -> bool:
    """Stop a colour that is no longer live once its requests are over; whether they all were."""
    drained = _has_answered(world, colour, run.stop_grace)
    stop(world, run.stop_grace, colour)
    return drained


def is_drained(world: World, run: Run) -> bool:
    if run.live_colour is None:
        return True
    states: dict[str, ContainerState] = world.docker.containers(
        project(run.live_colour), worker(run.live_colour)
    )
    still = running_of(world, lambda release: release != run.release)
    return not still and all(state.status == "exited" for state in states.values())


def _has_answered(world: World, colour: str, seconds: float) -> bool:
    """Wait until a colour has answered all that it was sent; who cannot ask the edge does not know that it has."""

    def idle() -> bool:
        with contextlib.suppress(EdgeError):
            return world.edge.sessions(colour) == 0
        return False

    return world.clock.wait_until(idle, timeout=seconds)


def _runs(world: World, run: Run, name: str) -> bool:
    state = world.docker.containers(name).get(name)
    return state is not None and state.running and state.labels.get("marketplace.release") == run.release
