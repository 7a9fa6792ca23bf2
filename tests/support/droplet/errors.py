"""Errors of the local droplet. Each message says what to do next."""

from __future__ import annotations


class DropletError(RuntimeError):
    """The local droplet cannot go on; the message names the reason and the next step."""


class CommandFailed(DropletError):
    """A command inside a container ended with a non-zero status.

    ``argv``, ``returncode``, ``stdout`` and ``stderr`` are attributes; the message holds the last lines of both.
    """

    def __init__(self, where: str, argv: list[str], returncode: int, stdout: str, stderr: str) -> None:
        self.argv = argv
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr
        tail = "\n".join((stdout.rstrip() + "\n" + stderr.rstrip()).strip().splitlines()[-40:])
        super().__init__(f"{where}: {' '.join(argv)!r} exited with {returncode}\n{tail}")
