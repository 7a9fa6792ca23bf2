"""How a release looks while it runs: on terminals of all kinds, and in logs."""

import io
import re
from typing import Any

import pytest
from marketplace_terminal import Live, Plain, Style, clean, columns, report, view

from tests.support.waiting import seconds_until

STEPS = [
    {"name": "preflight", "seconds": 0.4, "outcome": "done", "detail": "the disks have room"},
    {"name": "restore-point", "seconds": 132.0, "outcome": "undone", "detail": "x" * 300},
    {"name": "wait", "seconds": 0.004, "outcome": "failed", "detail": "it exits\nTraceback\n  ValueError"},
]
LIVE = {
    "outcome": "live",
    "reason": "",
    "version": "1.5.0",
    "colour": "green",
    "release": "20260101T000000Z",
    "seconds": 24.3,
    "cutover": {"requests": 812, "failed": 0, "milliseconds": 0, "slowest_ms": 27},
    "steps": STEPS[:1],
}


class Terminal(io.StringIO):
    """A stream that is a terminal; ``lines`` is what it shows."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        text.encode(self._encoding)
        return super().write(text)

    @property
    def lines(self) -> list[str]:
        return [line.rsplit("\r\x1b[K", 1)[-1] for line in self.getvalue().split("\n")]

    @property
    def plain(self) -> list[str]:
        return [re.sub(r"\x1b\[[0-9]*m", "", line) for line in self.lines]


class Broken(Terminal):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def live(terminal: Terminal, width: int = 80, colour: bool = True, title: str = "") -> Live:
    return Live(terminal, title, Style(colour, terminal.encoding == "utf-8"), lambda: width)


def test_logs_get_plain_lines() -> None:
    stream = io.StringIO()
    with view(stream, "Release of 1.5.0", {"TERM": "xterm"}) as progress:
        assert isinstance(progress, Plain)
        progress.begin("pull")
        progress.end("pull", "done", 1.24, "ghcr.io/a/b:1")
        progress.end("wait", "failed", 2.0, "it exits")
        progress.end("pull", "undone", 1.24, "")
        progress.say("words")
    progress.summary(LIVE)
    assert stream.getvalue().splitlines() == [
        "pull: ghcr.io/a/b:1 (1.2 s)",
        "wait failed: it exits",
        "pull undone",
        "words",
    ]


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {}])
def test_terminal_that_can_nothing_gets_plain_lines(environment: dict[str, str]) -> None:
    assert isinstance(view(Terminal(), "", environment), Plain)


def test_closed_stream_is_no_terminal() -> None:
    stream = Terminal()
    stream.close()
    view(stream, "", {"TERM": "xterm"}).say("nobody hears that")


def test_colours_are_left_out_where_somebody_said_so() -> None:
    for environment, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)):
        terminal = Terminal()
        with view(terminal, "Release", environment) as progress:
            progress.end("pull", "done", 1.0, "fetched")
        progress.summary(LIVE)
        assert bool(re.search(r"\x1b\[[0-9]+m", terminal.getvalue())) is coloured


def test_step_turns_and_counts_until_it_is_over() -> None:
    terminal = Terminal()
    with live(terminal) as progress:
        progress.begin("migrate")
        seen: set[str] = set()

        def turned() -> bool:
            seen.add(terminal.plain[-1].split()[0])
            return len(seen) > 2 and not terminal.plain[-1].endswith("0.0 s")

        seconds_until(turned, 10)
        progress.end("migrate", "done", 3.21, "schema from 0001 to 0002")
        assert terminal.plain == ["  ✓ migrate          3.2 s  schema from 0001 to 0002", ""]
    assert seen <= set("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")


def test_words_come_above_the_step_that_runs() -> None:
    terminal = Terminal()
    with live(terminal) as progress:
        progress.begin("pull")
        progress.say("first\nsecond")
        assert terminal.plain[:2] == ["  first", "  second"]
        assert " pull " in terminal.plain[2]
    assert terminal.plain[2] == ""


def test_failure_is_shown_in_full_and_what_is_taken_back_by_its_own_mark() -> None:
    terminal = Terminal()
    with live(terminal, width=60) as progress:
        progress.end("wait", "failed", 2.0, "backend-green exits:\nTraceback\n  ValueError: " + "x" * 80)
        progress.end("start", "undone", 0.4, "taken back")
        progress.end("pull", "failed", 0.4, "no such image")
    assert terminal.plain[:6] == [
        "  ✗ wait             2.0 s  failed",
        "      backend-green exits:",
        "      Traceback",
        "        ValueError: " + "x" * 80,
        "  ↩ start            0.4 s  undone: taken back",
        "  ✗ pull             0.4 s  failed: no such image",
    ]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("detail", ["é" * 300, "漢字" * 150, "short", "two\nlines", ""])
def test_lines_fit_the_terminal(width: int, detail: str) -> None:
    terminal = Terminal()
    with live(terminal, width, title="Release of " + "1" * 300) as progress:
        progress.begin("restore-point")
        progress.end("restore-point", "done", 7300.0, detail)
    progress.summary({**LIVE, "steps": [{**STEPS[0], "detail": detail}]})
    assert all(columns(line) < width for line in terminal.plain)


def test_terminal_without_unicode_gets_ascii() -> None:
    terminal = Terminal("ascii")
    with view(terminal, "Release", {"TERM": "xterm"}) as progress:
        progress.begin("pull")
        progress.end("pull", "done", 1.0, "x" * 300)
        progress.end("pull", "undone", 1.0, "")
        progress.end("pull", "failed", 1.0, "why")
    marks = [line.split()[0] for line in terminal.plain[1:4]]
    assert marks == ["+", "<", "x"]
    assert terminal.plain[1].endswith("...")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\rb\x00c\x07", "abc"),
        ("a\tb\r\nc", "a    b\nc"),
        ("\x9b31mx", "31mx"),
        ("\u202eevil", "evil"),
        ("\x1b", ""),
    ],
)
def test_what_containers_say_cannot_steer_the_terminal(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_view_that_nobody_sees_any_more_never_raises() -> None:
    with live(Broken(), title="Release") as progress:
        progress.begin("pull")
        progress.say("words")
        progress.end("pull", "failed", 1.0, "a\nb")
    progress.summary(LIVE)
    Plain(Broken()).say("words")


def test_report_is_a_table_and_the_outcome() -> None:
    lines = report(LIVE | {"steps": STEPS}, Style(False, True), 80).splitlines()
    assert lines[1:] == [
        "  step              time  outcome   detail",
        "  preflight        0.4 s  done      the disks have room",
        f"  restore-point 2:12 min  undone    {'x' * 42}…",
        "  wait              4 ms  failed    it exits…",
        "✓ 1.5.0 is live in green after 24.3 s (release 20260101T000000Z); 0 of 812",
        "  requests failed at the switch",
    ]


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        ({"outcome": "refused", "reason": "two:\n  - a\n  - b"}, ["✗ refused: two:", "    - a", "    - b"]),
        ({"outcome": "rolled_back", "reason": "soak: errors\nmore", "steps": STEPS}, ["✗ rolled back: soak: errors"]),
        ({"outcome": "unchanged", "reason": "1.5.0 is live"}, ["✓ unchanged: 1.5.0 is live"]),
        ({"outcome": "running", "reason": "it goes on"}, ["! running: it goes on"]),
        ({"outcome": "interrupted", "reason": "deploy.resume"}, ["! interrupted: deploy.resume"]),
    ],
)  # fmt: skip
def test_report_of_what_is_not_live(answer: dict[str, Any], lines: list[str]) -> None:
    assert report(answer, Style(False, True), 80).splitlines()[-len(lines) :] == lines
