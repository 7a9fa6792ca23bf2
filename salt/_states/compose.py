"""Compose projects whose containers are kept running, and never restarted unless that is allowed."""

import json
import time
from pathlib import Path
from typing import Any

import yaml
from marketplace_compose import Container, Hold, Plan, Service, parse_hashes, plan, services, unwell
from marketplace_durable import make_directory, write_atomic
from marketplace_paths import Paths
from marketplace_pending import record
from salt.utils.path import which

_SECONDS = 300
_PULL_SECONDS = 900


class _Failure(Exception):
    pass


def running(
    name: str,
    file: str,
    read_at_start: dict[str, list[str]] | None = None,
    holds: dict[str, dict[str, str]] | None = None,
    allow_restart: bool = False,
    timeout: int = 180,
) -> dict[str, Any]:
    """Ensure the project's containers exist, run and are healthy.

    Missing containers are created and stopped ones started. A container whose definition changed is made again only
    with ``allow_restart``, whether it runs or not; else it goes on, or is started, as it is: what ran before comes
    back first. Then the comment says why a restart is pending, and deploy.status shows it.

    Args:
        name: the project.
        file: its compose file; every service has a container_name.
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
    kept = [Hold(service, **facts) for service, facts in (holds or {}).items()]
    try:
        _refuse_lost(kept)
        wanted = _wanted(name, file)
        todo = plan(wanted, _containers(name), _times(read_at_start or {}))
        changes = _changes(todo, allow_restart) | _unmarked(kept)
        waiting = {} if allow_restart else todo.pending
        if __opts__["test"]:
            verdict = {"result": None, "comment": f"Project {name} would be brought up"} if changes else {}
            return _with_pending(ret | verdict | {"changes": changes}, waiting)
        if changes.keys() - _unmarked(kept).keys():
            _bring_up(name, file, wanted, todo, allow_restart)
        todo = plan(wanted, _wait(name, wanted, timeout), _times(read_at_start or {}))
        _mark(kept)
        record(Paths().pending, f"pending restart in {name}", todo.pending)
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
    hint = "Allow it with: salt-call state.apply pillar='{\"allow_restart\": true}'"
    return ret | {"comment": f"{ret['comment']}. Pending restart: {why}. {hint}"}


def _wanted(name: str, file: str) -> list[Service]:
    hashes = parse_hashes(_run("docker", "compose", "-p", name, "-f", file, "config", "--hash", "*"))
    return services(yaml.safe_load(Path(file).read_text()), hashes)


def _containers(name: str) -> list[Container]:
    label = f"label=com.docker.compose.project={name}"
    identifiers = _run("docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", label).split()
    if not identifiers:
        return []
    return [Container.parse(entry) for entry in json.loads(_run("docker", "inspect", *identifiers))]


def _times(read_at_start: dict[str, list[str]]) -> dict[str, dict[str, float]]:
    return {
        service: {path: Path(path).stat().st_mtime for path in files if Path(path).exists()}
        for service, files in read_at_start.items()
    }


def _changes(todo: Plan, allow_restart: bool) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for container in todo.leftovers:
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


def _bring_up(name: str, file: str, wanted: list[Service], todo: Plan, allow_restart: bool) -> None:
    compose = ("docker", "compose", "-p", name, "-f", file)
    remaking = sorted(todo.outdated) if allow_restart else []
    for service in wanted:
        if service.name in {*todo.missing, *remaking}:
            _pull(service.image)
    # Nobody is left half way: every container may take the whole of its grace to stop.
    patience = _SECONDS + sum(service.stop_grace for service in wanted)
    for container in todo.leftovers:
        # They hold no data of their own, but may still be flushing: stop first, with the grace they have.
        _run("docker", "stop", container, timeout=patience)
        _run("docker", "rm", container)
    # Nothing is pulled here: what is needed is there by now, what is pending must not be asked for.
    up = (*compose, "up", "--detach", "--pull", "never")
    starting = [service for service in (*todo.missing, *todo.stopped) if service not in remaking]
    if starting:
        _run(*up, "--no-recreate", *starting, timeout=patience)
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


def _wait(name: str, wanted: list[Service], timeout: int) -> list[Container]:
    """The project's containers, once all are running and healthy."""
    end = time.monotonic() + timeout
    while problems := unwell(wanted, found := _containers(name)):
        if time.monotonic() > end:
            container, problem = next(iter(problems.items()))
            log = __salt__["cmd.run_all"](["docker", "logs", "--tail", "5", container], python_shell=False)
            last = f"{log['stdout']}\n{log['stderr']}".strip()
            raise _Failure(f"{container} {problem} after {timeout} s. The last it said:\n{last}")
        time.sleep(0.5)
    return found


def _run(*command: str, timeout: int = _SECONDS, env: dict[str, str] | None = None) -> str:
    result = __salt__["cmd.run_all"](list(command), python_shell=False, timeout=timeout, env=env)
    if result["retcode"]:
        raise _Failure(f"{' '.join(command)} failed: {result['stderr'] or result['stdout']}")
    return str(result["stdout"])
