"""The key of the backups' copy: shown to people alone, and known to have been kept by one of them."""

import hashlib

from marketplace_durable import make_directory, write_atomic
from marketplace_paths import Paths
from marketplace_secrets import Store, UnknownSecret


def show(paths: Paths, terminal: str = "/dev/tty") -> None:
    """Write the key to the terminal, and remember that somebody has seen it.

    Raises:
        OSError: there is no terminal.
        UnknownSecret: there is no key yet.
    """
    key = Store(paths.secrets).read("backup_key")
    with open(terminal, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a device, which has no other use
        stream.write(
            f"{key}\n\nKeep this away from the droplet, for example in a password manager: without it nobody can read "
            "the copies of the backups, whoever has them.\n"
        )
    _remember(paths, key)


def was_kept(paths: Paths) -> None:
    """Remember that somebody has the key: they have just given it.

    Raises:
        UnknownSecret: there is no key yet.
    """
    _remember(paths, Store(paths.secrets).read("backup_key"))


def is_kept(paths: Paths) -> bool:
    """Whether somebody has seen the key that is in use."""
    try:
        return (paths.state / "backup_key.shown").read_text() == _digest(
            Store(paths.secrets).read("backup_key")
        )
    except (FileNotFoundError, UnknownSecret):
        return False


def _remember(paths: Paths, key: str) -> None:
    make_directory(paths.state)
    write_atomic(paths.state / "backup_key.shown", _digest(key))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest() + "\n"
