"""The encrypted copy elsewhere: an object storage's bucket or a directory, by rclone. Nothing leaves the host in clear.

rclone's ``crypt`` encrypts the content (not the names, which hold times and nothing else) with the secret
``backup_key``. Secrets reach it by its environment, which root alone can see.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

# One that takes longer is slow enough to be told of.
LONGEST_SECONDS = 900.0
# Bytes a second, likewise: what is sent in one call and was not through by then is sent anew.
SLOWEST = 512 * 1024
# https://rclone.org/docs/#list-of-exit-codes
_DIRECTORY_NOT_FOUND = 3
_OPTIONS = (
    "--config=/notfound", "--retries=1", "--low-level-retries=2", "--contimeout=10s", "--timeout=60s",
    "--transfers=4", "--checkers=4", "--stats=0", "--log-level=ERROR", "--use-server-modtime",
)  # fmt: skip
_LISTED = "--files-from-raw=-"
_COMMON = {"RCLONE_CONFIG_VAULT_TYPE": "crypt", "RCLONE_CONFIG_VAULT_FILENAME_ENCRYPTION": "off",
           "RCLONE_CONFIG_VAULT_DIRECTORY_NAME_ENCRYPTION": "false"}  # fmt: skip


class VaultError(Exception):
    """The copy elsewhere can't be reached, read or written; the message says what and where."""


class _Missing(VaultError):
    """There is no such place."""


class Secrets(Protocol):
    """Where the key and the storage's credentials come from: the secret store, or what somebody has given."""

    def read(self, name: str) -> str:
        """The value of a secret."""


class Vault:
    """Files elsewhere, by their path relative to the backups' directory.

    Args:
        storage: the settings ``backup.storage``.
        store: has ``backup_key`` and, for an object storage, ``backup_storage_secret``.
    """

    def __init__(self, storage: Mapping[str, Any], store: Secrets) -> None:
        self.storage = storage
        self.store = store

    @property
    def target(self) -> str:
        """Where it is; empty where nothing is asked for."""
        return str(self.storage["target"])

    @property
    def place(self) -> str:
        """Another one is another copy."""
        return f"{self.storage['endpoint']} {self.target}".strip()

    def put(self, directory: Path, names: Sequence[str]) -> None:
        """Copy files below ``directory``, whatever there was under their names; they have time by their size.

        Raises:
            VaultError: not all of them are there now.
        """
        if names:
            size = sum(file.stat().st_size for name in names if (file := directory / name).exists())
            self._run(
                "copy",
                str(directory),
                "VAULT:",
                _LISTED,
                "--no-traverse",
                "--ignore-times",
                names=names,
                timeout=LONGEST_SECONDS + size / SLOWEST,
            )

    def drop(self, names: Sequence[str]) -> None:
        """Delete files; missing ones are fine."""
        if names:
            self._run("delete", "VAULT:", _LISTED, names=names)

    def names(self) -> list[str]:
        """Every file that is there."""
        return self._run("lsf", "--recursive", "--files-only", "VAULT:").splitlines()

    def top(self) -> list[str]:
        """What is there at the top: files, and directories with a slash behind; nothing where there is no place."""
        try:
            return self._run("lsf", "VAULT:").splitlines()
        except _Missing:
            return []

    def get(self, directory: Path, names: Sequence[str], timeout: float = 4 * 3600.0) -> None:
        """Copy files into a directory; one that is at the copy no more is passed over.

        Raises:
            VaultError: not all of the others are there now, or one is not what was put there.
        """
        if names:
            self._run(
                "copy", "VAULT:", str(directory), _LISTED, "--no-traverse", names=names, timeout=timeout
            )

    def _run(
        self, *arguments: str, names: Sequence[str] | None = None, timeout: float = LONGEST_SECONDS
    ) -> str:
        given = None if names is None else "".join(f"{name}\n" for name in names)
        return _rclone([*arguments, *_OPTIONS], self._environment(), given, timeout, self.target)

    def _environment(self) -> dict[str, str]:
        key = _rclone(["obscure", "-"], {}, self.store.read("backup_key"), 60, self.target).strip()
        environment = _COMMON | {"RCLONE_CONFIG_VAULT_PASSWORD": key}
        if not self.target.startswith("s3:"):
            return environment | {"RCLONE_CONFIG_VAULT_REMOTE": self.target}
        return environment | {
            "RCLONE_CONFIG_VAULT_REMOTE": f"STORAGE:{self.target.removeprefix('s3:')}",
            "RCLONE_CONFIG_STORAGE_TYPE": "s3",
            "RCLONE_CONFIG_STORAGE_PROVIDER": "Other",
            "RCLONE_CONFIG_STORAGE_ENDPOINT": self.storage["endpoint"],
            "RCLONE_CONFIG_STORAGE_REGION": self.storage["region"],
            "RCLONE_CONFIG_STORAGE_ACCESS_KEY_ID": self.storage["access_key"],
            "RCLONE_CONFIG_STORAGE_SECRET_ACCESS_KEY": self.store.read("backup_storage_secret"),
            "RCLONE_CONFIG_STORAGE_FORCE_PATH_STYLE": "true",
            # The bucket is there: a key that may write to it need not be allowed to make one.
            "RCLONE_CONFIG_STORAGE_NO_CHECK_BUCKET": "true",
        }


def _rclone(
    arguments: Sequence[str], environment: Mapping[str, str], given: str | None, timeout: float, target: str
) -> str:
    try:
        done = subprocess.run(
            # It ends with who runs it, or a second one would meet the half written files of the first.
            ["setpriv", "--pdeathsig", "KILL", "nice", "rclone", *arguments],
            env={**os.environ, **environment}, input=given or "", capture_output=True, text=True, timeout=timeout,
            check=False, umask=0o077,
        )  # fmt: skip
    except OSError as error:
        raise VaultError(f"rclone cannot be run: {error.strerror or error}; run state.apply") from error
    except subprocess.TimeoutExpired as error:
        raise VaultError(f"{target} is too slow: not done within {timeout:.0f} s") from error
    if done.returncode != 0:
        kind = _Missing if done.returncode == _DIRECTORY_NOT_FOUND else VaultError
        raise kind(f"{target}: {_reason(done.stderr)}")
    return done.stdout


def _reason(said: str) -> str:
    """The last of what rclone said, without time and level."""
    lines = [line.split(" : ", 1)[-1].strip() for line in said.splitlines() if line.strip()]
    return " / ".join(dict.fromkeys(lines[-2:])) or "rclone failed and said nothing"
