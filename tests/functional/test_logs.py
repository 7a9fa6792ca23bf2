"""deploy.logs, how its rows are shown, and the line that each run leaves, by Salt's own loaders."""

import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import salt.loader

from tests.support.salt_host import Host

Journal = Callable[..., None]
TREE = Path(__file__).parents[2]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """``journal(*messages)``: what the backend's journal says."""

    def made(*messages: str) -> None:
        rows = [
            {
                "MESSAGE": text,
                "__REALTIME_TIMESTAMP": "1763971200000000",
                "SYSLOG_IDENTIFIER": "backend-blue/r1",
            }
            | {"_NAMESPACE": "backend"}
            for text in messages
        ]
        program = tmp_path / "journalctl"
        (tmp_path / "rows").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        program.write_text(f"#!/bin/sh\nexec cat {tmp_path}/rows\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return made


def test_rows(host: Host, journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    journal('{"level": "error", "message": "no", "update_id": 42}', "plain")
    rows, code = host.call("deploy.logs", lines=1)
    assert ([row["message"] for row in rows], code) == (["plain"], 0)
    assert "the last 1 of 2 lines; lines=0 shows all" in capsys.readouterr().err
    rows, code = host.call("deploy.logs", level="error")
    assert ([row["update_id"] for row in rows], code) == ([42], 0)


def test_nothing_found_says_where_else_to_look(
    host: Host, journal: Journal, capsys: pytest.CaptureFixture[str]
) -> None:
    journal()
    assert host.call("deploy.logs") == ([], 0)
    assert "nothing found in the last 15 minutes; since=1d looks further back" in capsys.readouterr().err
    assert host.call("deploy.logs", since="2h") == ([], 0)
    assert capsys.readouterr().err == "nothing found\n"


def test_what_cannot_be_meant_is_refused(host: Host) -> None:
    answer, code = host.call("deploy.logs", service="nginx")
    assert (answer["outcome"], code) == ("refused", 1)
    assert answer["reason"].startswith("service is 'nginx', expected one of backend, worker")


def test_people_see_lines_and_refusals_as_ever(host: Host, journal: Journal) -> None:
    journal("a plain line")
    rows, _ = host.call("deploy.logs")
    shown = salt.loader.outputters(host.options | {"color": False})["log_lines"]
    assert shown({"local": rows}) == ("2025-11-24 08:00:00.000 backend  info     a plain line  release=r1")
    assert "outcome:" in shown({"local": {"outcome": "refused"}})
    assert shown({"local": []}) == ""


def test_what_runs_by_itself_names_outputters_that_there_are(host: Host) -> None:
    there = salt.loader.outputters(host.options)
    files = [path for path in (TREE / "salt/marketplace/files").iterdir() if path.is_file()]
    named = {name for path in files for name in re.findall(r"--out=(\w+)", path.read_text())}
    assert "quiet" in named
    assert [name for name in named if name not in there] == []
    assert there["quiet"]({"local": {"outcome": "good"}}) == ""


def test_a_run_leaves_a_line_in_the_journal(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    returners = salt.loader.returners(host.options, {})
    returner = returners["marketplace.returner"]
    answer: dict[str, Any] = {"fun": "deploy.status", "fun_args": [], "retcode": 1, "return": {}, "jid": "1"}
    monkeypatch.setitem(returner.__globals__, "SOCKET", str(tmp_path / "log"))
    returner(answer)  # Nobody listens.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "log"))
        returner(answer)
        said = listening.recv(4096).decode()
    head, line = said.split(": ", 1)
    assert head.startswith("<27>salt[")
    assert json.loads(line)["message"] == "deploy.status failed with exit code 1"
