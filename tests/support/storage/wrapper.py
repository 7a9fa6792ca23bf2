"""What stands before the store: it checks the access key, and answers as a store in trouble when it is told to.

`GET /_control` tells the mode, `POST /_control` sets it, as JSON: `{"mode": "slow", "seconds": 5}`.

- `ok`: as it should be;
- `refuse`: every request is denied (403);
- `slow`: every answer waits for `seconds`;
- `full`: what would store something is answered with `status`, 507 or 503. Reading and deleting go on.

A request with the header `X-Control` is a test's own: neither mode nor key stand in its way.
"""

import json
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

CONTROL = "/_control"  # No bucket's name: those have no underscore.
CODES = {503: "ServiceUnavailable", 507: "InsufficientStorage"}
CHUNK = 1 << 16


@dataclass(frozen=True)
class Mode:
    """How the store behaves. `seconds` is for `slow` and `status` for `full`."""

    mode: str = "ok"
    seconds: float = 5
    status: int = 507

    def __post_init__(self) -> None:
        if self.mode not in ("ok", "refuse", "slow", "full"):
            raise ValueError(f"mode {self.mode!r} is none of ok, refuse, slow and full")
        if not isinstance(self.seconds, int | float) or self.seconds < 0:
            raise ValueError(f"seconds must be a number that is not negative, not {self.seconds!r}")
        if self.status not in CODES:
            raise ValueError(f"status must be 503 or 507, not {self.status!r}")


class Wrapper:
    """WSGI middleware around the store."""

    def __init__(self, store: Application, access_key: str) -> None:
        self._store = store
        self._access_key = access_key
        self._mode = Mode()

    def __call__(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] == CONTROL:
            return self._control(environ, start)
        if "HTTP_X_CONTROL" in environ:
            # The store looks whether there is an authorisation, not at what it says.
            environ["HTTP_AUTHORIZATION"] = "a test's own"
            return self._store(environ, start)
        mode = self._mode
        if mode.mode == "slow":
            time.sleep(mode.seconds)
        if mode.mode == "refuse":
            return _error(environ, start, 403, "AccessDenied", "Access Denied: ordered by a test")
        key = _access_key(environ)
        if key is None:
            return _error(environ, start, 403, "AccessDenied", "Access Denied: not signed")
        if key != self._access_key:
            return _error(environ, start, 403, "InvalidAccessKeyId", "This access key is not known here")
        if mode.mode == "full" and _stores(environ):
            return _error(environ, start, mode.status, CODES[mode.status], "Full: ordered by a test")
        return self._store(environ, _without_null_version(start))

    def _control(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "POST":
            try:
                values = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
                self._mode = Mode(**values)
            except (TypeError, ValueError) as error:
                return _answer(environ, start, 400, "application/json", json.dumps({"error": str(error)}))
        return _answer(environ, start, 200, "application/json", json.dumps(asdict(self._mode)))


def _without_null_version(start: StartResponse) -> StartResponse:
    """moto tells version "null" of what was uploaded in parts, and knows none by that name when rclone asks for it."""

    def begin(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        kept = [pair for pair in headers if (pair[0].lower(), pair[1]) != ("x-amz-version-id", "null")]
        return start(status, kept, *more)

    return begin


def _access_key(environ: Environ) -> str | None:
    """The access key's name, from the header of signature 4 or 2 or from a presigned address."""
    header = environ.get("HTTP_AUTHORIZATION", "")
    if found := re.match(r"AWS4-HMAC-SHA256 .*?Credential=([^/,\s]+)/|AWS ([^:\s]+):", header):
        return found[1] or found[2]
    query = parse_qs(environ.get("QUERY_STRING", ""))
    for name in ("X-Amz-Credential", "AWSAccessKeyId"):
        if name in query:
            return query[name][0].partition("/")[0]
    return None


def _stores(environ: Environ) -> bool:
    """Whether a request stores something. Several objects are deleted by a POST, which does not."""
    deletes = "delete" in parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    return environ["REQUEST_METHOD"] in ("PUT", "POST") and not deletes


def _error(environ: Environ, start: StartResponse, status: int, code: str, message: str) -> Iterable[bytes]:
    # A client that is still sending would see a broken connection, and not this answer.
    left = int(environ.get("CONTENT_LENGTH") or 0)
    chunked = environ.get("wsgi.input_terminated", False)
    while (chunked or left > 0) and (
        read := environ["wsgi.input"].read(CHUNK if chunked else min(left, CHUNK))
    ):
        left -= len(read)
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return _answer(environ, start, status, "application/xml", body)


def _answer(environ: Environ, start: StartResponse, status: int, kind: str, text: str) -> Iterable[bytes]:
    body = text.encode()
    headers = [("Content-Type", kind), ("Content-Length", str(len(body)))]
    start(f"{status} {HTTPStatus(status).phrase}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
