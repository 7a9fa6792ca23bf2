"""Ledger, lock, durable writes and the smaller pure parts of the engine."""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from marketplace_container import ContainerState
from marketplace_contract import ContractError, parse_contract
from marketplace_docker import Docker
from marketplace_durable import make_directory, read_json, write_atomic
from marketplace_edge import Edge, EdgeError
from marketplace_health import ServiceHealth, certified, judge, overall
from marketplace_journal import Journal
from marketplace_ledger import Ledger, LedgerError
from marketplace_lock import Lock, LockHeld
from marketplace_records import ReleaseRecord, other_colour, release_id
from marketplace_reference import Reference
from marketplace_release_compose import environment, one_off, render
from marketplace_telegram import Webhook
from marketplace_tree import revision

from tests.simulation.images import LABELS
from tests.simulation.settings import settings


def record(release: str, outcome: str = "live") -> ReleaseRecord:
    return ReleaseRecord(
        release=release,
        version="1",
        image="i@sha256:0",
        previous=None,
        outcome=outcome,
        reason="",
        colour="blue",
        schema={"before": None, "after": ["1"]},
        by="alice",
        tree="abc",
        started="2026-01-01T00:00:00+00:00",
        seconds=1.0,
        settings_digest="sha256:1",
    )


def test_release_ids_sort_by_time_and_never_collide() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    first = release_id(now)
    assert first == "20260102T030405Z"
    assert first < release_id(now, first) < release_id(now.replace(second=6), first)


def test_release_ids_go_on_growing_when_the_clock_goes_back() -> None:
    ids = ["20260102T030405Z"]
    for _ in range(60):
        ids.append(release_id(datetime(2026, 1, 1, tzinfo=UTC), ids[-1]))
    assert ids == sorted(set(ids))


