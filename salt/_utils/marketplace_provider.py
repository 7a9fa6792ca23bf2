"""Whether PostgreSQL or Redis at a provider is who it should be, lets us in, and is of use to the rest here."""

import os
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from marketplace_database import MAJOR, PROGRAMS
from marketplace_managed import NAMES, place
from marketplace_provider_database import login_of
from marketplace_redis import Connection, RedisError, client_context
from marketplace_service_served import SSL_REQUEST
from marketplace_settings_derive import SYSTEM_AUTHORITIES
from marketplace_settings_kinds_net import SYSTEM

SECONDS = 10.0
_QUESTION = "SELECT current_setting('server_version_num')::int / 10000"
_MAY = (
    "SELECT has_database_privilege(current_database(), 'CREATE') AND has_schema_privilege('public', 'CREATE')"
)

Read = Callable[[str], str]


class ProviderError(Exception):
    """A service at a provider can't be used; the message names it, says why and what to do."""


def prove(settings: Mapping[str, Any], service: str, secret: Read) -> str:
    """See that a service at a provider can be used; in words, what it is.

    Args:
        settings: the effective settings; what their authority's file holds does not count, but what they say.
        service: ``postgres`` or ``redis``.
        secret: a secret's value, by its name.

    Raises:
        ProviderError: it can't.
    """
    with authority(settings[service]["managed"]["ca"]) as file:
        if service == "redis":
            return _redis(settings, secret, file)
        handshake(settings, file)
        return _postgres(settings, secret, file)


def ping(settings: Mapping[str, Any], password: str) -> None:
    """Ask Redis at its provider for a sign of life.

    Raises:
        ProviderError: there is none.
    """
    redis, where = settings["redis"], place(settings, "redis")
    try:
        login = (redis["users"]["application"], password)
        with Connection(
            (redis["address"], redis["port"]), *login, authority=Path(redis["authority"])
        ) as connection:
            answer = connection.command("PING")
    except (RedisError, OSError) as error:
        raise ProviderError(f"Redis at {where}: {error}") from error
    if answer != "PONG":
        raise ProviderError(f"Redis at {where} answers PING with {answer!r}")


def handshake(settings: Mapping[str, Any], authority: Path) -> None:
    """See that PostgreSQL at its provider takes TLS, and is the one that is meant.

    Raises:
        ProviderError: it is not, or does not.
    """
    host, port = settings["postgres"]["address"], settings["postgres"]["port"]
    try:
        with socket.create_connection((host, port), SECONDS) as plain:
            plain.sendall(SSL_REQUEST)
            if plain.recv(1) != b"S":
                raise ProviderError(f"PostgreSQL at {host}:{port} does not take TLS: is the port right?")
            with client_context(authority).wrap_socket(plain, server_hostname=host):
                pass
    except ssl.SSLCertVerificationError as error:
        raise ProviderError(_unproven("postgres", host, port, error.verify_message)) from error
    except OSError as error:
        raise ProviderError(_silent("postgres", host, port, error)) from error


def _unproven(service: str, host: str, port: int, why: str) -> str:
    return (
        f"{NAMES[service]} at {host}:{port} does not prove that it is {host} ({why}): "
        f"{service}.managed.ca must be the authority that the provider signs with"
    )


def _silent(service: str, host: str, port: int, why: object) -> str:
    return (
        f"{NAMES[service]} does not answer at {host}:{port} ({why}): "
        "is it up, are host and port right, and does the provider let this droplet in (trusted sources)?"
    )


def _redis(settings: Mapping[str, Any], secret: Read, authority: Path) -> str:
    redis = settings["redis"]
    try:
        ping({**settings, "redis": {**redis, "authority": str(authority)}}, secret("redis_app_password"))
    except ProviderError as error:
        cause = error.__cause__.__cause__ if error.__cause__ else None
        if isinstance(cause, ssl.SSLCertVerificationError):
            words = _unproven("redis", redis["address"], redis["port"], cause.verify_message)
            raise ProviderError(words) from error
        if isinstance(cause, OSError):
            raise ProviderError(_silent("redis", redis["address"], redis["port"], cause)) from error
        raise
    return f"Redis answers at {place(settings, 'redis')}"


def _postgres(settings: Mapping[str, Any], secret: Read, authority: Path) -> str:
    """Where the client is not installed yet, nobody can log in, and a state does it later."""
    where = place(settings, "postgres")
    if not (PROGRAMS / "psql").exists():
        return f"PostgreSQL takes TLS at {where}"
    version = ""
    for role, name in (
        ("application", "postgres_app_password"),
        ("owner", settings["postgres"]["owner_secret"]),
    ):
        login = login_of(settings, role, secret(name), str(authority))
        version = _asked(login.environment, _QUESTION, f"PostgreSQL at {where} refuses {login.user}")
    if int(version) != MAJOR:
        raise ProviderError(
            f"PostgreSQL at {where} is of version {version}, and {MAJOR} is needed: dumps, drills and ways back "
            f"are made with the programs of {MAJOR}"
        )
    may = _asked(login.environment, _MAY, f"PostgreSQL at {where} refuses {login.user}")
    if may != "t":
        raise ProviderError(
            f"{login.user} may make nothing in database {login.database} at {where}: migrations could not. Make it the "
            f"owner there: ALTER DATABASE {login.database} OWNER TO {login.user}"
        )
    return f"PostgreSQL {version} answers at {where}"


def _asked(environment: Mapping[str, str], question: str, refusal: str) -> str:
    psql = [str(PROGRAMS / "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", question]
    try:
        done = subprocess.run(
            psql, env={**os.environ, **environment}, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, timeout=3 * SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ProviderError(f"{refusal}: no answer within {3 * SECONDS:.0f} s") from error
    if done.returncode != 0:
        raise ProviderError(f"{refusal}: {' / '.join(done.stderr.strip().splitlines()[-2:])}")
    return done.stdout.strip()


@contextmanager
def authority(said: str) -> Iterator[Path]:
    """A file with the authorities that ``managed.ca`` says; there during the block, before any state has written it."""
    if said == SYSTEM:
        yield Path(SYSTEM_AUTHORITIES)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(said)
        file.flush()
        yield Path(file.name)
