"""Listens on the port after the one it was given."""

import socket
from typing import Any

from aiogram import Router

router = Router(name="wrong-port")

create_server = socket.create_server


def beside(address: tuple[str, int], **options: Any) -> socket.socket:
    host, port = address
    return create_server((host, port + 1), **options)


socket.create_server = beside  # type: ignore[assignment]
