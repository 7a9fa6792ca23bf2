"""Talking to a command that runs inside a container: what it reads, and what it writes, split into two streams."""

from __future__ import annotations

import contextlib
import socket as sockets
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

Line = Callable[[str], None]


def talk(stream: Any, data: bytes | None) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Send ``data``, if there is any, to an attached exec and yield what it answers, split into (stdout, stderr).

    Args:
        stream: what ``exec_start(socket=True)`` returned.
    """
    raw: sockets.socket = getattr(stream, "_sock", stream)
    raw.settimeout(None)
    # The head of the engine's answer was read through this buffer, and what the command said at once may lie there: on
    # the socket itself it would be missed.
    reader = stream._response.raw._fp.fp
    if data is not None:
        # In a thread: a command that answers while it still reads would wait for us, and we for it.
        threading.Thread(target=_send, args=(raw, data), daemon=True).start()
    try:
        while len(header := reader.read(8)) == 8:
            kind, size = struct.unpack(">BxxxL", header)
            part = reader.read(size)
            yield (part, None) if kind == 1 else (None, part)
    finally:
        # Closing the socket alone makes the response that owns it complain when it is collected.
        stream._response.close()


def _send(raw: sockets.socket, data: bytes) -> None:
    with contextlib.suppress(OSError):  # The command may end without reading everything.
        raw.sendall(data)
        raw.shutdown(sockets.SHUT_WR)


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
