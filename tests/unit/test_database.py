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

    def __init__(self, runs: bool = True) -> None:
        self.runs, self.ran = runs, []

    def containers(self, name: str) -> dict[str, Any]:
        return {name: SimpleNamespace(pid=os.getpid())} if self.runs else {}

    def exec_in(self, name: str, argv: list[str], **_: Any) -> Any:
        self.ran.append(argv)
        return SimpleNamespace(returncode=0, stdout="inside\n", stderr="")


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's psql, to be written by the test, and a setpriv that keeps the user."""
    monkeypatch.setattr(marketplace_database, "PROGRAMS", tmp_path)
    setpriv = tmp_path / "setpriv"
    setpriv.write_text('#!/bin/sh\nwhile [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"\n')
    setpriv.chmod(0o755)
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
    says(client, 'echo "$PGUSER $PGHOST $(cat)"')
    docker = Docker()
    said = Database(docker).script("postgres", "SELECT 1;")
    assert said == f"postgres /proc/{os.getpid()}/root/run/postgresql SELECT 1;"
    assert docker.ran == []


@pytest.mark.parametrize(
    ("lines", "down"), [(["exit 2"], True), (["exit 3"], False), (["echo no >&2", "exit 1"], False)]
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
    silent.containers = lambda name: (_ for _ in ()).throw(DockerError("Docker does not answer"))
    with pytest.raises(DatabaseDown, match="Docker does not answer"):
        Database(silent).ask("postgres", "SELECT 1")


def test_who_waits_no_longer_takes_the_client_along(client: Path) -> None:
    says(client, f"echo $$ > {client.parent}/pid", "exec sleep 60")
    with pytest.raises(DatabaseError, match="psql took longer than 1 s"):
        Database(Docker()).ask("postgres", "SELECT 1", timeout=1)
    pid = (client.parent / "pid").read_text().strip()
    assert subprocess.run(["kill", "-0", pid], capture_output=True, check=False).returncode != 0
