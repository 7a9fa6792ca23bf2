"""Docker by its socket, for who asks every few seconds: no program has to be started for a question.

Source of the requests: https://docs.docker.com/reference/api/engine/. Without a version in its path a request is of the
engine's own; what is asked here has been the same in all of them.
"""

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from marketplace_docker import ContainerState, DockerError, container_state


class DockerSocket:
    """The engine behind ``path``.

    Args:
        path: its socket.
        timeout: seconds that a question may take.
    """

    def __init__(self, path: Path, timeout: float = 3) -> None:
        self._path, self._timeout = path, timeout

    def containers(self, *names: str) -> dict[str, ContainerState]:
        """States of those of ``names`` that exist.

        Raises:
            DockerError: the engine does not answer.
        """
        found = {}
        for name in names:
            status, document = self._ask("GET", f"/containers/{quote(name)}/json", self._timeout)
            if status == http.client.OK:
                found[name] = container_state(document)
            elif status != http.client.NOT_FOUND:
                raise DockerError(f"Docker says of {name}: {document.get('message', status)}")
        return found

    def restart(self, name: str, grace: int) -> None:
        """Stop a container, by force behind ``grace`` seconds, and start it.

        Raises:
            DockerError: it could not be done.
        """
        path = f"/containers/{quote(name)}/restart?t={grace}"
        status, document = self._ask("POST", path, grace + 30)
        if status != http.client.NO_CONTENT:
            raise DockerError(f"Docker does not restart {name}: {document.get('message', status)}")

    def _ask(self, method: str, path: str, timeout: float) -> tuple[int, dict[str, Any]]:
        connection = _Connection("localhost", timeout=timeout)
        connection.path = self._path
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
            raise DockerError(
                f"Docker does not answer on {self._path} ({why}); see: systemctl status docker"
            ) from error
        finally:
            connection.close()
        try:
            document = json.loads(body) if body else {}
        except ValueError as error:
            raise DockerError(f"Docker gave no JSON: {body[:200]!r}") from error
        return response.status, document


class _Connection(http.client.HTTPConnection):
    path: Path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))
