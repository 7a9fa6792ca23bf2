"""Whose copy it is: one droplet writes to it, and a second that would is kept from it.

A droplet that was rebuilt goes on where the lost one was. If that one was only out of reach and comes back, or somebody
gives a new droplet the target of another, both would write log segments of the same names: a file at the copy's top,
named after its owner, says whose it is.
"""

import re
import secrets
import socket
from pathlib import Path

from marketplace_durable import write_atomic
from marketplace_vault import Vault, VaultError

_OWNER = "owner-"


def new_identity() -> str:
    """A name for this droplet that no other has, and that says something to people."""
    host = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")
    return f"{host or 'droplet'}-{secrets.token_hex(4)}"


def claim(vault: Vault, directory: Path, identity: str, known: bool) -> None:
    """Make sure that the copy is this droplet's, before anything is written to it.

    Args:
        vault: the copy.
        directory: the backups' own.
        identity: this droplet's.
        known: whether this droplet has written to it before.

    Raises:
        VaultError: it is another's, or holds what this droplet has not written; or it can't be read.
    """
    there = vault.top()
    others = [name.removeprefix(_OWNER) for name in there if name.startswith(_OWNER)]
    if identity in others:
        others.remove(identity)
        if not others:
            return
    if others:
        raise VaultError(
            f"{vault.target} is the copy of another droplet ({', '.join(others)}), so nothing is written to it. Give "
            "this one a backup:storage:target of its own; where the other is gone for good: backup.ship takeover=True"
        )
    if there and not known:
        raise VaultError(
            f"{vault.target} holds backups that are not of this droplet, so nothing is written to it. A new droplet "
            "gets them back by ./bootstrap.sh --restore-from; else give it a backup:storage:target of its own"
        )
    _write(vault, directory, identity)


def seize(vault: Vault, directory: Path, identity: str) -> None:
    """Make the copy this droplet's, whosever it was.

    Raises:
        VaultError: it can't be read or written.
    """
    others = [name for name in vault.top() if name.startswith(_OWNER) and name != f"{_OWNER}{identity}"]
    _write(vault, directory, identity)
    vault.drop(others)


def _write(vault: Vault, directory: Path, identity: str) -> None:
    name = f"{_OWNER}{identity}"
    write_atomic(directory / name, f"{identity}\n", 0o600)
    vault.put(directory, [name])
