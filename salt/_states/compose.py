"""Compose projects whose containers are kept running, and never restarted unless that is allowed."""

import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from marketplace_compose import (
    Container,
    Hold,
    Plan,
    Service,
    major,
    parse_hashes,
    plan,
    services,
    short,
    unwell,
)
from marketplace_container import DockerError
from marketplace_docker_socket import PATIENT, DockerSocket
from marketplace_durable import make_directory, write_atomic
from marketplace_paths import Paths
from marketplace_pending import ALLOW, RESTART, record
from marketplace_undisturbed import Busy, busy, not_replaced, replaced, undisturbed
from marketplace_yaml import load
from salt.utils.path import which

_SECONDS = 300
_PULL_SECONDS = 900
# In a session of its own, with nothing to say to a pipe: whoever hangs up, types Ctrl-C or is killed half way leaves no
# service without its container.
_COMPOSE = ("setsid", "--wait", "docker", "compose", "--progress", "quiet")
# A container that has ended so often since it was started will not come up.
_RESTARTS = 5
# No service may take longer to stop.
_RETIRING = 900


class _Failure(Exception):
    pass


def running(
    name: str,
    file: str,
    read_at_start: dict[str, list[str]] | None = None,
    holds: dict[str, dict[str, str]] | None = None,
    images: dict[str, str] | None = None,
    versions: dict[str, dict[str, Any]] | None = None,
    prepare: dict[str, list[str]] | None = None,
    retired: list[str] | None = None,
    allow_restart: bool = False,
    timeout: int = 180,
) -> dict[str, Any]:
    """Ensure the project's containers exist, run and are healthy.

    Missing containers are created and stopped ones started. A container whose definition changed is made again only
    with ``allow_restart``, whether it runs or not; else it goes on, or is started, as it is: what ran before comes
    back first. Then the comment says why a restart is pending, and deploy.status shows it.

    What a restart needs is there before anything stops. It is refused while a release, backups or a job are at work,
    and they are held off meanwhile; so is taking away what is retired. Starting what is down is refused only while
    other data are being put in the live ones' place. Where a service does not come up with another image, it gets the
    one it had back.

    Args:
        name: the project.
        file: its compose file; every service has a container_name.
        images: service -> the image that the file will say, for a prediction before it is written.
        versions: service -> {command: prints the version of an image, file: says which major version its data is of};
            an image of another major version is refused.
        prepare: service -> a command in its container just before it is stopped, that it may stop sooner.
        retired: services that the file no longer has: their containers are stopped, with the time that they need, and
            removed. Their data stay.
        read_at_start: service -> files that it reads only when it starts.
        holds: service -> {directory: its data, file: what is always in there once it was made, mark: a file elsewhere,
            written when that was first seen}. With the mark but without the file the data was lost: then nothing is
            started, since the service would make new, empty data and look healthy.
        allow_restart: whether running containers may be restarted or made again.
        timeout: seconds to wait for health.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": f"Project {name} is running",
    }
    if __opts__["test"] and not (which("docker") and Path(file).exists()):
        return ret | {
            "result": None,
            "changes": {"project": {"old": None, "new": name}},
            "comment": f"Project {name} would be created",
        }
    waiting: dict[str, str] = {}
    kept: list[Hold] = []
    try:
        wanted = _wanted(name, file)
        here = {service.name for service in wanted}
        kept = [Hold(service, **facts) for service, facts in (holds or {}).items() if service in here]
        _refuse_lost(kept)
        if __opts__["test"]:
            wanted = [replace(one, image=(images or {}).get(one.name, one.image)) for one in wanted]
        gone = frozenset(retired or ())
        found = _containers(name)
        todo = plan(wanted, found, _times(read_at_start or {}), gone)
        changes = _changes(todo, allow_restart) | _unmarked(kept)
        waiting = {} if allow_restart else todo.pending
        # What is down already serves nobody that could be disturbed, but a restore may have stopped it. What is retired
        # serves until it goes.
        starts = bool(todo.missing or todo.stopped)
        disturbs = bool(todo.retired) or (allow_restart and bool(todo.pending.keys() - set(todo.stopped)))
        if __opts__["test"]:
            verdict = {"result": None, "comment": f"Project {name} would be brought up"} if changes else {}
            why = busy(Paths()) if disturbs else replaced(Paths()) if starts else None
            if why:
                verdict = {"result": False, "comment": f"Now it would be refused: {why}"}
            return _with_pending(ret | verdict | {"changes": changes}, waiting)
        remaking = sorted(todo.outdated) if allow_restart else []
        _fetch([one for one in wanted if one.name in {*todo.missing, *remaking}], versions or {})
        with undisturbed(Paths(), "state.apply") if disturbs else nullcontext():
            moved = bool(changes.keys() - _unmarked(kept).keys())
            if moved:
                with not_replaced(Paths(), "state.apply") if starts and not disturbs else nullcontext():
                    _bring_up(name, file, wanted, todo, allow_restart, prepare or {})
            if moved or unwell(wanted, found):
                found = _wait_or_return(name, file, wanted, todo if allow_restart else None, timeout)
        todo = plan(wanted, found, _times(read_at_start or {}), gone)
        _mark(kept)
        record(Paths().pending, f"{RESTART}{name}", todo.pending)
    except Busy as error:
        comment = f"Project {name} is left as it is, for that would disturb what is at work: {error}"
        return _with_pending(ret | {"result": False, "comment": comment}, todo.pending)
    except (_Failure, ValueError, OSError) as error:
        return _with_pending(ret | {"result": False, "comment": str(error)}, waiting)
    remaining = _changes(todo, allow_restart) | _unmarked(kept)
    if remaining:
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"Project {name} is still not up: {remaining}",
        }
    return _with_pending(ret | {"changes": changes}, todo.pending)


def _with_pending(ret: dict[str, Any], pending: dict[str, str]) -> dict[str, Any]:
    if not pending:
        return ret
    why = "; ".join(f"{service} ({reason})" for service, reason in sorted(pending.items()))
    return ret | {"comment": f"{ret['comment']}. Pending restart: {why}. Allow it with: {ALLOW}"}


def _wanted(name: str, file: str) -> list[Service]:
    document = load(Path(file).read_text())
    # Compose has no project without services.
    if not document["services"]:
        return []
    hashes = parse_hashes(_run("docker", "compose", "-p", name, "-f", file, "config", "--hash", "*"))
    return services(document, hashes)


def _containers(name: str) -> list[Container]:
    docker = DockerSocket(Paths().docker_socket, PATIENT)
    try:
        return [Container.parse(document) for document in docker.project(name)]
    except DockerError as error:
        raise _Failure(str(error)) from error


def _times(read_at_start: dict[str, list[str]]) -> dict[str, dict[str, float]]:
    return {
        service: {path: Path(path).stat().st_mtime for path in files if Path(path).exists()}
        for service, files in read_at_start.items()
    }


def _changes(todo: Plan, allow_restart: bool) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for container in (*todo.leftovers, *todo.retired):
        changes[container] = {"old": "left over", "new": None}
    for service in todo.missing:
        changes[service] = {"old": None, "new": "running"}
    for service in todo.stopped:
        changes[service] = {"old": "stopped", "new": "running"}
    if allow_restart:
        for service, why in todo.pending.items():
            changes[service] = {"old": why, "new": "restarted"}
    return changes


def _refuse_lost(kept: list[Hold]) -> None:
    for hold in kept:
        if hold.lost:
            raise _Failure(
                f"{hold.service} had its data in {hold.directory} but {hold.path} is gone, so it is not started on an "
                "empty directory. Restore the data and apply again; to start with new, empty data on purpose: "
                f"rm {hold.mark}, then apply again."
            )


def _unmarked(kept: list[Hold]) -> dict[str, Any]:
    return {f"mark of {hold.service}": {"old": None, "new": hold.mark} for hold in kept if hold.unmarked}


def _mark(kept: list[Hold]) -> None:
    for hold in kept:
        if not hold.path.exists():
            raise _Failure(
                f"{hold.service} is healthy but {hold.path} is not there; docker logs shows what it uses"
            )
        if hold.unmarked:
            make_directory(Path(hold.mark).parent, 0o700)
            write_atomic(Path(hold.mark), "")


def _fetch(needed: list[Service], versions: dict[str, dict[str, Any]]) -> None:
    """Have the images, and refuse one that cannot read the data."""
    for service in needed:
        _pull(service.image)
        version = versions.get(service.name)
        if version is None or not Path(version["file"]).exists():
            continue
        program, *arguments = version["command"]
        once = (
            "docker",
            "run",
            "--rm",
            "--network=none",
            f"--entrypoint={program}",
            service.image,
            *arguments,
        )
        its, data = major(_run(*once)), major(Path(version["file"]).read_text())
        if its != data:
            raise _Failure(
                f"{short(service.image)} is {service.name} {its}, and its data are of {data}: another major version "
                f"does not read them. Stay with {data}, or dump and restore them: docs/backups.md"
            )


def _bring_up(
    name: str,
    file: str,
    wanted: list[Service],
    todo: Plan,
    allow_restart: bool,
    prepare: dict[str, list[str]],
) -> None:
    compose = (*_COMPOSE, "-p", name, "-f", file)
    remaking = sorted(todo.outdated) if allow_restart else []
    # Nobody is left half way: every container may take the whole of its grace to stop.
    patience = _SECONDS + sum(service.stop_grace for service in wanted) + _RETIRING * len(todo.retired)
    for container in (*todo.leftovers, *todo.retired):
        # They hold no data of their own, but may still be flushing: stop first, with the grace they have.
        _run("docker", "stop", container, timeout=patience)
        _run("docker", "rm", container)
    # Nothing is pulled here: what is needed is there by now, what is pending must not be asked for.
    up = (*compose, "up", "--detach", "--pull", "never")
    for service in wanted if allow_restart else []:
        if service.name in prepare and service.name in todo.pending and service.name not in todo.stopped:
            _run("docker", "exec", service.container, *prepare[service.name], timeout=patience)
    starting = [service for service in (*todo.missing, *todo.stopped) if service not in remaking]
    if starting:
        _run(*up, "--no-recreate", *starting, timeout=patience)
    # Of what Docker had no room to start again its list says that it runs, for good, and Compose believes that.
    for service in wanted:
        if service.name in todo.stopped and service.name in starting:
            _run("docker", "start", service.container, timeout=patience)
    if remaking:
        _run(*up, *remaking, timeout=patience)
    unread = [service for service in todo.unread if service not in todo.outdated]
    if allow_restart and unread:
        _run(*compose, "restart", *unread, timeout=patience)


def _pull(image: str) -> None:
    present = __salt__["cmd.run_all"](
        ["docker", "image", "inspect", "--format", "ok", image], python_shell=False, ignore_retcode=True
    )
    if present["retcode"]:
        credentials = {"DOCKER_CONFIG": str(Paths().docker_config)}
        _run("docker", "pull", "--quiet", image, timeout=_PULL_SECONDS, env=credentials)


def _wait_or_return(
    name: str, file: str, wanted: list[Service], todo: Plan | None, timeout: int
) -> list[Container]:
    """As :func:`_wait`; services that got another image and do not come up get the one they had back.

    Args:
        todo: what was done; None where nothing was made again.
    """
    try:
        return _wait(name, wanted, timeout)
    except _Failure as error:
        if todo is None or not todo.before:
            raise
        images = {"services": {service: {"image": image} for service, image in todo.before.items()}}
        again = (*_COMPOSE, "-p", name, "-f", file, "-f", "-", "up", "--detach", "--pull", "never")
        back = ", ".join(short(image) for image in todo.before.values())
        try:
            _run(*again, *todo.before, stdin=yaml.safe_dump(images))
            _wait(name, wanted, timeout)
        except _Failure as worse:
            raise _Failure(f"{error}\nGoing back to {back} failed as well: {worse}") from error
        raise _Failure(f"{error}\nIt was taken back: {back} runs") from error


def _wait(name: str, wanted: list[Service], timeout: int) -> list[Container]:
    """The project's containers, once all are running and healthy."""
    end = time.monotonic() + timeout
    before: dict[str, int] = {}
    while problems := unwell(wanted, found := _containers(name)):
        ended = {one.name: one.restarts - before.setdefault(one.name, one.restarts) for one in found}
        over = time.monotonic() > end
        hopeless = [container for container in problems if ended.get(container, 0) >= _RESTARTS]
        if over or hopeless:
            container = next(iter(hopeless or problems))
            problem = problems[container]
            log = __salt__["cmd.run_all"](["docker", "logs", "--tail", "5", container], python_shell=False)
            last = f"{log['stdout']}\n{log['stderr']}".strip()
            patience = f"after {timeout} s" if over else "and ends whenever it is started"
            raise _Failure(f"{container} {problem} {patience}. The last it said:\n{last}")
        time.sleep(0.5)
    return found


def _run(
    *command: str, timeout: int = _SECONDS, env: dict[str, str] | None = None, stdin: str | None = None
) -> str:
    result = __salt__["cmd.run_all"](list(command), python_shell=False, timeout=timeout, env=env, stdin=stdin)
    if result["retcode"]:
        raise _Failure(f"{' '.join(command)} failed: {result['stderr'] or result['stdout']}")
    return str(result["stdout"])
