"""Docker by its socket: no program has to be started for a question.

Source of the requests: https://docs.docker.com/reference/api/engine/. Without a version in its path a request is of the
engine's own; what is asked here has been the same in all of them.
"""

import http.client
import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from marketplace_container import ContainerState, DockerError, container_state

# Seconds for who would rather wait than be told nothing: a Docker that is busy takes its time.
PATIENT = 120.0


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
        documents = {name: self.container(name) for name in names}
        return {
            name: container_state(document) for name, document in documents.items() if document is not None
        }

    def container(self, name: str) -> dict[str, Any] | None:
        """All that the engine says of a container, by its name or id; None where there is none.

        Raises:
            DockerError: the engine does not answer.
        """
        found: dict[str, Any] | None = self._look(f"/containers/{quote(name)}/json", name)
        return found

    def network(self, name: str) -> dict[str, Any] | None:
        """All that the engine says of a network; None where there is none.

        Raises:
            DockerError: the engine does not answer.
        """
        found: dict[str, Any] | None = self._look(f"/networks/{quote(name)}", name)
        return found

    def project(self, name: str) -> list[dict[str, Any]]:
        """All that the engine says of each container of a compose project, running or not.

        Raises:
            DockerError: the engine does not answer.
        """
        label = quote(json.dumps({"label": [f"com.docker.compose.project={name}"]}))
        listed = self._look(f"/containers/json?all=true&filters={label}", name)
        found = (self.container(entry["Id"]) for entry in listed or [])
        return [document for document in found if document is not None]

    def restart(self, name: str, grace: int) -> None:
        """Stop a container, by force behind ``grace`` seconds, and start it.

        Raises:
            DockerError: it could not be done.
        """
        path = f"/containers/{quote(name)}/restart?t={grace}"
        status, document = self._ask("POST", path, grace + 30)
        if status != http.client.NO_CONTENT:
            raise DockerError(f"Docker does not restart {name}: {document.get('message', status)}")

    def _look(self, path: str, name: str) -> Any:
        status, document = self._ask("GET", path, self._timeout)
        if status == http.client.OK:
            return document
        if status == http.client.NOT_FOUND:
            return None
        raise DockerError(f"Docker says of {name}: {document.get('message', status)}")

    def _ask(self, method: str, path: str, timeout: float) -> tuple[int, Any]:
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
