"""Snapshots of a droplet that is off: its root's own layer and its /var, copied as files on the host."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import stat
import subprocess
from pathlib import Path

from docker.errors import NotFound
from docker.models.volumes import Volume

from .droplets import Droplet
from .errors import DropletError
from .paths import LABEL

BIG = 32 << 20
"""Bytes; smaller files are left as they were copied."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """A copy of everything that a droplet changed since it was made.

    It is kept in a volume: that is beside the droplet's own files, and on a file system that can hold an overlay's.
    """

    volume: Volume

    @property
    def directory(self) -> Path:
        """Where the volume's files are on the host."""
        return Path(self.volume.attrs["Mountpoint"])

    def remove(self) -> None:
        """Free the space."""
        with contextlib.suppress(NotFound):
            self.volume.remove(force=True)


def take(droplet: Droplet, site: str, name: str) -> Snapshot:
    """Shut ``droplet`` down in order, copy it, boot it again.

    Args:
        droplet: running or off; it runs afterwards.
        site: name of its site, with which the snapshot goes away.
        name: of the snapshot; one of the same name is replaced.

    Raises:
        DropletError: the engine doesn't keep containers on overlay2, or copying failed.
    """
    volumes = droplet.client.volumes
    volume = f"{droplet.name}-snapshot-{name}"
    with contextlib.suppress(NotFound):
        volumes.get(volume).remove(force=True)
    volumes.create(volume, labels={LABEL: site})
    snapshot = Snapshot(volumes.get(volume))
    droplet.shutdown()
    try:
        parts = droplet.parts()
        for part, source in parts.items():
            _copy(source, snapshot.directory / part)
        (snapshot.directory / "allocated.json").write_text(json.dumps(_allocated(parts["var"])))
    finally:
        droplet.boot()
    return snapshot


def restore(droplet: Droplet, snapshot: Snapshot) -> None:
    """Put ``droplet`` back to ``snapshot``, whatever it is doing now, and boot it. Other droplets may be given as well.

    Raises:
        DropletError: see :func:`take`.
    """
    if droplet.running:
        droplet.kill()
    parts = droplet.parts()
    for part, target in parts.items():
        for old in target.iterdir():
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink()
        _copy(snapshot.directory / part, target)
    for name, size in json.loads((snapshot.directory / "allocated.json").read_text()).items():
        with (parts["var"] / name).open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    droplet.boot()


def _allocated(root: Path) -> dict[str, int]:
    """Big files without a hole. A copy of such a file has holes where nothing was written yet."""
    found = {}
    for directory, _, names in os.walk(root):
        for path in (Path(directory) / name for name in names):
            status = path.lstat()
            if (
                stat.S_ISREG(status.st_mode)
                and status.st_size >= BIG
                and status.st_blocks * 512 >= status.st_size
            ):
                found[str(path.relative_to(root))] = status.st_size
    return found


def _copy(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    done = subprocess.run(
        ["cp", "--archive", "--reflink=auto", f"{source}/.", str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DropletError(f"copying {source} failed: {done.stderr[-1000:]}")
