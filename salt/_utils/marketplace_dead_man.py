"""Calls the dead man's switch: whoever misses that tells people that this droplet is gone.

curl does it, in a process of its own: neither a name that is not found nor an answer that does not come holds up who
watches.
"""

import subprocess
from pathlib import Path

# Seconds that a call may take, names and all; less than from one to the next.
PATIENCE = 20


class DeadMan:
    """The switch whose address is in ``file``: a secret, which nobody may see among the processes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._process: subprocess.Popen[str] | None = None

    def call(self) -> None:
        """Begin a call. Why one does not get through is printed: who misses it is told by the switch itself."""
        self.stop()
        command = ["curl", "--silent", "--show-error", "--fail", "--location", "--max-time", str(PATIENCE)]
        command += ["--proto", "=http,https", "--output", "/dev/null", "--config", "-"]
        try:
            url = self._file.read_text().strip()
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            if self._process.stdin is not None:
                with self._process.stdin as asked:
                    asked.write(f"url = {_quoted(url)}\n")
        except OSError as error:
            _print(str(error))

    def turn(self) -> None:
        """Take in how a call has ended, where it has."""
        if self._process is None or self._process.poll() is None:
            return
        code, said = self._process.returncode, self._end()
        if code:
            _print(said or f"curl ended with {code}")

    def stop(self) -> None:
        """End a call that is on its way."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def _end(self) -> str:
        process, self._process = self._process, None
        if process is None or process.stderr is None:
            return ""
        with process.stderr as told:
            said = told.read().strip()
        process.wait()
        return said


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _print(why: str) -> None:
    print(f"the dead man's switch does not answer: {why}", flush=True)
