"""How each scheduled job went last: one file a job, which the next run replaces."""

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from marketplace_durable import DISK, Disk, to_json

RUNNING = "running"


@dataclass(frozen=True)
class JobRun:
    """One run of a job.

    Attributes:
        outcome: ``running``, ``succeeded``, ``failed``, ``timed_out``, or ``stopped`` where a release or a restore was
            in its way; reason: why, in words.
        by: who wanted it: ``schedule``, or a person.
        started, ended: times; seconds: how long it took.
        exit_code: of its command; None where that never ran.
        output: the end of what it wrote.
    """

    job: str
    release: str
    by: str
    started: str
    outcome: str = RUNNING
    reason: str = ""
    ended: str = ""
    seconds: float | None = None
    exit_code: int | None = None
    output: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the file and for ``--out=json``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "JobRun":
        """The run in a file; keys of a newer tree are passed over."""
        return cls(**{item.name: document[item.name] for item in fields(cls) if item.name in document})


class JobRecords:
    """The records below ``directory``."""

    def __init__(self, directory: Path, disk: Disk = DISK) -> None:
        self.directory = directory
        self.disk = disk

    def last(self, job: str) -> JobRun | None:
        """A job's last run; None where it never ran.

        Raises:
            ValueError: its file is not readable; the message names it.
        """
        document = self._document(job)
        return JobRun.from_dict(document["last"]) if "last" in document else None

    def succeeded(self, job: str) -> str | None:
        """When a job last ended well."""
        return self._document(job).get("succeeded")

    def skipped(self, job: str) -> str | None:
        """Why a job was not started when it last was due, in words; None where it was."""
        return self._document(job).get("skipped")

    def write(self, run: JobRun) -> None:
        """Keep a run as its job's last."""
        more = {"succeeded": run.ended} if run.outcome == "succeeded" else {}
        self._write(run.job, {"last": run.to_dict(), "skipped": None} | more)

    def skip(self, job: str, words: str) -> None:
        """Keep why a job was not started."""
        self._write(job, {"skipped": words})

    def _document(self, job: str) -> dict[str, Any]:
        found = self.disk.read_json(self.directory / f"{job}.json")
        return found if isinstance(found, dict) else {}

    def _write(self, job: str, news: dict[str, Any]) -> None:
        self.disk.make_directory(self.directory)
        self.disk.write(self.directory / f"{job}.json", to_json(self._document(job) | news), mode=0o600)
