"""The little of Redis's protocol that is needed here, so that no password ever stands on a command line."""

import socket
import ssl
from pathlib import Path
from typing import Any

Reply = str | int | None | list[Any]


class RedisError(Exception):
    """The server cannot be asked, or refused; the message holds no password."""


class LoginRefused(RedisError):
    """The server answers, and does not take the user or its password."""


class NobodyListens(RedisError):
    """Nothing listens on the port."""


class Unproven(RedisError):
    """The server does not prove that it is who it should be."""


class Connection:
    """One authenticated connection; use it as a context manager.

    Args:
        address: host and port.
        user: ACL user.
        password: its password.
        timeout: seconds for every step.
        authority: file with the authorities by which the server is known; None: without TLS.

    Raises:
        RedisError: nobody answers, the server is not who it should be, or the login is refused.
    """

    def __init__(
        self,
        address: tuple[str, int],
        user: str,
        password: str,
        timeout: float = 5.0,
        authority: Path | None = None,
    ) -> None:
        self._where = f"{address[0]}:{address[1]}"
        try:
            self._socket = socket.create_connection(address, timeout)
        except ConnectionRefusedError as error:
            raise NobodyListens(f"Redis does not answer on {self._where}: {error}") from error
        except OSError as error:
            raise RedisError(f"Redis does not answer on {self._where}: {error}") from error
        if authority is not None:
            try:
                context = client_context(authority)
                self._socket = context.wrap_socket(self._socket, server_hostname=address[0])
            except OSError as error:
                self._socket.close()
                raise Unproven(f"no TLS with Redis on {self._where}: {error}") from error
        self._file = self._socket.makefile("rb")
        try:
            self.command("AUTH", user, password)
        except RedisError as error:
            self.close()
            broken = isinstance(error.__cause__, OSError | ValueError)
            kind = RedisError if broken else LoginRefused
            raise kind(f"Redis on {self._where} refuses user {user}: {error}") from error

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it; more than once does no harm."""
        self._file.close()
        self._socket.close()

    def command(self, *words: str) -> Reply:
        """Send one command and return its reply.

        Raises:
            RedisError: the server's error, or a connection that broke.
        """
        try:
            self._socket.sendall(encode(words))
            return self._reply()
        except (OSError, ValueError) as error:
            raise RedisError(f"connection to Redis on {self._where} broke: {error}") from error

    def _reply(self) -> Reply:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ValueError("closed by the server")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RedisError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            length = int(rest)
            return None if length < 0 else self._file.read(length + 2)[:-2].decode()
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        raise ValueError(f"unknown reply {kind!r}")


def client_context(authority: Path) -> ssl.SSLContext:
    """How a client verifies a server, name included, by the authorities in a file.

    Not by every letter of RFC 5280, which authorities of providers do not follow; libpq and HAProxy don't either.
    """
    context = ssl.create_default_context(cafile=str(authority))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def reach(host: str, port: int, plain_port: int, login: tuple[str, str], authority: Path) -> Connection:
    """A connection with TLS; without it where Redis does not listen for TLS yet.

    Raises:
        RedisError: as :class:`Connection`. A server that is not known by ``authority`` is never spoken to.
    """
    try:
        return Connection((host, port), *login, authority=authority)
    except NobodyListens:
        return Connection((host, plain_port), *login)


def directives(text: str) -> dict[str, str]:
    """Name -> value of the lines of a configuration file, as ``CONFIG GET`` spells them."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.split(None, 1) for line in lines if line and not line.startswith("#"))
    return {pair[0]: pair[1].strip('"') for pair in pairs if len(pair) == 2}


def encode(words: tuple[str, ...]) -> bytes:
    """A command as the protocol's array of bulk strings."""
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        data = word.encode()
        parts.append(f"${len(data)}\r\n".encode() + data + b"\r\n")
    return b"".join(parts)


def users(lines: list[str]) -> dict[str, frozenset[str]]:
    """User -> its rules as a set, from the lines of an ACL file or of ``ACL LIST``.

    Only what both spell alike is kept: ``sanitize-payload`` and friends, which the server adds, are left out, as are
    the resets that say what is the default anyway.
    """
    noise = {"sanitize-payload", "resetchannels", "resetkeys", "nocommands", "-@all", "reset"}
    found = {}
    for line in lines:
        words = line.split()
        if len(words) >= 2 and words[0] == "user":
            found[words[1]] = frozenset(word for word in words[2:] if word not in noise)
    return found


def difference(loaded: list[str], wanted: list[str]) -> dict[str, dict[str, str]]:
    """Users that loading ``wanted`` would change; names only, since rules hold password digests."""
    before, after = users(loaded), users(wanted)
    changes = {}
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            old = "as loaded" if name in before else "missing"
            changes[name] = {"old": old, "new": "as in the file" if name in after else "removed"}
    return changes
