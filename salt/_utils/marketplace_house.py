"""Everything else that a droplet is rebuilt from, in one archive: settings, secrets, certificates, ledger."""

import hashlib
import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from marketplace_backup_world import BackupError, BackupWorld
from marketplace_backups import Backup, file_digest
from marketplace_durable import fsync_directory

# Below the root. What state.apply makes of these anew is left out.
KEPT = (
    "etc/marketplace/environment",
    "etc/marketplace/settings.json",
    "etc/marketplace/secrets",
    "etc/marketplace/tls",
    "etc/letsencrypt",
    "var/lib/marketplace/ledger",
    "var/lib/marketplace/releases",
    "var/lib/marketplace/live.map",
    "var/lib/marketplace/maintenance.map",
    "var/lib/marketplace/webhook.json",
    "var/lib/marketplace/slo",
    # Where the tree is a checkout: what is in no repository.
    "srv/deploy/pillar/local",
)


# Grows every minute, and goes along whenever an archive is made: once a day, and when anything else was changed.
GROWING = ("var/lib/marketplace/slo",)


def fingerprint(root: Path) -> str:
    """Another one whenever any of it was changed, but for what always grows."""
    digest = hashlib.sha256()
    for path in _files(root):
        if _is_below(str(path.relative_to(root)), GROWING):
            continue
        facts = path.lstat()
        digest.update(f"{path.relative_to(root)}:{facts.st_size}:{facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def take_house(world: BackupWorld) -> Backup:
    """Pack all of it.

    Raises:
        BackupError: it can't be packed.
    """
    begun = world.clock.now()
    root, place = world.paths.root, world.paths.backups / "house"
    place.mkdir(mode=0o700, exist_ok=True)
    identity = f"{begun:%Y%m%dT%H%M%S}"
    file, unfinished = place / f"{identity}.tar.zst", place / f".{identity}"
    mark = fingerprint(root)
    try:
        with unfinished.open("wb") as stream:
            unfinished.chmod(0o600)
            _pack(root, stream.fileno())
        world.catalogue.disk.sync_file(unfinished)
        unfinished.rename(file)
        fsync_directory(place)
    finally:
        unfinished.unlink(missing_ok=True)
    return Backup(
        kind="house",
        id=identity,
        started=begun.isoformat(timespec="seconds"),
        ended=world.clock.now().isoformat(timespec="seconds"),
        bytes=file.stat().st_size,
        files={str(file.relative_to(world.paths.backups)): file_digest(file)},
        facts={"fingerprint": mark},
    )


def open_house(file: Path, root: Path, keep: Sequence[str] = ()) -> list[str]:
    """Unpack an archive over what there is; the names that were written.

    Args:
        file: the archive.
        root: below which directory.
        keep: names below which what is there already stays as it is.

    Raises:
        BackupError: it can't be unpacked, or holds what it can't have been given.
    """
    written = []
    with _opened(file) as archive:
        for member in archive:
            usual = member.isfile() or member.isdir() or member.issym()
            if not usual or ".." in member.name.split("/") or not _is_below(member.name, KEPT):
                raise BackupError(
                    f"{file} holds {member.name}, which is no part of such an archive: no more of it is unpacked"
                )
            if not (os.path.lexists(root / member.name) and _is_below(member.name, keep)):
                archive.extract(member, root, numeric_owner=True, filter="fully_trusted")
                written.append(member.name)
    return written


def read_house(file: Path, name: str) -> str:
    """One text of an archive; empty where it is not in there.

    Raises:
        BackupError: the archive can't be read.
    """
    with _opened(file) as archive:
        for member in archive:
            if member.name == name:
                stream = archive.extractfile(member)
                return stream.read().decode(errors="replace") if stream else ""
    return ""


@contextmanager
def _opened(file: Path) -> Iterator[tarfile.TarFile]:
    with subprocess.Popen(
        ["zstd", "--quiet", "--decompress", "--stdout", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as unpacker:
        try:
            with tarfile.open(fileobj=unpacker.stdout, mode="r|") as archive:
                yield archive
        except tarfile.TarError as error:
            raise BackupError(f"{file} can't be unpacked: {error}") from error


def _is_below(name: str, places: Sequence[str]) -> bool:
    return any(name == place or name.startswith(f"{place}/") for place in places)


def _pack(root: Path, output: int) -> None:
    with subprocess.Popen(["zstd", "--quiet", "--stdout"], stdin=subprocess.PIPE, stdout=output) as packer:
        if packer.stdin is None:
            raise BackupError("zstd takes no input")
        with tarfile.open(fileobj=packer.stdin, mode="w|") as archive:
            for path in _files(root):
                archive.add(path, arcname=str(path.relative_to(root)), recursive=False)
        packer.stdin.close()
        if packer.wait(600) != 0:
            raise BackupError(f"zstd failed with exit code {packer.returncode}")


def _files(root: Path) -> Iterator[Path]:
    """What is kept: files, links and directories, in a fixed order."""
    for name in KEPT:
        path = root / name
        if path.is_symlink() or path.is_file():
            yield path
        elif path.is_dir():
            yield path
            for place, directories, files in os.walk(path):
                directories.sort()
                yield from (Path(place) / each for each in sorted((*directories, *files)))
