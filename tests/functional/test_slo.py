"""health.slo, deploy.history and how both are shown, by Salt's own loaders."""

import io
import sys
import time
from typing import Any

import pytest
import salt.loader
from marketplace_slo_files import Record
from marketplace_slo_lines import Line

from tests.support.salt_host import Host


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def outage(host: Host, seconds: float) -> None:
    """One of some seconds, a minute ago."""
    at = int(time.time()) // 60 * 60 - 60
    Record(host.paths.slo).append(
        Line(at, "a-1", at + 60.0, ((float(at), at + seconds),), {"up": 60 - seconds})
    )


@pytest.mark.parametrize("days", [0, 401, True, "30", 1.5])
def test_what_cannot_be_meant_is_refused(host: Host, days: Any) -> None:
    host.apply_settings()
    answer, code = host.call("health.slo", days)
    assert (answer["outcome"], code) == ("refused", 1)
    assert "expected a whole number from 1 to 400" in answer["reason"]


def test_before_the_first_converge_there_is_nothing_to_tell(host: Host) -> None:
    answer, code = host.call("health.slo")
    assert (code, "run state.apply" in answer["reason"]) == (1, True)


def test_the_exit_code_says_whether_the_budget_is_overspent(host: Host) -> None:
    host.apply_settings()
    outage(host, 30)
    answer, code = host.call("health.slo")
    assert (code, answer["budget"]) == (0, {"minutes": 216, "used": 0.5, "left": 215.5})
    outage(host, 60)
    for number in range(10):
        Record(host.paths.slo).append(
            Line(60 * number + int(time.time()) // 60 * 60, f"a-{number}", 0.0, ((0.0, 600.0),))
        )
    answer, code = host.call("health.slo", days=1)
    assert (code, answer["budget"]["left"] < 0) == (1, True)


@pytest.mark.parametrize(
    ("outputter", "function"), [("slo_table", "health.slo"), ("release_table", "deploy.history")]
)
def test_a_terminal_gets_a_table_and_who_else_reads_gets_all(
    host: Host, monkeypatch: pytest.MonkeyPatch, outputter: str, function: str
) -> None:
    host.apply_settings()
    host.record()
    outage(host, 30)
    found, _ = host.call(function)
    show = salt.loader.outputters(host.options | {"color": False})[outputter]
    assert "settings_digest:" in show({"local": found}) or "unknown_minutes:" in show({"local": found})
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    shown = show({"local": found})
    assert "▁" in shown or "█" in shown
    assert "\x1b[" not in shown
    assert "uptime" in shown or "took" in shown
    # A refusal is shown as ever.
    assert "outcome:" in show({"local": {"outcome": "refused"}})


def test_health_is_few_lines_on_a_terminal_and_all_elsewhere(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"status": "healthy", "services": {"backend": "healthy"}}
    show = salt.loader.outputters(host.options | {"color": False})["status_table"]
    assert "services:" in show({"local": found})
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert [line.split() for line in show({"local": found}).splitlines()] == [
        ["✓", "healthy"],
        ["✓", "backend", "healthy"],
    ]
    assert "reason:" in show({"local": {"outcome": "refused", "reason": "not converged"}})
