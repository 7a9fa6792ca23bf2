"""What the journals' records say, in whatever form a service logs."""

import json

import pytest
from marketplace_log_entries import entry_of
from marketplace_log_format import lines
from marketplace_log_places import DROPPED, service_of
from marketplace_log_traces import PIECE_BYTES, together

RELEASE = "20261124T081500Z"


def record(message, at=1_700_000_000.0, journal="backend", tag=f"backend-blue/{RELEASE}", **more):
    stamp = str(round(at * 1e6))
    said = {"MESSAGE": message, "__REALTIME_TIMESTAMP": stamp, "PRIORITY": "6", "SYSLOG_IDENTIFIER": tag}
    return said | {"_NAMESPACE": journal, "_SYSTEMD_UNIT": "docker.service"} | more


def plain(*messages, **more):
    """Lines that were written one after the other."""
    return [record(text, 1_700_000_000 + number / 1000, **more) for number, text in enumerate(messages)]


@pytest.mark.parametrize(
    ("said", "service"),
    [
        ({"_NAMESPACE": "postgres"}, "postgres"),
        ({"CONTAINER_NAME": "worker-green", "_SYSTEMD_UNIT": "docker.service"}, "worker"),
        ({"CONTAINER_NAME": "migration"}, "backend"),
        ({"CONTAINER_NAME": "redis"}, "redis"),
        ({"CONTAINER_NAME": "somebody-else"}, "system"),
        ({"_NAMESPACE": "redis", "SYSLOG_IDENTIFIER": "systemd-journald", "MESSAGE_ID": DROPPED}, "redis"),
        ({"_NAMESPACE": "redis", "SYSLOG_IDENTIFIER": "systemd-journald", "MESSAGE_ID": "other"}, "system"),
        ({"SYSLOG_IDENTIFIER": "barman", "_SYSTEMD_UNIT": "cron.service"}, "backup"),
        ({"SYSLOG_IDENTIFIER": "salt"}, "salt"),
        ({"SYSLOG_IDENTIFIER": "marketplace-jobs", "_SYSTEMD_UNIT": "cron.service"}, "deploy"),
        ({"SYSLOG_IDENTIFIER": "marketplace-backup", "_SYSTEMD_UNIT": "cron.service"}, "backup"),
        ({"_SYSTEMD_UNIT": "barman-receive-wal@postgres.service"}, "backup"),
        ({"_SYSTEMD_UNIT": "marketplace-release-20261124T081500Z.service"}, "deploy"),
        ({"_SYSTEMD_UNIT": "haproxy.service"}, "edge"),
        ({"_SYSTEMD_UNIT": "ssh.service"}, "system"),
    ],
)
def test_whose_a_record_is(said, service):
    assert service_of(said) == service


def test_a_line_of_json():
    said = {"time": "x", "level": "error", "message": "update failed", "update_id": 42, "logger": "bot"}
    row = entry_of(record(json.dumps(said | {"exception": "Traceback ...\nValueError: no"}))).row()
    assert row == {
        "time": "2023-11-14T22:13:20.000+00:00",
        "service": "backend",
        "source": "backend-blue",
        "level": "error",
        "message": "update failed",
        "release": RELEASE,
        "update_id": 42,
        "trace": "Traceback ...\nValueError: no",
        "fields": {"logger": "bot"},
    }


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("[7] LOG:  checkpoint starting: time", "info"),
        ('[41] app@shop ERROR:  relation "x" does not exist', "error"),
        ("[41] app@shop FATAL:  terminating connection", "critical"),
        ("1:M 25 Nov 2026 08:15:00.123 # WARNING overcommit_memory is set to 0", "warning"),
        ("1:M 25 Nov 2026 08:15:00.123 * DB saved on disk", "info"),
        ("WARNING:aiogram:slow", "warning"),
        ("2026-11-24 08:15:00,123 DEBUG here", "debug"),
        ("DEBUG2 here", "debug"),
        ("DEBUG7 is a level of nobody's", "info"),
        ("an error is what this is not", "info"),
        ("{half of a line of JSON", "info"),
        ('["a list"]', "info"),
    ],
)
def test_the_level_of_a_plain_line(text, level):
    assert entry_of(record(text)).level == level


def test_what_came_by_standard_error_counts_as_an_error_unless_it_says_otherwise():
    assert entry_of(record("something", PRIORITY="3")).level == "error"
    assert entry_of(record("INFO: something", PRIORITY="3")).level == "info"


