"""Talking to a command that runs inside a container: what it reads, and what it writes, split into two streams."""

from __future__ import annotations

import socket as sockets
import struct
from collections.abc import Callable
from typing import Any

Line = Callable[[str], None]


def talk(stream: Any, data: bytes) -> Any:
    """Send ``data`` to an attached exec and yield what it answers, split into (stdout, stderr)."""
    raw: sockets.socket = getattr(stream, "_sock", stream)
    raw.settimeout(None)
    try:
        raw.sendall(data)
        raw.shutdown(sockets.SHUT_WR)
        while header := _read(raw, 8):
            kind, size = struct.unpack(">BxxxL", header)
            part = _read(raw, size)
            yield (part, None) if kind == 1 else (None, part)
    finally:
        stream.close()


def _read(raw: sockets.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = raw.recv(size - len(data))
        if not part:
            return b""
        data += part
    return data


def collect(chunks: Any, line: Line | None) -> tuple[bytes, bytes]:
    whole: tuple[list[bytes], list[bytes]] = ([], [])
    pending = [b"", b""]
    for pair in chunks:
        for index, part in enumerate(pair):
            if not part:
                continue
            whole[index].append(part)
            if line is not None:
                *done, pending[index] = (pending[index] + part).split(b"\n")
                for text in done:
                    line(text.decode(errors="replace"))
    if line is not None:
        for rest in filter(None, pending):
            line(rest.decode(errors="replace"))
    return b"".join(whole[0]), b"".join(whole[1])
