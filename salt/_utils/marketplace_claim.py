"""Whose copy it is: one droplet writes to it, and whoever else would is kept from it.

A droplet that was rebuilt goes on where the lost one was. If that one was only out of reach and comes back, or comes
back as it was some days ago, or somebody gives a new droplet the target of another, both would write log segments of
the same names. So a file at the copy's top says in its name whose it is, and how often that one has written to it.
"""

import re
import secrets
import socket
from collections.abc import Iterable
from dataclasses import dataclass

_OWNER = re.compile(r"owner-(?P<identity>.+)\.(?P<rounds>\d+)")


class NotOurs(Exception):
    """The copy is not this droplet's to write to; the message says whose it is and what to do."""


@dataclass(frozen=True)
class Owner:
    """Who writes to a copy.

    Attributes:
        identity: the droplet's.
        rounds: how often it has written. Noted here before it is noted there, so the copy is never ahead of its owner.
    """

    identity: str
    rounds: int

    @property
    def file(self) -> str:
        """The name of the file that says so."""
        return f"owner-{self.identity}.{self.rounds}"


def new_identity() -> str:
    """A name for this droplet that no other has, and that says something to people."""
    host = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")
    return f"{host or 'droplet'}-{secrets.token_hex(4)}"


def owners(names: Iterable[str]) -> list[Owner]:
    """Who is named at a copy's top."""
    found = (_OWNER.fullmatch(name) for name in names)
    return [Owner(match["identity"], int(match["rounds"])) for match in found if match]


def check(target: str, there: Iterable[str], ours: Owner, known: bool) -> None:
    """Refuse where a copy is not this droplet's. Pure.

    Args:
        target: the copy, for messages.
        there: what is at its top.
        ours: who this droplet is.
        known: whether it has written there before.

    Raises:
        NotOurs: it is another's, or holds what this droplet has not written.
    """
    named = owners(there)
    others = sorted({owner.identity for owner in named if owner.identity != ours.identity})
    if others:
        raise NotOurs(
            f"{target} is the copy of another droplet ({', '.join(others)}), so nothing is written to it: give this "
            "one a backup:storage:target of its own"
        )
    if any(owner.rounds > ours.rounds for owner in named):
        raise NotOurs(
            f"{target} is newer than this droplet, which has come back as it was before: nothing is written to it. A "
            "new droplet gets what is there by ./bootstrap.sh --restore-from; or give this one a backup:storage:target "
            "of its own"
        )
    if list(there) and not named and not known:
        raise NotOurs(
            f"{target} holds backups that are not of this droplet, so nothing is written to it. A new droplet gets "
            "them back by ./bootstrap.sh --restore-from; else give it a backup:storage:target of its own"
        )
