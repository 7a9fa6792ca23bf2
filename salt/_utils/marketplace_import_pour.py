"""Pours a dump into the command that loads it, and says what became of it in the words of those commands."""

import subprocess
from pathlib import Path
from typing import IO

from marketplace_backup_world import BackupError
from marketplace_last_words import last_words

LONGEST_SECONDS = 4 * 3600.0


def load_file(file: Path, command: list[str]) -> None:
    """Have a command read a file.

    Raises:
        BackupError: it failed; with its last words.
        TimeoutExpired: it took too long.
    """
    with file.open("rb") as stream:
        done = _loaded(command, stream)
    if done.returncode != 0:
        raise BackupError(f"{file} can't be loaded: {_said(done.stderr)}{_hint(done.stderr)}")


def pour(dump: list[str], restore: list[str]) -> None:
    """Have one command read what another writes; both have ended behind it, however it went.

    Raises:
        BackupError: one of them failed; with the last words of both.
        TimeoutExpired: it took too long.
    """
    with subprocess.Popen(dump, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as source:
        try:
            done = _loaded(restore, source.stdout)
            if source.stdout:  # where that ended early, nobody reads the rest: the dump ends as well
                source.stdout.close()
            said = source.communicate()[1]
        except BaseException:
            source.kill()
            raise
    if source.returncode or done.returncode:
        raise BackupError(f"it can't be loaded: {_said(said + done.stderr)}")


def _loaded(command: list[str], stream: IO[bytes] | None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command,
        stdin=stream,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=LONGEST_SECONDS,
        check=False,
    )


def _said(stderr: bytes) -> str:
    return last_words(stderr.decode(errors="replace"))


def _hint(stderr: bytes) -> str:
    if b"role" in stderr and b"does not exist" in stderr:
        return ". Dump with --no-owner --no-privileges, or with --format=custom"
    return ""
