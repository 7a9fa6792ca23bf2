"""Where the record of how well the bot was reached is kept: a file of minutes a day, and one of the days before.

The watchdog alone adds to it. Every line is durable when it is written, which is once a minute. A line takes 100 to 400
bytes, 2000 at worst: all of it is some megabytes at most.
"""

import calendar
import contextlib
import math
import os
import time
from pathlib import Path

from marketplace_durable import DISK, make_directory
from marketplace_slo_lines import DAY, Line, Span, clipped, merged, read, rolled, written

# Minutes are kept for today and so many days before; days for somewhat more than a year.
MINUTES_DAYS, KEPT_DAYS = 2, 400
# The last line is among so many bytes at the end.
_TAIL = 16384
_DAYS = "days.jsonl"
_MINUTES = "minutes-"


class Record:
    """The record in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._whole: set[Path] = set()

    def lines(self, since: float) -> list[Line]:
        """What is known of the days since an instant, that one's day among them."""
        day = int(since // DAY) * DAY
        files = [self.directory / _DAYS, *(path for begun, path in self._minutes() if begun >= day)]
        found = (line for path in files for line in read(_text(path)))
        return merged(line for line in found if line.at >= day)

    def last(self, now: float) -> Line | None:
        """The line that reaches furthest, but for those of a clock that was once ahead of ``now``."""
        for path in (*(path for _, path in reversed(self._minutes())), self.directory / _DAYS):
            lines = [line for line in read(_end(path)) if line.at <= now]
            if lines:
                return max(lines, key=lambda line: line.to)
        return None

    def down(self, since: float) -> tuple[Span, ...]:
        """When the bot could not be reached since an instant that is not long ago."""
        found: list[Span] = []
        for begun, path in self._minutes():
            if begun + DAY > since:
                # Few lines tell of any: the others needn't all be in memory at once.
                with path.open(errors="replace") as file:
                    found += (
                        span for raw in file if '"down"' in raw for line in read(raw) for span in line.down
                    )
        return clipped(found, since, math.inf)

    def append(self, line: Line) -> None:
        """Keep a minute's line, durably.

        Raises:
            OSError: there is no room for it.
        """
        path = self.directory / f"{_MINUTES}{time.strftime('%Y-%m-%d', time.gmtime(line.at))}.jsonl"
        make_directory(self.directory)
        new = not path.exists()
        # What a crash has cut off must not spoil what comes behind it.
        whole = new or path in self._whole or _text(path).endswith("\n")
        self._whole = set()
        with path.open("a") as file:
            file.write(("" if whole else "\n") + written(line))
            file.flush()
            os.fsync(file.fileno())
        if new:
            DISK.sync_directory(self.directory)
        self._whole = {path}

    def roll(self, now: float) -> None:
        """Make a line of each day whose minutes nobody asks for any more, and let go of the oldest days.

        Raises:
            OSError: it can't be written; nothing is lost.
        """
        oldest = int(now // DAY) * DAY - MINUTES_DAYS * DAY
        over = [(begun, path) for begun, path in self._minutes() if begun < oldest]
        if not over:
            return
        days = {line.at: line for line in merged(read(_text(self.directory / _DAYS)))}
        for begun, path in over:
            # Killed between the two, it was rolled already.
            days.setdefault(begun, rolled(merged(read(_text(path))), begun))
        kept = [days[day] for day in sorted(days) if day >= oldest - KEPT_DAYS * DAY]
        DISK.write(self.directory / _DAYS, "".join(map(written, kept)))
        for _, path in over:
            DISK.remove(path)

    def _minutes(self) -> list[tuple[int, Path]]:
        """The files of minutes with the beginning of their day, in order."""
        found = []
        for name in DISK.names(self.directory):
            with contextlib.suppress(ValueError):
                begun = calendar.timegm(time.strptime(name, f"{_MINUTES}%Y-%m-%d.jsonl"))
                found.append((begun, self.directory / name))
        return found


def _end(path: Path) -> str:
    """The last lines of a file; the first of them may lack its beginning."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
