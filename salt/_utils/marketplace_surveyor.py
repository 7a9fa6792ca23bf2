"""Has surveys made (marketplace_survey) by a process of its own, when each part is due, and keeps what they found."""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

PROGRAM = Path(__file__).with_name("marketplace_survey.py")
# How often each part is looked at, in seconds. The lists of packages change once a day.
EVERY = {
    "health": 30.0,
    "answers": 60.0,
    "queries": 60.0,
    "webhook": 60.0,
    "release": 60.0,
    "rotation": 60.0,
    "jobs": 60.0,
    "units": 60.0,
    "restarts": 30.0,
    "reboot": 600.0,
    "clock": 300.0,
    "record": 3600.0,
    "backups": 120.0,
    "updates": 6 * 3600.0,
}
# What takes longer hangs.
LONGEST = 90.0


class Surveyor:
    """One survey at a time.

    Attributes:
        found: by part, what its last survey that went well has found.
        errors: by part, why its last survey went wrong; nothing where it did not.
        finished: when the last survey ended that went well in some part, on the monotonic clock.
    """

    def __init__(self, program: Path = PROGRAM) -> None:
        self.found: dict[str, Any] = {}
        self.errors: dict[str, str] = {}
        self.finished = time.monotonic()
        self._program = program
        self._next: dict[str, float] = {}
        self._parts: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._begun = 0.0

    def turn(self) -> list[str]:
        """Begin a survey that is due, or take in one that has ended; the parts that were looked at by that."""
        now = time.monotonic()
        if self._process is None:
            self._begin([part for part in EVERY if now >= self._next.get(part, 0.0)], now)
            return []
        if self._process.poll() is None and now - self._begun < LONGEST:
            return []
        return self._end(now)

    def stop(self) -> None:
        """End a survey that is on its way."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _begin(self, parts: list[str], now: float) -> None:
        if not parts:
            return
        self._parts, self._begun = parts, now
        self._next |= {part: now + EVERY[part] for part in parts}
        command = [sys.executable, "-B", str(self._program), *parts]
        try:
            self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self._output)
        except OSError as error:  # Neither room nor memory for it is something to tell.
            self.errors |= dict.fromkeys(parts, str(error))

    def _end(self, now: float) -> list[str]:
        process, output, parts = self._process, self._output, self._parts
        self._process = self._output = None
        if process is None or output is None:
            return []
        late = process.poll() is None
        if late:
            process.kill()
        process.wait()
        with output:
            output.seek(0)
            told = _read(output.read())
        why = (
            f"it took longer than {LONGEST:.0f} s"
            if late
            else f"it ended with exit code {process.returncode}"
        )
        errors = dict.fromkeys(parts, why) if told is None else told["errors"]
        found = {} if told is None else told["found"]
        self.errors = {part: words for part, words in self.errors.items() if part not in parts} | errors
        self.found |= found
        if found:
            self.finished = now
        return list(found)


def _read(text: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return told if isinstance(told, dict) and {"found", "errors"} <= told.keys() else None
