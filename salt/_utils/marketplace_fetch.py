"""Bringing backups back from the copy elsewhere, where this host has lost its own."""

import contextlib
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from marketplace_backup_world import BackupWorld
from marketplace_backups import arriving, kinds, log_files
from marketplace_barman import USER
from marketplace_claim import owners
from marketplace_ship_given_up import STREAMED
from marketplace_units import amount
from marketplace_vault import Vault, VaultError

# Of what is put away. Copies of earlier trees have it.
LOG_LIST = "-xlog.db"


def fetch(world: BackupWorld, vault: Vault, settings: Mapping[str, Any], by: str) -> dict[str, Any]:
    """Copy everything from there that is not here; nothing that is here is touched.

    Returns:
        ``backups`` (how many there are now), ``bytes``, ``seconds``.

    Raises:
        LockHeld: somebody is at the backups already.
        VaultError: not all of it could be brought.
        BarmanError: all is here, and Barman can't list the log.
    """
    with world.lock.held(by, "backup.fetch"):
        begun = world.clock.monotonic()
        root, barman = world.paths.backups, world.barman.directory
        place = arriving(root)
        _bring(world, vault, place)
        # Barman wants its directories, empty or not.
        for name in ("base", "errors", "incoming", "meta", "streaming", "wals"):
            (barman / name).mkdir(exist_ok=True)
        # A storage knows nothing of owners and rights, and there are secrets among these.
        for path in root.rglob("*"):
            # The receiver, and what puts its segments away, go on meanwhile.
            with contextlib.suppress(FileNotFoundError):
                path.chmod(0o700 if path.is_dir() else 0o600)
        for path in (world.barman.home, *world.barman.home.rglob("*")):
            with contextlib.suppress(FileNotFoundError):
                shutil.chown(path, USER, USER)
        # Its own list says nothing of what has come from elsewhere, and one from there is of another moment.
        if "postgres" in kinds(settings) and any(log_files(barman)):
            world.barman.end()
            world.barman.list_log()
        # From here on all is as if it had never been away.
        shutil.rmtree(place)
        size = sum(backup.bytes for backup in world.catalogue.all())
        return {
            "backups": len(world.catalogue.all()),
            "bytes": size,
            "size": amount(size),
            "seconds": round(world.clock.monotonic() - begun, 1),
        }


def _bring(world: BackupWorld, vault: Vault, place: Path) -> None:
    """Copy to a place of its own first: what was cut off must never be taken for whole."""
    root = world.paths.backups
    names = [
        name
        for name in vault.names()
        if not (root / name).exists() and not owners([name]) and not name.endswith(LOG_LIST)
    ]
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(mode=0o700)
    vault.get(place, names)
    lacking = {name for name in names if not (place / name).exists()}
    # Rounds of shipping go on, and what they have deleted there meanwhile is here in another form.
    if lacking & set(vault.names() if lacking else ()):
        raise VaultError(f"{vault.target}: {len(lacking)} files were not brought, {min(lacking)} among them")
    arrived = [name for name in names if name not in lacking]
    streamed = [name for name in arrived if name.startswith(f"{STREAMED}/")]
    _move([name for name in arrived if name not in streamed], place, root)
    # First: in its place, the next of those rounds deletes what the receiver has not.
    _unpack_streamed(world, place / STREAMED)
    _move(streamed, place, root)


def _move(names: Iterable[str], place: Path, root: Path) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).rename(root / name)


def _unpack_streamed(world: BackupWorld, place: Path) -> None:
    """What the receiver had of segments that were not put away."""
    directory = world.barman.directory / "streaming"
    directory.mkdir(parents=True, exist_ok=True)
    away = {path.name for path in log_files(world.barman.directory)}
    packed = {file.name.removesuffix(".zst"): file for file in place.glob("0*.zst")}
    # A whole segment comes before what was streamed of it while it was none.
    for name, file in sorted(packed.items()):
        segment = name.removesuffix(".partial")
        if not {segment, name} & (away | {path.name for path in directory.iterdir()}):
            unfinished = directory / f".{name}"
            unpack = ["zstd", "--quiet", "--force", "--decompress", "-o", str(unfinished), str(file)]
            world.host.run(unpack, 60, {})
            unfinished.rename(directory / name)