def test_ledger_returns_what_was_appended_newest_first(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    assert ledger.live() is None
    for number in range(3):
        ledger.append(record(f"2026010{number}T000000Z", "failed" if number == 2 else "live"))
    assert [item.release[:8] for item in ledger.newest(2)] == ["20260102", "20260101"]
    live = ledger.live()
    assert live is not None
    assert live.release.startswith("20260101")
    assert ledger.broken() == []


@pytest.mark.parametrize("damage", ["altered", "removed"])
def test_ledger_tells_broken_history(tmp_path: Path, damage: str) -> None:
    ledger = Ledger(tmp_path)
    for number in range(3):
        ledger.append(record(f"2026010{number}T000000Z"))
    file = tmp_path / "20260101T000000Z.json"
    if damage == "altered":
        file.write_text(file.read_text().replace("alice", "mallory"))
    else:
        file.unlink()
    assert ledger.broken() == ["20260102T000000Z"]


def test_ledger_names_the_damaged_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    (tmp_path / "20260101T000000Z.json").write_text("{")
    with pytest.raises(LedgerError, match=r"20260101T000000Z\.json"):
        ledger.live()
    with pytest.raises(LedgerError, match="no record of release 'x'"):
        ledger.record("x")


def test_journal_knows_who_wants_its_release_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.write({"step": "pull"})
    journal.withdraw("r1", "bob")
    assert (journal.withdrawn("r1"), journal.withdrawn("r2")) == ("bob", None)
    assert journal.read() == {"step": "pull"}
    journal.clear()
    assert (journal.read(), journal.withdrawn("r1")) == (None, None)


def test_record_of_an_older_engine_is_read(tmp_path: Path) -> None:
    document = record("20260101T000000Z").to_dict()
    for name in ("kind", "target", "cutover"):
        del document[name]
    read = ReleaseRecord.from_dict(document | {"of a newer engine": 1})
    assert (read.kind, read.origin) == ("release", "20260101T000000Z")


def test_who_keeps_the_edge_closed_is_a_file_of_two_lines(tmp_path: Path) -> None:
    edge = Edge(tmp_path / "live.map", tmp_path / "maintenance.map", tmp_path / "socket")
    assert edge.maintenance() == {"operator": False, "release": False}
    with pytest.raises(EdgeError, match="HAProxy does not answer"):
        edge.maintain("operator", True)
    assert (tmp_path / "maintenance.map").read_text() == "operator on\nrelease off\n"
    assert edge.maintenance() == {"operator": True, "release": False}


def test_lock_names_its_living_owner_and_forgets_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = os.fork()
    if child == 0:
        with Lock(path).held("alice", "release of 1"):
            os._exit(0)  # dies with the lock in its hands
    os.waitpid(child, 0)
    assert Lock(path).holder() is None
    with Lock(path).held("bob", "release of 2"):
        holder = Lock(path).holder()
        assert holder is not None
        assert (holder["by"], holder["doing"], holder["pid"]) == ("bob", "release of 2", os.getpid())
        with pytest.raises(LockHeld, match=r"release of 2 by bob \(pid \d+\)"), Lock(path).held("c", "d"):
            pass
    assert Lock(path).holder() is None


def test_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with Lock(path).held("alice", "release of 1"):
            os.write(writer, b"held")
            time.sleep(0.3)
        os._exit(0)
    assert os.read(reader, 4) == b"held"
    with pytest.raises(LockHeld, match=r"\(waited 0 s\)|by alice"), Lock(path).held("bob", "b", wait=0.0):
        pass
    with Lock(path).held("bob", "release of 2", wait=30):
        assert Lock(path).holder()["by"] == "bob"  # type: ignore[index]
    os.waitpid(child, 0)


def test_looking_at_the_lock_never_refuses_a_release(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    child = os.fork()
    if child == 0:
        for _ in range(20000):
            Lock(path).holder()
        os._exit(0)
    for _ in range(50):
        with Lock(path).held("alice", "release"):
            pass
    os.waitpid(child, 0)


def test_atomic_write_replaces_whole_files_and_leaves_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "one", mode=0o600)
    write_atomic(path, b"two", mode=0o640)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(TypeError):
        write_atomic(path, 3)  # type: ignore[arg-type]
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
    make_directory(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[")
    with pytest.raises(ValueError, match=r"x\.json is not valid JSON"):
        read_json(tmp_path / "x.json")
    assert read_json(tmp_path / "missing.json") is None


def test_contract_names_all_that_is_wrong_at_once() -> None:
    labels = {
        "marketplace.contract": "2",
        "marketplace.port": "80",
        "marketplace.migrate": "alembic upgrade head",
        "marketplace.version.path": "/v",
    }
    with pytest.raises(ContractError) as caught:
        parse_contract("image", labels, 8080, has_healthcheck=False)
    text = str(caught.value)
    for words in (
        "contract is '2'",
        "port is '80'",
        "no HEALTHCHECK",
        "health.ready is missing",
        "version.path is '/v'",
        "expected a JSON list",
        "migrate.heads is missing",
    ):
        assert words in text
    assert parse_contract("image", LABELS, 8080, has_healthcheck=True).migrate == (
        "alembic",
        "upgrade",
        "head",
    )


def test_rendered_backend_is_confined_and_publishes_nothing() -> None:
    contract = parse_contract("image", LABELS, 8080, has_healthcheck=True)
    document = render(settings(), contract, "r1", "1.0", "image@sha256:0", "green", "/etc/x/backend")
    backend = document["services"]["backend"]
    assert "ports" not in backend
    assert backend["read_only"] is True
    assert backend["cap_drop"] == ["ALL"]
    assert backend["networks"]["app"] == {"ipv4_address": "10.213.10.22"}
    assert backend["mem_limit"] == 256 << 20
    assert backend["environment"]["DATABASE_USER"] == "marketplace_app"
    assert backend["environment"]["LOG_LEVEL"] == "info"
    assert all(isinstance(value, str) for value in backend["environment"].values())
    assert backend["volumes"][0]["bind"] == {"create_host_path": False}
    assert backend["ulimits"]["core"] == 0
    assert backend["memswap_limit"] == backend["mem_limit"]
    assert all({"noexec", "nosuid", "nodev"} < set(entry.split(",")) for entry in backend["tmpfs"])
    assert "worker" not in document["services"]


def test_clients_of_the_data_services_are_told_whom_to_trust() -> None:
    told = environment(settings(), "r1", "1.0", "green", "application")
    assert (told["DATABASE_SSLMODE"], told["REDIS_TLS"]) == ("verify-full", "true")
    assert told["DATABASE_CA_FILE"] == told["REDIS_CA_FILE"] == "/run/secrets/ca.pem"
    migration = one_off(
        settings(), "r1", "1.0", "image@sha256:0", "green", ("up",), "/etc/x/migration", deadline=60
    )
    assert "--env=DATABASE_SSLMODE=verify-full" in migration
    assert "--env=DATABASE_CA_FILE=/run/secrets/ca.pem" in migration


def test_settings_of_an_older_tree_are_honoured_as_they_are() -> None:
    """A journal that it left behind, whose release is finished by this one."""
    older = settings()
    del older["redis"]["tls"], older["postgres"]["tls"]
    told = environment(older, "r1", "1.0", "green", "application")
    assert not {"DATABASE_SSLMODE", "DATABASE_CA_FILE", "REDIS_TLS", "REDIS_CA_FILE"} & told.keys()


def test_one_off_has_the_limits_of_a_colour() -> None:
    words = one_off(
        settings(), "r1", "1.0", "image@sha256:0", "green", ("up",), "/etc/x/migration", deadline=60
    )
    memory = next(word.partition("=")[2] for word in words if word.startswith("--memory="))
    assert f"--memory-swap={memory}" in words
    assert "--ulimit=core=0" in words
    assert "noexec" in next(word for word in words if word.startswith("--tmpfs="))


def test_dollars_in_settings_are_not_composes() -> None:
    contract = parse_contract("image", LABELS, 8080, has_healthcheck=True)
    ours = settings()
    ours["backend"]["environment"] = {"GREETING": "pa$$word ${HOME}"}
    document = render(ours, contract, "r1", "1.0", "image@sha256:0", "green", "/etc/x/backend")
    assert document["services"]["backend"]["environment"]["GREETING"] == "pa$$$$word $${HOME}"


@pytest.mark.parametrize(
    ("text", "repository", "tag", "digest"),
    [
        ("docker.io/team/app:1.2", "docker.io/team/app", "1.2", ""),
        ("host:5000/app@sha256:aa", "host:5000/app", "", "sha256:aa"),
        ("host:5000/app:1@sha256:aa", "host:5000/app", "1", "sha256:aa"),
        ("redis", "redis", "", ""),
    ],
)
def test_references_are_taken_apart(text: str, repository: str, tag: str, digest: str) -> None:
    assert Reference.parse(text) == Reference(repository, tag, digest)


def test_references_of_docker_hub_have_two_forms() -> None:
    assert Reference.parse("docker.io/team/app:1").same_repository("team/app@sha256:aa")
    assert Reference.parse("docker.io/library/redis").same_repository("redis@sha256:aa")
    assert not Reference.parse("ghcr.io/team/app").same_repository("team/app@sha256:aa")


def test_live_map_that_says_something_else_is_no_answer(tmp_path: Path) -> None:
    edge = Edge(tmp_path / "live.map", tmp_path / "maintenance.map", tmp_path / "socket")
    assert edge.live() is None
    for text in ("", "live red\n", "# comment\nlive blue\n", "live blue\nlive green\n"):
        (tmp_path / "live.map").write_text(text)
        with pytest.raises(EdgeError, match="expected one line such as 'live blue'"):
            edge.live()


def test_one_off_runs_as_owner_on_the_data_network_only() -> None:
    upgrade = ("alembic", "upgrade", "head")
    words = one_off(
        settings(), "r1", "1.0", "image@sha256:0", "green", upgrade, "/etc/x/migration", deadline=60
    )
    assert words[-3:] == ["image@sha256:0", "upgrade", "head"]
    assert "--entrypoint=alembic" in words
    assert "--env=DATABASE_USER=marketplace_owner" in words
    assert "--env=MIGRATION_TIMEOUT_SECONDS=60" in words
    assert [word for word in words if word.startswith("--network")] == ["--network=name=data,ip=10.213.20.30"]


def test_hook_of_an_image_runs_as_the_application_does() -> None:
    words = one_off(
        settings(), "r1", "1.0", "image@sha256:0", "green", ("check",), "/etc/x/backend", 60, "application"
    )
    assert "--env=DATABASE_USER=marketplace_app" in words
    assert [word for word in words if word.startswith("--network")] == [
        "--network=name=app,ip=10.213.10.30",
        "--network=name=data,ip=10.213.20.30",
    ]


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


def test_webhook_differences_never_show_the_secret() -> None:
    wanted = Webhook("https://b/x", "s3cret-s3cret", ("message",), 40, "")
    info = {
        "url": "https://b/x",
        "allowed_updates": ["message"],
        "max_connections": 40,
        "has_custom_certificate": False,
    }
    assert wanted.differences(info, wanted.fingerprint()) == {}
    changes = wanted.differences(info | {"url": "", "max_connections": 1}, None)
    assert set(changes) == {"url", "max_connections", "secret_token"}
    assert "s3cret" not in json.dumps(changes)
    other = Webhook("https://b/x", "another-secret", ("message",), 40, "")
    assert set(other.differences(info, wanted.fingerprint())) == {"secret_token"}


@pytest.mark.parametrize(
    ("message", "date", "again"),
    [
        ("SSL error {certificate verify failed}", 101, True),
        ("Wrong response from the webhook: 403 Forbidden", 101, True),
        ("SSL error {certificate verify failed}", 99, False),
        ("Wrong response from the webhook: 503 Service Unavailable", 101, False),
        ("Connection timed out", 101, False),
    ],
)
def test_webhook_is_registered_again_where_telegram_takes_the_edge_for_a_stranger(
    message: str, date: int, again: bool
) -> None:
    wanted = Webhook("https://b/x", "s3cret-s3cret", (), 40, "PEM")
    info = {"url": "https://b/x", "max_connections": 40, "has_custom_certificate": True}
    info |= {"last_error_message": message, "last_error_date": date}
    assert wanted.differences(info, wanted.fingerprint()) == {}
    assert (wanted.differences(info, wanted.fingerprint(), 100.0) != {}) is again


def test_revision_of_checkouts_and_copies(tmp_path: Path) -> None:
    assert revision(tmp_path) == "unknown"
    git = tmp_path / ".git"
    git.mkdir()
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    (git / "packed-refs").write_text("# pack-refs\naaaa refs/heads/main\n")
    assert revision(tmp_path) == "aaaa"
    (git / "refs/heads").mkdir(parents=True)
    (git / "refs/heads/main").write_text("bbbb\n")
    assert revision(tmp_path) == "bbbb"
    (tmp_path / "REVISION").write_text("cccc\n")
    assert revision(tmp_path) == "cccc"


def test_colours_take_turns() -> None:
    assert [other_colour("blue"), other_colour("green")] == ["green", "blue"]


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


@pytest.mark.parametrize(
    ("said", "ended", "begun"),
    [
        ("OCI runtime exec failed: waiting for init preliminary setup: read init-p: connection reset", 0, 2),
        ("psql: error: the server refuses", 126, 1),
    ],
)
def test_what_docker_did_not_begin_in_a_container_is_tried_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, ended: int, begun: int
) -> None:
    program = tmp_path / "docker"
    program.write_text(
        f"#!/bin/sh\necho >> {tmp_path}/begun\n"
        f'[ "$(wc -l < {tmp_path}/begun)" = 1 ] || exit 0\necho "{said}" >&2\nexit 126\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert (
        Docker(tmp_path, tmp_path / "docker.sock").exec_in("postgres", ["psql"], timeout=10).returncode
        == ended
    )
    assert len((tmp_path / "begun").read_text().splitlines()) == begun
