"""Progress on a terminal or in a log: one line for each long step, with the time it took."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
INTERVAL = 0.1


class Progress:
    """Steps, one after the other. On a terminal a running step spins; elsewhere only plain lines are written."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty()
        self.started = time.monotonic()
        self._title = ""
        self._detail = ""
        self._since = 0.0
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show ``title`` while the block runs, then its time; a failed step is marked and its error goes on."""
        self._title, self._detail, self._since = title, "", time.monotonic()
        if not self.live:
            self._write(f"{self._clock()}  {title} ...\n")
        over = threading.Event()
        spinner = threading.Thread(target=self._spin, args=(over,), daemon=True)
        if self.live:
            spinner.start()
        mark = "FAILED"
        try:
            yield
            mark = "done"
        finally:
            over.set()
            if self.live:
                spinner.join()
            self._finish(mark)

    def detail(self, line: str) -> None:
        """What the running step is at; shown beside the spinner on a terminal only."""
        text = line.strip()
        if text:
            self._detail = text

    def note(self, line: str) -> None:
        """Something worth knowing within a step."""
        if self.live:
            self._detail = line
        else:
            self._write(f"{self._clock()}    {line}\n")

    def fail(self) -> None:
        """End the line of a step that was cut off."""
        if self.live:
            self._write("\r\x1b[K")

    def _clock(self) -> str:
        seconds = int(time.monotonic() - self.started)
        return f"[{seconds // 60}:{seconds % 60:02d}]"

    def _finish(self, mark: str) -> None:
        seconds = time.monotonic() - self._since
        if self.live:
            sign = "\x1b[32m✓\x1b[0m" if mark == "done" else "\x1b[31m✗\x1b[0m"
            self._write(f"\r\x1b[K{self._clock()} {sign} {self._title}  {seconds:.1f} s\n")
        else:
            self._write(f"{self._clock()}  {self._title}: {mark} in {seconds:.1f} s\n")
        self._title = ""

    def _spin(self, over: threading.Event) -> None:
        frame = 0
        while not over.wait(INTERVAL):
            seconds = time.monotonic() - self._since
            line = f"{self._clock()} {FRAMES[frame % len(FRAMES)]} {self._title}  {seconds:.0f} s"
            room = shutil.get_terminal_size().columns - len(line) - 3
            detail = f"  \x1b[2m{self._detail[:room]}\x1b[0m" if self._detail and room > 10 else ""
            self._write(f"\r\x1b[K{line}{detail}")
            frame += 1

    def _write(self, text: str) -> None:
        with self._lock:
            self.stream.write(text)
            self.stream.flush()
