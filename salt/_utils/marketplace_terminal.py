"""A release as people see it while it runs: a line a step that lives on a terminal, plain lines anywhere else."""

import contextlib
import os
import re
import textwrap
import threading
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TextIO

from marketplace_progress import Progress

# The width that step names are padded to: the longest is "restore-point".
NAME_WIDTH = 13
FRAME_SECONDS = 0.1
# What a terminal would obey rather than show: containers' last words end up here.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)?")
_CODES = {
    "green": "32",
    "red": "31",
    "yellow": "33",
    "cyan": "36",
    "dim": "2",
    "bold": "1",
    "bold red": "31;1",
}
_COLOURS = {"done": "green", "live": "green", "unchanged": "green"} | dict.fromkeys(
    ("undone", "running", "interrupted"), "yellow"
)


def view(stream: TextIO, title: str = "", environment: Mapping[str, str] = os.environ) -> "View":
    """The view that fits a stream: lively on a terminal, plain where somebody or something else reads.

    Args:
        title: what it is all about; shown on a terminal only.
        environment: NO_COLOR (whatever its value) does without colours, TERM=dumb without everything.
    """
    style = style_of(stream, environment)
    return Plain(stream) if style is None else Live(stream, title, style, lambda: _width(stream))


def picture(
    stream: TextIO,
    draw: Callable[[Any, "Style", int], str],
    found: Any,
    colour: bool,
    environment: Mapping[str, str] = os.environ,
) -> str | None:
    """What was found, drawn for the terminal that a stream is; None where it is none.

    Args:
        draw: makes the text of what was found, for a style and a width in columns.
        colour: whether somebody has asked for colours, or not for none.
    """
    style = style_of(stream, environment)
    if style is None:
        return None
    return draw(found, replace(style, colour=style.colour and colour), _width(stream))


def style_of(stream: TextIO, environment: Mapping[str, str]) -> "Style | None":
    """What the terminal that a stream is can show; None where it is none, or can do nothing."""
    try:
        lively = stream.isatty() and environment.get("TERM", "") not in ("", "dumb")
    except ValueError:  # closed
        lively = False
    if not lively:
        return None
    return Style(colour=not environment.get("NO_COLOR"), unicode=_takes(stream, "✓✗↩…⠋▁█·"))


class View(Progress):
    """A progress that is closed at its end, and can then show how it all went."""

    def close(self) -> None:
        """Nothing more is coming."""

    def summary(self, record: Mapping[str, Any]) -> None:
        """How it went: a release's record, or an answer with ``outcome`` and ``reason``."""

    def __enter__(self) -> "View":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Plain(View):
    """Lines for logs, pipes and other programs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def end(self, step: str, outcome: str, seconds: float, detail: str) -> None:
        """``step: detail (1.2 s)`` where it is done, else its outcome as well."""
        if outcome == "done":
            self.say(f"{step}: {detail} ({seconds:.1f} s)")
        else:
            self.say(f"{step} {outcome}: {detail}" if detail else f"{step} {outcome}")

    def say(self, words: str) -> None:
        _write(self._stream, words + "\n")


@dataclass(frozen=True)
class Style:
    """What a terminal can show."""

    colour: bool
    unicode: bool

    @property
    def frames(self) -> str:
        """The pictures of something that turns."""
        return "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if self.unicode else "-\\|/"

    def paint(self, text: str, colour: str) -> str:
        """``text`` in a colour, where there are colours."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self.colour and colour and text else text

    def mark(self, outcome: str) -> str:
        """One character for an outcome, in its colour."""
        good, back, bad = "✓↩✗" if self.unicode else "+<x"
        colour = _COLOURS.get(outcome, "red")
        mark = {"green": good, "red": bad}.get(colour, back if outcome == "undone" else "!")
        return self.paint(mark, colour)

    def shorten(self, text: str, width: int) -> str:
        """The first line of ``text`` in at most ``width`` columns, with a sign where something was left out."""
        first, *more = clean(text).splitlines() or [""]
        sign = "…" if self.unicode else "..."
        if columns(first) + (len(sign) if more else 0) <= width:
            return first + (sign if more else "")
        while first and columns(first) > width - len(sign):
            first = first[:-1]
        return (first.rstrip() + sign)[: max(0, width)]


