"""How well the services are, judged by their containers, the edge's checks and its certificate."""

import pytest
from marketplace_container import ContainerState
from marketplace_health import ServiceHealth, certified, judge, overall


def state(name: str, **changes: object) -> ContainerState:
    known: dict[str, object] = {
        "name": name,
        "status": "running",
        "health": "healthy",
        "exit_code": 0,
        "restarts": 0,
        "oom_killed": False,
        "started": "2026-01-01T00:00:00.123456789Z",
        "image": "image",
        "labels": {},
    }
    return ContainerState(**(known | changes))  # type: ignore[arg-type]


UP = {"status": "UP", "lastchg": "60"}
DOWN = {"status": "DOWN", "lastchg": "12"}
ALL_UP = {(f"check_{name}", "BACKEND"): UP for name in ("blue", "postgres", "redis")}
CONTAINERS = {name: state(name) for name in ("backend-blue", "postgres", "redis")}


@pytest.mark.parametrize(
    ("containers", "statistics", "expected", "service", "words"),
    [
        ({}, {}, "healthy", "backend", "answers"),
        ({}, {("check_redis", "BACKEND"): DOWN}, "degraded", "redis", "for 12 s"),
        ({}, {("check_blue", "BACKEND"): DOWN}, "unhealthy", "backend", "for 12 s"),
        ({"postgres": state("postgres", status="exited", exit_code=137, oom_killed=True)}, {}, "degraded", "postgres",
         "exited (exit code 137, killed, most likely for its memory limit)"),
        ({"redis": state("redis", health="unhealthy")}, {}, "degraded", "redis", "own health check"),
        ({"backend-blue": None}, {}, "unhealthy", "backend", "does not exist"),
        ({}, None, "unhealthy", "edge", "systemctl status haproxy"),
    ],
)  # fmt: skip
def test_health_is_judged_in_words(
    containers: dict[str, ContainerState],
    statistics: dict[tuple[str, str], dict[str, str]] | None,
    expected: str,
    service: str,
    words: str,
) -> None:
    present = {name: found for name, found in (CONTAINERS | containers).items() if found}
    services = judge("blue", present, None if statistics is None else ALL_UP | statistics)
    assert overall(services) == expected
    assert words in services[service].detail


def test_health_when_docker_or_the_edge_is_silent() -> None:
    silent = judge("blue", None, ALL_UP, "blue")
    assert overall(silent) == "degraded"
    assert "systemctl status docker" in silent["postgres"].detail
    blind = judge("blue", CONTAINERS, None)
    assert (overall(blind), blind["backend"].status) == ("unhealthy", "degraded")


def test_health_when_the_edge_routes_elsewhere() -> None:
    services = judge("blue", CONTAINERS, ALL_UP, "green")
    assert overall(services) == "degraded"
    assert "HAProxy routes to green, live.map says blue" in services["edge"].detail


def test_health_before_any_release() -> None:
    services = judge(None, CONTAINERS, ALL_UP)
    assert overall(services) == "unhealthy"
    assert "deploy.release" in services["backend"].detail


CERTIFICATE = {"problem": None, "usable": True, "days_left": 60}


@pytest.mark.parametrize(
    ("edge", "found", "status", "words"),
    [
        (ServiceHealth("healthy", "HAProxy answers"), {}, "healthy", "HAProxy answers"),
        (ServiceHealth("healthy", "HAProxy answers"), {"problem": "it ends"}, "degraded", "it ends"),
        (
            ServiceHealth("healthy", "HAProxy answers"),
            {"problem": "it ended", "usable": False},
            "unhealthy",
            "it ended",
        ),
        (
            ServiceHealth("degraded", "routes to blue"),
            {"problem": "it ends"},
            "degraded",
            "routes to blue; it ends",
        ),
        (ServiceHealth("degraded", "routes to blue"), {}, "degraded", "routes to blue"),
    ],
)
def test_the_edge_is_as_well_as_its_certificate(
    edge: ServiceHealth, found: dict[str, object], status: str, words: str
) -> None:
    judged = certified(edge, CERTIFICATE | found)
    assert (judged.status, judged.detail) == (status, words)
    assert judged.facts["certificate"] == CERTIFICATE | found