def test_a_plain_line_may_name_its_update():
    assert entry_of(record("took update_id=42 in hand")).update_id == 42
    assert entry_of(record("took 42 in hand")).update_id is None


def test_bytes_that_are_no_text_are_shown():
    assert entry_of(record([104, 105, 255])).message == "hi�"


def test_a_request_at_the_edge():
    said = {
        "client": "192.0.2.1",
        "method": "POST",
        "path": "/telegram/webhook",
        "status": 502,
        "ended": "SH--",
    }
    said |= {"colour": "green", "update_id": 42, "active_ms": 17, "retries": None}
    entry = entry_of(record(json.dumps(said), journal="edge", tag="haproxy", _SYSTEMD_UNIT="haproxy.service"))
    assert (entry.level, entry.update_id, entry.colour) == ("error", 42, "green")
    assert entry.message == "POST /telegram/webhook: 502 in 17 ms"
    assert entry.fields == {"client": "192.0.2.1", "ended": "SH--"}


TRACE = [
    "Traceback (most recent call last):",
    '  File "a.py", line 1, in f',
    "    g()",
    "KeyError: 'x'",
    "",
    "During handling of the above exception, another exception occurred:",
    "",
    "Traceback (most recent call last):",
    '  File "b.py", line 2, in g',
    "RuntimeError: no",
]


def test_a_stack_trace_of_many_lines_is_one_entry_with_the_line_above_it():
    (entry,) = together(plain("update_id=42 went wrong", *TRACE))
    assert entry.message == "update_id=42 went wrong"
    assert (entry.update_id, entry.level) == (42, "error")
    assert entry.trace == "\n".join(TRACE)


def test_a_stack_trace_alone_is_called_by_its_error():
    first, second = together(plain(*TRACE, "another line"))
    assert first.message == "RuntimeError: no"
    assert first.trace == "\n".join(TRACE)
    assert second.message == "another line"


def test_traces_of_two_containers_do_not_mix():
    blue = plain(*TRACE)
    green = [
        said | {"SYSLOG_IDENTIFIER": "backend-green/r2", "MESSAGE": f"{said['MESSAGE']}"} for said in blue
    ]
    mixed = [said for pair in zip(blue, green, strict=True) for said in pair]
    assert [entry.trace for entry in together(mixed)] == ["\n".join(TRACE)] * 2


def test_later_lines_are_their_own():
    late = record("  indented, but much later", 1_700_000_010)
    assert [entry.message for entry in together([*plain("a line"), late])] == [
        "a line",
        "  indented, but much later",
    ]


def test_a_line_of_json_ends_what_came_before():
    rows = list(together(plain("a line", '{"message": "whole"}', "  indented")))
    assert [entry.message for entry in rows] == ["a line", "whole", "  indented"]


def test_a_statement_belongs_to_its_error():
    said = ["[41] app@shop ERROR:  no", "[41] app@shop STATEMENT:  SELECT 1", "\tFROM x", "[9] LOG:  other"]
    first, second = together(plain(*said, journal="postgres", tag="postgres"))
    assert (first.level, first.trace) == ("error", "\n".join(said[1:3]))
    assert second.message == said[3]


def test_a_long_line_that_docker_has_cut_is_whole_again():
    line = json.dumps({"message": "x" * 40000, "level": "warning"})
    pieces = [line[at : at + PIECE_BYTES] for at in range(0, len(line), PIECE_BYTES)]
    assert len(pieces) == 3
    (entry,) = together(plain(*pieces))
    assert (entry.level, len(entry.message)) == ("warning", 40000)
    older = [said | {"CONTAINER_NAME": "backend-blue"} for said in plain(*pieces)]
    for said in older[:-1]:
        said["CONTAINER_PARTIAL_MESSAGE"] = "true"
    (entry,) = together(older)
    assert len(entry.message) == 40000


def test_rows_for_people():
    (entry,) = together(plain("update_id=42 went \x1b[31mwrong", *TRACE[:4]))
    text = lines([entry.row()], colour=False)
    head, *below = text.splitlines()
    assert head == (
        f"2023-11-14 22:13:20.000 backend  error    update_id=42 went wrong  update_id=42 release={RELEASE}"
    )
    assert below == [f"    {line}" for line in TRACE[:4]]
    assert lines([entry.row()], colour=True).startswith("\x1b[31m")
