"""A keep-alive HTTPS connection on which one request at a time is posted. HTTP/1.1 and no more than the edge speaks."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What came of a request: an HTTP answer, or ``error`` in its place.

    ``connected`` tells whether a connection was there, ``new`` whether it was made for this request, and
    ``retry_after`` how many seconds the other side asked to wait (0: it did not).
    """

    status: int | None
    body: bytes = b""
    error: str = ""
    retry_after: int = 0
    new: bool = False
    connected: bool = True


class Broken(Exception):
    """The answer is no HTTP answer."""


class Connection:
    """One client's connection. It is made when it is needed, and kept as long as the server lets us.

    Args:
        address: where to connect.
        port: there.
        name: the server's name, for TLS and for the Host header.
        tls: whom to trust.
    """

    def __init__(self, address: str, port: int, name: str, tls: ssl.SSLContext) -> None:
        self._where = (address, port)
        self._name = name
        self._tls = tls
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Post ``body``. Never raises for what the network or the server does: the answer says so."""
        new = self._streams is None
        if self._streams is None:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    self._streams = await asyncio.open_connection(
                        *self._where, ssl=self._tls, server_hostname=self._name
                    )
            except (OSError, TimeoutError, ssl.SSLError) as error:
                return Answer(None, error=_words("connect", error), new=True, connected=False)
        reader, writer = self._streams
        lines = [f"POST {path} HTTP/1.1", f"Host: {self._name}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                await writer.drain()
                status, answered, content = await read_answer(reader)
        except (OSError, EOFError, TimeoutError, Broken, asyncio.LimitOverrunError) as error:
            self.close()
            return Answer(None, error=_words("answer", error), new=new)
        if answered.get("connection", "").lower() == "close":
            self.close()
        asked = answered.get("retry-after", "")
        return Answer(status, content, retry_after=int(asked) if asked.isdigit() else 0, new=new)

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        if self._streams is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._streams[1].close()
            self._streams = None


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers (names in lower case) and body of an answer.

    Raises:
        Broken: it is none.
        EOFError, OSError: the connection ended before the answer did.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    words = head[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise Broken(f"no HTTP answer: {head[0][:80]!r}")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return int(words[1]), headers, await _chunks(reader)
    if not headers.get("content-length", "").isdigit():
        raise Broken("the answer does not say how long it is")
    return int(words[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = (await reader.readuntil(b"\r\n")).strip().partition(b";")[0]
        try:
            length = int(size, 16)
        except ValueError as error:
            raise Broken(f"no length of a chunk: {size[:20]!r}") from error
        body += (await reader.readexactly(length + 2))[:-2]
        if length == 0:
            return body


def _words(when: str, error: BaseException) -> str:
    """A failure in the log's words: when, and what kind."""
    return f"{when}: {type(error).__name__}" + (f": {error}" if str(error) else "")
