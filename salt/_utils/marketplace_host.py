"""The droplet itself, as far as a release asks it: room on disks, commands, and where to stop for a fault test."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


class HostError(Exception):
    """A command of the droplet failed; the message is its own."""


class Host:
    """The host that the engine runs on.

    Args:
        pause: a file that, where it exists, names a place ``<step>:start`` or ``<step>:end`` at which the engine stops
            itself (SIGSTOP), for tests that kill it just there. Only root can write it.
    """

    def __init__(self, pause: Path) -> None:
        self.pause = pause

    def free(self, path: Path) -> tuple[int, int]:
        """Bytes that are free for root, and bytes in all, on the file system of ``path`` or its nearest parent."""
        while not path.exists() and path != path.parent:
            path = path.parent
        found = os.statvfs(path)
        return found.f_bfree * found.f_frsize, found.f_blocks * found.f_frsize

    def run(self, argv: Sequence[str], timeout: float, environment: Mapping[str, str]) -> str:
        """Run a command on the droplet, with no shell; its output.

        Args:
            timeout: deadline in seconds; it and what it started are killed behind it.
            environment: variables besides our own.

        Raises:
            HostError: it failed, took too long, or is not there.
        """
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, **environment},
                start_new_session=True,
            )
        except OSError as error:
            raise HostError(f"{argv[0]}: {error.strerror or error}") from error
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise HostError(f"{argv[0]} took longer than {timeout:.0f} s") from error
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        if process.returncode != 0:
            raise HostError(
                f"{argv[0]} failed with exit code {process.returncode}: {output.strip()[-2000:] or 'no output'}"
            )
        return output

    def reached(self, step: str, when: str) -> None:
        """A step begins (``start``) or is over (``end``): stop here when somebody asked for it."""
        try:
            asked = self.pause.read_text().strip()
        except OSError:
            return
        if asked == f"{step}:{when}":
            os.kill(os.getpid(), signal.SIGSTOP)
