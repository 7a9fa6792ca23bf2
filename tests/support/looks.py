"""Looks of the watchdog, made up: a droplet that is well, and the same with something changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from marketplace_consumption import Group
from marketplace_container import ContainerState
from marketplace_watch_history import SPAN, History
from marketplace_watch_seen import Seen

NOW = 1_700_000_000.0
GIB = 1 << 30
LIMITS = {"cpu": 80, "memory": 80, "disk": 80, "errors": 5, "slow": 2, "query": 0.5}


def container(name: str, **changes: Any) -> ContainerState:
    """A container that has run for a day."""
    state = ContainerState(
        name=name, status="running", health="healthy", exit_code=0, restarts=0, oom_killed=False,
        started="2023-11-13T22:13:20.123456789Z", image=name, labels={}, pid=42,
    )  # fmt: skip
    return replace(state, **changes)


def up(**changes: str) -> dict[str, str]:
    """HAProxy's row of a check that passes."""
    return {"status": "UP", "check_status": "L7OK", "check_code": "200", "lastchg": "86400"} | changes


def silent(seconds: int, said: str = "L7TOUT") -> dict[str, str]:
    """HAProxy's row of a check that has had no answer for so long."""
    return up(status="DOWN", check_status=said, check_code="", lastchg=str(seconds))


def look(**changes: Any) -> Seen:
    """A droplet that is well, but for ``changes``. Checks are given by service, as ``checks={"redis": silent(9)}``."""
    checks = {name: up() for name in ("postgres", "redis", "backend")} | changes.pop("checks", {})
    containers = {
        "postgres": container("postgres"),
        "redis": container("redis"),
        "backend": container("backend-blue"),
    }
    statistics = {}
    for service, row in checks.items():
        name = "blue" if service == "backend" else service
        statistics[(f"check_{name}", name)] = row
        statistics[(f"check_{name}", "BACKEND")] = row
    seen = Seen(
        at=NOW,
        live="blue",
        containers=containers | changes.pop("with_containers", {}),
        statistics=statistics,
        routed="blue",
        groups={
            "droplet": Group(0.0, 2.0, GIB, 4 * GIB),
            "postgres": Group(0.0, 0.75, GIB // 4, GIB),
            "redis": Group(0.0, 0.25, GIB // 16, GIB // 4),
            "backend": Group(0.0, 0.75, GIB // 8, GIB // 2),
        },
        disks={"droplet": (10 * GIB, 60 * GIB), "postgres": (2 * GIB, 20 * GIB), "backups": (GIB, 20 * GIB)},
    )
    return replace(seen, **changes)


def history(seen: Seen) -> History:
    """One that has only this look in it."""
    made = History()
    made.note(seen)
    return made


def burning(share: float, service: str) -> tuple[Seen, History]:
    """Five minutes in which a service, or the droplet, has used such a share of its processors; and the last look."""
    made, seen = History(), look()
    for step in range(int(SPAN / 10) + 1):
        group = seen.groups[service]
        spent = replace(group, cpu=share * group.cpus * 10 * step)
        seen = look(at=NOW + 10 * step, groups={**look().groups, service: spent})
        made.note(seen)
    return seen, made


def answering(answers: int, errors: int) -> tuple[Seen, History]:
    """Some time in which the edge has answered so much, so much of it with 5xx; and the last look."""
    made, seen = History(), look()
    for step in range(2):
        rows = {
            **(look().statistics or {}),
            ("be_blue", "BACKEND"): {
                "hrsp_2xx": str(step * (answers - errors)),
                "hrsp_5xx": str(step * errors),
            },
        }
        seen = look(at=NOW + 10 * step, statistics=rows)
        made.note(seen)
    return seen, made
