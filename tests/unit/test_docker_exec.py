"""What is begun in a container: tried once more where Docker did not begin it."""

import os
from pathlib import Path

import pytest
from marketplace_docker import Docker


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
