"""The ledger: one JSON file a release, each vouching for the one before by its digest. Never pruned."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from marketplace_durable import DISK, Disk, digest, to_json
from marketplace_records import ReleaseRecord

GENESIS = "sha256:" + "0" * 64


class LedgerError(Exception):
    """A record cannot be read or written; the message names its file."""


class Ledger:
    """The records below ``directory``, ordered by their sortable release ids."""

    def __init__(self, directory: Path, disk: Disk = DISK) -> None:
        self.directory = directory
        self.disk = disk

    def ids(self) -> list[str]:
        """Release ids, oldest first."""
        names = self.disk.names(self.directory)
        return sorted(name[:-5] for name in names if name[0].isdigit() and name.endswith(".json"))

    def document(self, release: str) -> dict[str, Any]:
        """The stored document of ``release``.

        Raises:
            LedgerError: there is no such record, or it is damaged.
        """
        path = self.directory / f"{release}.json"
        try:
            document = self.disk.read_json(path)
        except ValueError as error:
            raise LedgerError(str(error)) from error
        if not isinstance(document, dict):
            raise LedgerError(f"no record of release '{release}' ({path}); see deploy.history")
        return document

    def record(self, release: str) -> ReleaseRecord:
        """The record of ``release``.

        Raises:
            LedgerError: there is no such record, or it is damaged.
        """
        try:
            return ReleaseRecord.from_dict(self.document(release))
        except (KeyError, TypeError) as error:
            raise LedgerError(f"{self.directory / release}.json is damaged: {error}") from error

    def newest(self, limit: int | None = None) -> list[ReleaseRecord]:
        """Records, newest first, ``limit`` at most."""
        return [self.record(release) for release in self.ids()[::-1][:limit]]

    def newest_first(self) -> Iterator[ReleaseRecord]:
        """Records, newest first, read one by one: few are needed as a rule, and a ledger only grows."""
        for release in reversed(self.ids()):
            yield self.record(release)

    def live(self) -> ReleaseRecord | None:
        """The record of the release that last became live; None while nothing ever was."""
        return next((record for record in self.newest_first() if record.outcome == "live"), None)

    def append(self, record: ReleaseRecord) -> ReleaseRecord:
        """Store ``record`` durably behind the newest one and return it with its chain filled in.

        Raises:
            LedgerError: a record of that id is there already.
        """
        self.disk.make_directory(self.directory)
        ids = self.ids()
        if record.release in ids:
            raise LedgerError(f"release '{record.release}' is in the ledger already")
        chain = digest(self.document(ids[-1])) if ids else GENESIS
        chained = replace(record, chain=chain)
        self.disk.write(self.directory / f"{record.release}.json", to_json(chained.to_dict()), mode=0o600)
        return chained

    def broken(self) -> list[str]:
        """Ids of records whose chain does not match the record before them (altered or removed history)."""
        expected, broken = GENESIS, []
        for release in self.ids():
            document = self.document(release)
            if document.get("chain") != expected:
                broken.append(release)
            expected = digest(document)
        return broken
