"""The operator's SSH key: a cloud puts it on a droplet when it makes one, and a local droplet has it likewise."""

from __future__ import annotations

import contextlib
from pathlib import Path

from .machine import Machine

AUTHORISED = "/root/.ssh/authorized_keys"


def authorise(droplet: Machine, directory: Path) -> None:
    """Let the operator of a site in as root.

    Args:
        droplet: running; makes the key when there is none yet.
        directory: of the site; keeps the key as ``operator-key`` and ``operator-key.pub``.
    """
    private, public = directory / "operator-key", directory / "operator-key.pub"
    if not public.exists():
        made = "/run/operator-key"
        droplet.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "operator", "-f", made])
        private.touch(0o600)
        private.write_bytes(droplet.get(made))
        public.write_bytes(droplet.get(f"{made}.pub"))
        droplet.run(["rm", made, f"{made}.pub"])
    with contextlib.suppress(FileNotFoundError):
        if public.read_bytes() in droplet.get(AUTHORISED):
            return
    droplet.run(["install", "--directory", "--mode=0700", "/root/.ssh"])
    droplet.put(AUTHORISED, public.read_bytes(), mode=0o600)
