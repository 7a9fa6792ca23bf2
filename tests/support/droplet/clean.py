"""Taking everything away again: only what carries our label, and the engine only when we started it."""

from __future__ import annotations

import contextlib
import shutil

import docker
from docker.errors import APIError, ImageNotFound

from . import host
from .errors import DropletError
from .image import PREFIX
from .paths import LABEL, state_dir
from .progress import Progress
from .site import Site, names


def everything(progress: Progress) -> None:
    """Remove sites, images and state, and stop the engine if this program started it."""
    try:
        client = host.connect()
    except DropletError:
        progress.note("no Docker engine runs: nothing to remove from it")
    else:
        for name in names(client):
            with progress.step(f"Remove site {name}"):
                Site(name, client, progress.note).destroy()
        with progress.step("Remove images"):
            images(client)
        client.close()
    with progress.step("Remove state"):
        stopped = host.stop()
        shutil.rmtree(state_dir(), ignore_errors=True)
    if stopped:
        progress.note("the Docker engine that was started for it is stopped; its packages stay installed")


def images(client: docker.DockerClient) -> None:
    """Remove our images, layers left by builds included; others' that are built on them stay."""
    for tag in [tag for found in client.images.list(PREFIX + "/*") for tag in found.tags]:
        with contextlib.suppress(APIError):  # A container that isn't ours runs it.
            client.images.remove(tag, force=True)
    while True:  # A layer goes only after those on top of it.
        left = client.images.list(all=True, filters={"label": LABEL, "dangling": True})
        removed = 0
        for found in left:
            try:
                client.images.remove(str(found.id))
                removed += 1
            except ImageNotFound:
                removed += 1
            except APIError:
                continue  # Someone else's image stands on it.
        if not removed:
            return
