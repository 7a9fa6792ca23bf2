"""Who has the machine to itself waits for those under way, and nobody who comes later gets in first."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

from tests.support.turns import turn
from tests.support.waiting import seconds_until


def test_who_is_alone_waits_for_others_and_goes_before_who_comes_later(tmp_path: Path) -> None:
    seen: list[str] = []
    waits = threading.Event()

    def alone() -> None:
        waits.set()
        with turn(tmp_path, alone=True):
            seen.append("alone begins")
            seen.append("alone ends")

    def later() -> None:
        with turn(tmp_path, alone=False):
            seen.append("later")

    with turn(tmp_path, alone=False), turn(tmp_path, alone=False):
        threads = [threading.Thread(target=alone)]
        threads[0].start()
        assert waits.wait(10)
        # It holds the door by the time that nobody else can open it.
        seconds_until(lambda: not _opens(tmp_path / "door"), 10)
        threads.append(threading.Thread(target=later))
        threads[1].start()
        seen.append("first ends")
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert seen == ["first ends", "alone begins", "alone ends", "later"]


def _opens(door: Path) -> bool:
    with door.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
