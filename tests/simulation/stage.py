"""Who acts: the process under test, and others beside it, of which only one moves at a time.

Others run in threads of their own, but never at once: a turn is handed over at points that the schedule decides, so a
run with the same schedule is the same run.
"""

import threading
from collections.abc import Callable
from typing import Any


class Killed(BaseException):
    """The process is gone: nothing behind this instant runs, no undo and no finally."""


class Process:
    """One process of the droplet. Dead, every further effect of it raises :class:`Killed`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.over = False
        self.answer: Any = None
        self.error: BaseException | None = None
        self.turn = threading.Semaphore(0)

    def __deepcopy__(self, memo: dict[int, Any]) -> "Process":
        """Of a copied droplet: another process, that does nothing."""
        memo[id(self)] = made = Process(self.name)
        return made


class Stage:
    """The processes."""

    def __init__(self) -> None:
        self.main = Process("main")
        self.current = self.main
        self.others: list[Process] = []
        self._busy = False

    def __deepcopy__(self, memo: dict[int, Any]) -> "Stage":
        """Of a copied droplet: nobody acts on it yet."""
        memo[id(self)] = made = Stage()
        return made

    @property
    def main_acts(self) -> bool:
        return self.current is self.main

    def enter(self) -> None:
        """A new process under test begins."""
        self.main = self.current = Process("main")

    def kill(self) -> None:
        """The one that acts is gone."""
        self.current.dead = True

    def kill_all(self) -> None:
        """All are gone."""
        for process in (self.main, *self.others):
            process.dead = True

    def join(self, name: str, work: Callable[[], Any]) -> Process:
        """Another process begins, and goes on until it waits or is over."""
        process = Process(name)

        def run() -> None:
            process.turn.acquire()
            try:
                process.answer = work()
            except BaseException as error:
                process.error = error
            process.over = True
            self.main.turn.release()

        threading.Thread(target=run, daemon=True).start()
        self.others.append(process)
        self._hand_to(process)
        return process

    def pause(self) -> bool:
        """Whoever acts waits: the others may look around. Whether the time is theirs to spend.

        A process that waits beside the one under test leaves it to that one to have time pass.
        """
        if not self.main_acts:
            if self.main.over or self.main.dead:
                return True
            self._hand_back()
            return False
        if not self._busy:
            self._busy = True
            try:
                for process in self.others:
                    if not process.over:
                        self._hand_to(process)
            finally:
                self._busy = False
        return True

    def finish(self) -> None:
        """The process under test is over: the others go on to their end."""
        self.main.over = True
        for process in self.others:
            while not process.over:
                self._hand_to(process)
        self.others = []
        self.current = self.main

    def _hand_to(self, process: Process) -> None:
        self.current = process
        process.turn.release()
        self.main.turn.acquire()
        self.current = self.main

    def _hand_back(self) -> None:
        process = self.current
        self.main.turn.release()
        process.turn.acquire()
        self.current = process
