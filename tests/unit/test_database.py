"""How PostgreSQL is asked: by the host's own client where there is one, and what its ends mean."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import marketplace_database
import pytest
from marketplace_container import DockerError
from marketplace_database import Database, DatabaseDown, DatabaseError


class Docker:
    """One container, ``postgres``, whose first process is this one; what is run in it is told."""

    def __init__(self, runs: bool = True, complaint: str = "") -> None:
        self.runs, self.complaint = runs, complaint
        self.ran: list[list[str]] = []

    def containers(self, name: str, timeout: float) -> dict[str, Any]:
        return {name: SimpleNamespace(pid=os.getpid())} if self.runs else {}

    def exec_in(self, name: str, argv: list[str], **_: Any) -> Any:
        self.ran.append(argv)
        return SimpleNamespace(returncode=int(bool(self.complaint)), stdout="inside\n", stderr=self.complaint)


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's psql, to be written by the test, and a setpriv that keeps the user."""
    monkeypatch.setattr(marketplace_database, "PROGRAMS", tmp_path)
    setpriv = tmp_path / "setpriv"
    setpriv.write_text('#!/bin/sh\nwhile [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"\n')
    setpriv.chmod(0o755)
    monkeypatch.setattr(marketplace_database, "_may_be_others", lambda: True)
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "psql"


def says(client: Path, *lines: str) -> None:
    client.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    client.chmod(0o755)


def test_a_host_without_a_client_has_the_container_ask(client: Path) -> None:
    docker = Docker()
    assert Database(docker).ask("postgres", "SELECT 1") == "inside"
    assert docker.ran[0][:3] == ["psql", "-U", "postgres"]


def test_the_hosts_client_asks_at_the_servers_socket(client: Path) -> None:
    says(client, 'echo "$PGUSER $PGHOST$PGPORT $(cat)"')
    docker = Docker()
    said = Database(docker).script("postgres", "SELECT 1;")
    assert said == f"postgres /proc/{os.getpid()}/root/run/postgresql SELECT 1;"
    assert docker.ran == []


def test_a_sandbox_that_keeps_the_user_has_the_container_ask(
    client: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(client, "exit 0")
    monkeypatch.setattr(marketplace_database, "_may_be_others", lambda: False)
    assert Database(Docker()).ask("postgres", "SELECT 1") == "inside"


@pytest.mark.parametrize(
    ("complaint", "down"),
    [("Error response from daemon: No such container: postgres", True), ("ERROR: no such table", False)],
)
def test_a_container_that_cannot_ask_is_told_from_a_statement_that_is_refused(
    client: Path, complaint: str, down: bool
) -> None:
    with pytest.raises(DatabaseError) as caught:
        Database(Docker(complaint=complaint)).ask("postgres", "SELECT 1")
    assert isinstance(caught.value, DatabaseDown) is down


@pytest.mark.parametrize(
    ("lines", "down"),
    [(["exit 2"], True), (["exit 3"], False), (["echo no >&2", "exit 1"], False), (["kill -9 $$"], True)],
)
def test_a_server_that_refuses_is_told_from_one_that_is_away(
    client: Path, lines: list[str], down: bool
) -> None:
    says(client, *lines)
    with pytest.raises(DatabaseError) as caught:
        Database(Docker()).ask("postgres", "SELECT 1")
    assert isinstance(caught.value, DatabaseDown) is down


def test_a_server_that_does_not_run_is_away(client: Path) -> None:
    says(client, "exit 0")
    with pytest.raises(DatabaseDown, match="the container postgres does not run"):
        Database(Docker(runs=False)).ask("postgres", "SELECT 1")
    silent = Docker()
    silent.containers = lambda name, timeout: (_ for _ in ()).throw(DockerError("Docker does not answer"))
    with pytest.raises(DatabaseDown, match="Docker does not answer"):
        Database(silent).ask("postgres", "SELECT 1")


def test_who_waits_no_longer_takes_the_client_along(client: Path) -> None:
    says(client, f"echo $$ > {client.parent}/pid", "exec sleep 60")
    with pytest.raises(DatabaseError, match="psql took longer than 1 s"):
        Database(Docker()).ask("postgres", "SELECT 1", timeout=1)
    pid = (client.parent / "pid").read_text().strip()
    assert subprocess.run(["kill", "-0", pid], capture_output=True, check=False).returncode != 0
