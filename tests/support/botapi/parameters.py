"""Parameters of a Bot API call, in every encoding Telegram takes: query, form, multipart and JSON."""

import json
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import parse_qsl


def parse(content_type: str, body: bytes) -> dict[str, Any]:
    """Parameters by name; an uploaded file's value is its bytes.

    Raises ValueError for a body that is not what its content type says.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        return {}
    if kind == "application/json":
        value = json.loads(body)
        if not isinstance(value, dict):
            raise ValueError("the JSON body is no object")
        return value
    if kind == "multipart/form-data":
        return _multipart(content_type, body)
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(body.decode(), keep_blank_values=True))
    return {}


def _multipart(content_type: str, body: bytes) -> dict[str, Any]:
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body
    )
    values: dict[str, Any] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            values[name] = content if part.get_filename() else content.decode()
    return values


def structure(value: Any) -> Any:
    """A nested parameter: JSON text in a form, plain data in a JSON body. Raises ValueError for broken JSON."""
    return json.loads(value) if isinstance(value, str) else value


def flag(value: Any) -> bool:
    return str(value).lower() in ("true", "1", "yes")