class Live(View):
    """A line a step: turning and counting while the step runs, a mark and its time once it is over.

    Args:
        stream: the terminal.
        title: the first line.
        width: asks for the terminal's width in columns, each time, for people resize it.
    """

    def __init__(self, stream: TextIO, title: str, style: Style, width: Callable[[], int]) -> None:
        self._stream, self._style, self._width = stream, style, width
        self._lock = threading.RLock()
        self._step, self._since, self._frame, self._far = "", 0.0, 0, ""
        self._closed = threading.Event()
        if title:
            _write(stream, style.paint(style.shorten(title, width() - 1), "bold") + "\n")
        threading.Thread(target=self._turn, name="spinner", daemon=True).start()

    def begin(self, step: str) -> None:
        """The line turns from now on."""
        with self._lock:
            self._step, self._since, self._far = step, time.monotonic(), ""
            self._draw()

    def update(self, words: str) -> None:
        """The words stand beside the step that turns."""
        with self._lock:
            self._far = self._style.shorten(words, self._room)
            self._draw()

    def end(self, step: str, outcome: str, seconds: float, detail: str) -> None:
        """The line stays as it is then; the rest of a failure's words is shown below it."""
        lines = clean(detail).splitlines() or [""]
        said = outcome != "done" and f"{outcome}: {lines[0]}".removesuffix(": ")
        # A failure has its words in full, on lines of their own where they need them.
        whole = outcome == "failed" and (len(lines) > 1 or columns(str(said)) > self._room)
        colour = "" if outcome == "done" else _COLOURS.get(outcome, "red")
        words = outcome if whole else self._style.shorten(said or detail, self._room)
        below = "".join(f"      {line}\n" for line in lines) if whole else ""
        with self._lock:
            self._step = ""
            self._line(self._style.mark(outcome), step, seconds, self._style.paint(words, colour))
            _write(self._stream, f"\n{below}")

    def say(self, words: str) -> None:
        """The words on lines of their own, above the one that turns."""
        with self._lock:
            lines = clean(words).splitlines() or [""]
            _write(self._stream, "\r\x1b[K" + "".join(f"  {line}\n" for line in lines))
            self._draw()

    def close(self) -> None:
        """Stop turning, and leave no half line behind."""
        self._closed.set()
        with self._lock:
            if self._step:
                _write(self._stream, "\r\x1b[K")
            self._step = ""

    def summary(self, record: Mapping[str, Any]) -> None:
        """The table of steps and the outcome."""
        _write(self._stream, report(record, self._style, self._width()))

    @property
    def _room(self) -> int:
        """Columns for a step's words: behind mark, name and seconds, and one short of the last."""
        return self._width() - NAME_WIDTH - 16

    def _turn(self) -> None:
        while not self._closed.wait(FRAME_SECONDS):
            with self._lock:
                self._frame += 1
                self._draw()

    def _draw(self) -> None:
        if self._step:
            frame = self._style.frames[self._frame % len(self._style.frames)]
            self._line(
                self._style.paint(frame, "cyan"), self._step, time.monotonic() - self._since, self._far
            )

    def _line(self, mark: str, step: str, seconds: float, words: str) -> None:
        text = f"  {mark} {clean(step):<{NAME_WIDTH}} {lasted(seconds):>8}  {words}"
        _write(self._stream, f"\r\x1b[K{text.rstrip()}")


def report(record: Mapping[str, Any], style: Style, width: int) -> str:
    """A release's table and outcome, in lines of at most ``width`` columns.

    Args:
        record: a release's record, or an answer with no more than ``outcome`` and ``reason``.
    """
    lines = []
    steps = record.get("steps") or ()
    if steps:
        room = width - NAME_WIDTH - 24
        heading = f"  {'step':<{NAME_WIDTH}} {'time':>8}  {'outcome':<8}  detail"
        lines.append(style.paint(style.shorten(heading, width - 1), "dim"))
        for step in steps:
            outcome = style.paint(f"{step['outcome']:<8}", _COLOURS.get(step["outcome"], "red"))
            detail = style.shorten(step.get("detail") or "", room)
            lines.append(
                f"  {clean(step['name']):<{NAME_WIDTH}} {lasted(step['seconds']):>8}  {outcome}  {detail}"
            )
    outcome = record.get("outcome", "")
    said = clean(_sentence(record)).splitlines()
    # The lines below the first were shown with the step that failed, where there was one.
    wrapped = [line for part in said[: 1 if steps else None] for line in _wrapped(part, width - 3)]
    colour = _COLOURS.get(outcome, "red")
    for number, line in enumerate(wrapped):
        lines.append(f"{' ' if number else style.mark(outcome)} {style.paint(line, colour)}")
    return "\n" + "".join(f"{line.rstrip()}\n" for line in lines)


def _sentence(record: Mapping[str, Any]) -> str:
    outcome, reason = str(record.get("outcome", "")), str(record.get("reason") or "")
    if outcome != "live":
        return f"{outcome.replace('_', ' ')}: {reason}"
    words = f"{record['version']} is live in {record['colour']} after {lasted(float(record['seconds']))}"
    words += f" (release {record['release']})"
    cutover = record.get("cutover")
    if cutover:
        words += f"; {cutover['failed']} of {cutover['requests']} requests failed at the switch"
    return f"{words}; {reason}" if reason else words


def _wrapped(text: str, width: int) -> list[str]:
    # What people copy (a unit's name, an image) stays in one piece.
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def clean(text: str) -> str:
    """``text`` without what a terminal would obey; lines stay lines."""
    text = _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\t", "    "))
    return "".join(
        character for character in text if character == "\n" or unicodedata.category(character)[0] != "C"
    )


def columns(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def lasted(seconds: float) -> str:
    """Seconds for people: ``12 ms``, ``3.4 s``, ``2:05 min``, ``1:02 h``."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"


def _takes(stream: TextIO, characters: str) -> bool:
    try:
        characters.encode(stream.encoding or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


def _width(stream: TextIO) -> int:
    try:
        found = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        found = 0
    return max(40, found or 80)


def _write(stream: TextIO, text: str) -> None:
    # Somebody who stops listening (a closed terminal, a pipe to head) loses the view, never the release.
    with contextlib.suppress(OSError, ValueError):
        stream.write(text)
        stream.flush()
