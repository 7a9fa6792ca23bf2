"""What a log's last lines come to in a record's reason."""

import json

import pytest
from marketplace_log_lines import LINE_CHARACTERS, readable

TRACE = "Traceback (most recent call last):\n  File ...\nValueError: no such category\n"


def line(**said):
    return json.dumps(said)


@pytest.mark.parametrize("key", ["exception", "traceback", "stack", "stack_info", "exc_info"])
def test_a_stack_trace_is_its_last_line_wherever_it_is(key):
    said = line(level="error", message="update failed", **{key: TRACE})
    assert readable(said, 3) == "error update failed: ValueError: no such category"


@pytest.mark.parametrize(("word", "level"), [("ERROR", "error"), ("err", "error"), ("panic", "critical")])
def test_errors_come_first_whatever_they_are_called(word, level):
    text = "\n".join([line(level=word, message="no"), line(level="info", message="bye"), "plain"])
    assert readable(text, 5) == f"{level} no"


def test_without_errors_the_last_lines_are_kept():
    text = "\n".join([line(level="info", message=str(number)) for number in range(5)] + ["", "plain  "])
    assert readable(text, 3) == "info 3\ninfo 4\nplain"


def test_a_plain_errors_trace_stays_with_it():
    text = f"ERROR:root:update failed\n{TRACE}"
    assert readable(text, 9) == text.strip()


def test_lines_are_short():
    assert len(readable("x" * 1000, 1)) == LINE_CHARACTERS
