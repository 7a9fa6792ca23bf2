"""HTTP questions to backends and edge."""

import http.client
import json
import ssl
from typing import Any

# HAProxy's TLS listener for us alone; it shares the live map with the public one.
VERIFY_PORT = 8443


class NoAnswer(Exception):
    """Nobody answers there, or not in HTTP."""


class Probe:
    """Asks for JSON documents."""

    def get(self, host: str, port: int, path: str, timeout: float = 5, tls: bool = False) -> tuple[int, Any]:
        """GET a document: ``(status, document)``; the document is None where the body is no JSON.

        Args:
            timeout: seconds for connecting, and for each read.

        Raises:
            NoAnswer: with the reason.
        """
        if tls:
            # The loopback listener serves the public name's certificate, which cannot match 127.0.0.1.
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=timeout, context=context
            )
        else:
            connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            body = response.read(1 << 20)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"{host}:{port} does not answer: {error or type(error).__name__}") from error
        finally:
            connection.close()
        try:
            return response.status, json.loads(body)
        except ValueError:
            return response.status, None
