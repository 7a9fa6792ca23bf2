"""What people type behind deploy.logs, and what is searched for then."""

import json

import pytest
from marketplace_arguments import Unusable
from marketplace_log_entries import Entry
from marketplace_log_query import query
from marketplace_logs import Begun, LogsError, search

NOW = 1_763_971_200.0


def test_the_last_quarter_of_an_hour_of_all_but_the_system():
    asked = query({}, NOW)
    assert (asked.since, asked.until, asked.lines) == (NOW - 900, None, 100)
    assert asked.arguments() == ["--namespace=*", f"--since=@{NOW - 900:.6f}"]
    assert "system" not in asked.services


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ({"service": "redis"}, ["--namespace=+redis"]),
        ({"service": ["redis", "edge"]}, ["--namespace=*"]),
        ({"service": "deploy,salt"}, []),
        ({"service": "backend, system"}, ["--namespace=+backend"]),
    ],
)
def test_only_the_journals_in_question_are_read(options, arguments):
    assert query(options, NOW).arguments()[:-1] == arguments


@pytest.mark.parametrize(
    ("options", "since", "until"),
    [
        ({"since": "2h"}, NOW - 7200, None),
        ({"since": "2025-11-24T07:00:00+00:00", "until": "30s"}, NOW - 3600, NOW - 30),
        ({"until": "1d"}, NOW - 86400 - 900, NOW - 86400),
        ({"release": "20251124T070000Z"}, NOW - 3600, None),
        ({"update_id": 42}, None, None),
        ({"update_id": 42, "since": "1h"}, NOW - 3600, None),
    ],
)
def test_times(options, since, until):
    asked = query(options, NOW)
    assert (asked.since, asked.until) == (since, until)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"servcie": "backend"}, "servcie is not an option; did you mean service?"),
        ({"service": "nginx"}, "service is 'nginx', expected one of backend, worker"),
        ({"level": "loud"}, "level is 'loud', expected one of debug, info"),
        ({"since": 15}, "since is 15, expected a duration with its unit such as 15m"),
        ({"since": "yesterday"}, "since is 'yesterday', expected how long ago"),
        ({"since": "1h", "until": "2h"}, "since is not before until"),
        ({"update_id": "abc"}, "update_id is 'abc', expected a whole number"),
        ({"update_id": True}, "update_id is True, expected a whole number"),
        ({"lines": -1}, "lines is -1, expected a whole number"),
        ({"release": 17}, "release is 17, expected for example"),
    ],
)
def test_what_cannot_be_meant_is_named(options, words):
    with pytest.raises(Unusable, match=words.replace("?", r"\?")):
        query(options, NOW)


def entry(**values):
    given = {"time": NOW, "service": "backend", "source": "backend-blue", "level": "warning", "message": "x"}
    return Entry(**given | values)


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ({}, True),
        ({"service": "redis"}, False),
        ({"level": "warning"}, True),
        ({"level": "ERROR"}, False),
        ({"release": "r1"}, True),
        ({"release": "r2"}, False),
        ({"update_id": 42}, True),
        ({"update_id": "42"}, True),
        ({"update_id": 4}, False),
    ],
)
def test_what_is_looked_for(options, taken):
    assert query(options, NOW).takes(entry(release="r1", update_id=42)) is taken


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """``journal(rows, code, words)``: a journalctl that says these; returns the file of its arguments."""

    def made(rows, code=0, words=""):
        said = tmp_path / "said"
        said.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        program = tmp_path / "journalctl"
        program.write_text(
            f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\ncat {said}\n'
            f"[ -z '{words}' ] || echo '{words}' >&2\nexit {code}\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return tmp_path / "asked"

    return made


def said(message, at, tag="backend-blue/r1", journal="backend"):
    stamp = str(round(at * 1e6))
    return {
        "MESSAGE": message,
        "__REALTIME_TIMESTAMP": stamp,
        "SYSLOG_IDENTIFIER": tag,
        "_NAMESPACE": journal,
        "_SYSTEMD_UNIT": "docker.service",
    }


def test_the_last_lines_in_order_and_how_many_there_are(journal):
    journal([said(f"line {number}", NOW + number) for number in range(5)])
    found, count = search(query({"lines": 2}, NOW), [])
    assert ([one.message for one in found], count) == (["line 3", "line 4"], 5)


def test_the_edge_learns_the_release_from_the_colour(journal):
    request = {
        "status": 200,
        "colour": "blue",
        "ended": "----",
        "method": "POST",
        "path": "/",
        "active_ms": 1,
    }
    journal([said(json.dumps(request), NOW, "haproxy", "edge")])
    releases = [
        Begun(NOW + 5, "blue", "later"),
        Begun(NOW - 5, "blue", "this"),
        Begun(NOW - 1, "green", "other"),
    ]
    found, _ = search(query({}, NOW), releases)
    assert [one.release for one in found] == ["this"]


def test_an_update_is_first_looked_for_by_journalctl(journal):
    asked = journal([said('{"message": "a", "update_id": 42}', NOW), said("other 42", NOW + 2)])
    found, _ = search(query({"update_id": 42}, NOW), [])
    assert [one.message for one in found] == ["a"]
    first, second = asked.read_text().splitlines()
    assert "--grep=(?<!\\d)42(?!\\d)" in first
    assert f"--since=@{NOW - 1:.6f} --until=@{NOW + 3:.6f}" in second


def test_nothing_found_is_no_failure(journal):
    journal([], code=1)
    assert search(query({"update_id": 42}, NOW), []) == ([], 0)


def test_a_journal_that_cannot_be_read_is_told(journal):
    journal([], code=1, words="Failed to open")
    with pytest.raises(LogsError, match="exit code 1: Failed to open"):
        search(query({}, NOW), [])


def test_no_journalctl(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LogsError, match="journalctl: No such file"):
        search(query({}, NOW), [])
