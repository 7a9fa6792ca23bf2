"""The journal: what is in flight, written before each step acts; gone once the ledger has the record."""

from pathlib import Path
from typing import Any

from marketplace_durable import DISK, Disk, to_json


class Journal:
    """The one release that is on its way, below ``directory``; and whether somebody wants it taken back."""

    def __init__(self, directory: Path, disk: Disk = DISK) -> None:
        self.directory = directory
        self.file = directory / "current.json"
        self.withdrawal = directory / "withdraw.json"
        self.disk = disk

    def write(self, entry: dict[str, Any]) -> None:
        self.disk.make_directory(self.directory)
        self.disk.write(self.file, to_json(entry), mode=0o600)

    def read(self) -> dict[str, Any] | None:
        entry = self.disk.read_json(self.file)
        return entry if isinstance(entry, dict) else None

    def clear(self) -> None:
        """Durably: an entry that came back after a power loss would be a release that never was."""
        self.disk.remove(self.file)
        self.disk.remove(self.withdrawal)

    def withdraw(self, release: str, by: str) -> None:
        """Ask the process that runs ``release`` to take it back; it looks between steps and while it soaks."""
        self.disk.write(self.withdrawal, to_json({"release": release, "by": by}), mode=0o600)

    def withdrawn(self, release: str) -> str | None:
        """Who wants ``release`` taken back; None while nobody does."""
        asked = self.disk.read_json(self.withdrawal)
        return str(asked["by"]) if isinstance(asked, dict) and asked.get("release") == release else None
