"""A writer of numbered rows, one transaction each, and what it was told: kept outside the droplet."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from tests.support.droplet.droplets import Droplet
from tests.support.load.state import sql
from tests.support.waiting import seconds_until

_PSQL = ["docker", "exec", "--interactive", "postgres", "psql", "-U", "postgres", "-qAtX", "marketplace"]
# Far more than are written before the data are gone.
MOST = 20_000


class Numbered:
    """``told``: by number, when its writer was told that it is committed (seconds on the monotonic clock)."""

    def __init__(self, droplet: Droplet) -> None:
        self._droplet = droplet
        self.told: dict[int, float] = {}
        self._destroyed = 0.0
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Numbered:
        sql(self._droplet, "DROP TABLE IF EXISTS numbered")
        sql(self._droplet, "CREATE TABLE numbered (n integer PRIMARY KEY)")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            sql(self._droplet, "DROP TABLE IF EXISTS numbered")

    def write(self, count: int) -> None:
        """Write so many more, and wait until they are committed."""
        self._insert(range(len(self.told) + 1, len(self.told) + count + 1))

    def start(self) -> None:
        """Write without end."""
        self._thread = threading.Thread(target=self._insert, args=(range(1, MOST),), daemon=True)
        self._thread.start()
        seconds_until(lambda: len(self.told) >= 50, 60)

    def destroy_data_after(self, seconds: float, *more: str) -> None:
        """After so long everything in the data directory, and in ``more``, is deleted under the running server."""
        time.sleep(seconds)
        self._destroyed = time.monotonic()
        for place in ("/srv/data/postgres/data/17", *more):
            # What the server makes anew meanwhile is no matter.
            self._droplet.run(["find", place, "-mindepth", "1", "-delete"], check=False)
        # Its processes hold deleted files still; a crash ends that.
        self._droplet.run(["docker", "kill", "postgres"], check=False)
        assert self._thread is not None
        self._thread.join(30)

    def keep_writing(self, seconds: float) -> None:
        """Write for so long, or until the server is gone."""
        before = len(self.told)
        script = "".join(
            f"INSERT INTO numbered VALUES ({before + number}) RETURNING n;\n" for number in range(1, MOST)
        )
        self._droplet.run(["timeout", f"{seconds:.1f}", *_PSQL], stdin=script, check=False, line=self._hear)

    def there(self) -> set[int]:
        """Numbers that are in the database now."""
        return {int(number) for number in sql(self._droplet, "SELECT n FROM numbered").split()}

    def lost_seconds(self) -> float:
        """How long before the data were destroyed the oldest row was committed that is not there any more; 0: none.

        Raises:
            AssertionError: rows are there that were never written.
        """
        there = self.there()
        # One may have been committed whose writer was not told any more.
        assert there <= set(range(1, len(self.told) + 2)), sorted(there)[-3:]
        lost = [at for number, at in self.told.items() if number not in there and at <= self._destroyed]
        return max((self._destroyed - at for at in lost), default=0.0)

    def _insert(self, numbers: range) -> None:
        rest = "SELECT pg_sleep(0.004);\n" if len(numbers) > 100 else ""
        script = "".join(f"INSERT INTO numbered VALUES ({number}) RETURNING n;\n{rest}" for number in numbers)
        self._droplet.run(_PSQL, stdin=script, check=False, line=self._hear)

    def _hear(self, line: str) -> None:
        if line.strip().isdigit():
            self.told[int(line)] = time.monotonic()
