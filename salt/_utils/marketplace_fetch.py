"""Bringing backups back from the copy elsewhere, where this host has lost its own."""

import shutil
from typing import Any

from marketplace_backup_world import BackupWorld
from marketplace_barman import USER
from marketplace_claim import owners
from marketplace_ship_given_up import STREAMED
from marketplace_units import amount
from marketplace_vault import Vault


def fetch(world: BackupWorld, vault: Vault, by: str) -> dict[str, Any]:
    """Copy everything from there that is not here; nothing that is here is touched.

    Returns:
        ``backups`` (how many there are now), ``bytes``, ``seconds``.

    Raises:
        LockHeld: somebody is at the backups already.
        VaultError: not all of it could be brought.
    """
    with world.lock.held(by, "backup.fetch"):
        begun = world.clock.monotonic()
        root, barman = world.paths.backups, world.barman.directory
        _bring(world, vault)
        # A segment that was put away since is there in full.
        away = {path.name for path in (barman / "wals").rglob("0*")}
        (barman / "streaming").mkdir(parents=True, exist_ok=True)
        for packed in sorted((root / STREAMED).glob("0*.zst")):
            name = packed.name.removesuffix(".zst")
            target = barman / "streaming" / name
            if name.removesuffix(".partial") not in away and not target.exists():
                unfinished = target.with_name(f".{name}")
                unpack = ["zstd", "--quiet", "--force", "--decompress", "-o", str(unfinished), str(packed)]
                world.host.run(unpack, 60, {})
                unfinished.rename(target)
        # Barman wants its directories, empty or not.
        for name in ("base", "errors", "incoming", "meta", "streaming", "wals"):
            (barman / name).mkdir(exist_ok=True)
        # A storage knows nothing of owners and rights, and there are secrets among these.
        for path in root.rglob("*"):
            path.chmod(0o700 if path.is_dir() else 0o600)
        for path in (world.barman.home, *world.barman.home.rglob("*")):
            shutil.chown(path, USER, USER)
        size = sum(backup.bytes for backup in world.catalogue.all())
        return {
            "backups": len(world.catalogue.all()),
            "bytes": size,
            "size": amount(size),
            "seconds": round(world.clock.monotonic() - begun, 1),
        }


def _bring(world: BackupWorld, vault: Vault) -> None:
    """Copy to a place of its own first: what was cut off must never be taken for whole."""
    root = world.paths.backups
    arriving = root / ".arriving"
    shutil.rmtree(arriving, ignore_errors=True)
    arriving.mkdir(mode=0o700)
    names = [name for name in vault.names() if not (root / name).exists() and not owners([name])]
    vault.get(arriving, names)
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (arriving / name).rename(root / name)
    shutil.rmtree(arriving)
