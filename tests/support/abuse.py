"""What a hostile host does to the edge: ``python3 abuse.py ADDRESS PORT KIND COUNT SECONDS``. Standard library only.

Prints as JSON how its connections ended: ``refused`` (never got through), ``closed`` (by the edge), ``open`` (still
there at the end) or ``answered N`` (with that HTTP status).

Kinds: ``slow`` (TLS, then a byte of a request's head a second), ``silent`` (a connection and not a word), ``garbage``
(random bytes in place of a TLS handshake), ``requests`` (plain GETs as fast as they are answered).
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import ssl
import sys

HEAD = b"POST /telegram/webhook HTTP/1.1\r\nHost: bot.test\r\n" + b"X-Padding: 1\r\n" * 400


async def main(address: str, port: int, kind: str, count: int, seconds: float) -> dict[str, int]:
    """Open ``count`` connections of that kind, and see for ``seconds`` seconds what becomes of them."""
    deadline = asyncio.get_running_loop().time() + seconds
    ends = await asyncio.gather(*(one(address, port, kind, deadline) for _ in range(count)))
    return dict(collections.Counter(ends))


async def one(address: str, port: int, kind: str, deadline: float) -> str:
    """One connection, to its end or to the deadline."""
    context = None
    if kind in ("slow", "requests"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(
                address, port, ssl=context, server_hostname="bot.test" if context else None
            ),
            max(0.1, deadline - asyncio.get_running_loop().time()),
        )
    except (OSError, ssl.SSLError, TimeoutError):
        return "refused"
    writing = asyncio.ensure_future(write(writer, kind))
    try:
        answer = await asyncio.wait_for(
            reader.read(4096), max(0.1, deadline - asyncio.get_running_loop().time())
        )
        status = answer.split(b" ")[1].decode() if answer.startswith(b"HTTP/") else ""
        return f"answered {status}" if status else "closed"
    except TimeoutError:
        return "open"
    except (OSError, ssl.SSLError):
        return "closed"
    finally:
        writing.cancel()
        with contextlib.suppress(Exception):
            writer.close()


async def write(writer: asyncio.StreamWriter, kind: str) -> None:
    """What a connection of that kind has to say."""
    with contextlib.suppress(OSError):
        if kind == "garbage":
            writer.write(os.urandom(2000))
        elif kind == "requests":
            writer.write(b"GET /wp-login.php HTTP/1.1\r\nHost: bot.test\r\n\r\n")
        elif kind == "slow":
            for byte in HEAD:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1)


if __name__ == "__main__":
    where, door, what, how_many, how_long = sys.argv[1:]
    print(json.dumps(asyncio.run(main(where, int(door), what, int(how_many), float(how_long)))))
