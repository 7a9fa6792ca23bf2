"""Steps of what is done with backups: each is told while it runs, and kept with how it went."""

import time
from collections.abc import Callable
from typing import Any

from marketplace_backup_world import TROUBLE
from marketplace_barman import BarmanError
from marketplace_container import DockerError
from marketplace_database import DatabaseError
from marketplace_host import HostError
from marketplace_progress import Progress
from marketplace_redis import RedisError
from marketplace_vault import VaultError

FAILURES = (BarmanError, DatabaseError, DockerError, HostError, RedisError, VaultError, *TROUBLE)


class Steps:
    """Does steps one by one. ``done`` holds them: ``name``, ``seconds``, ``outcome`` (done or failed), ``detail``."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.done: list[dict[str, Any]] = []

    def attempt(self, name: str, action: Callable[[], str]) -> bool:
        """Do one step; whether it went well. What went wrong is its ``detail``."""
        begun = time.monotonic()
        self.progress.begin(name)
        try:
            detail, outcome = action(), "done"
        except FAILURES as error:
            detail, outcome = str(error), "failed"
        seconds = time.monotonic() - begun
        self.progress.end(name, outcome, seconds, detail)
        self.done.append({"name": name, "seconds": round(seconds, 1), "outcome": outcome, "detail": detail})
        return outcome == "done"

    def all(self, *steps: tuple[str, Callable[[], str]]) -> bool:
        """Do steps until one fails; whether none did."""
        return all(self.attempt(name, action) for name, action in steps)

    @property
    def reason(self) -> str:
        """What failed, in words; nothing where all went well."""
        return "; ".join(
            f"{step['name']}: {step['detail']}" for step in self.done if step["outcome"] != "done"
        )
