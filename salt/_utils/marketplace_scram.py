"""SCRAM-SHA-256 verifiers as PostgreSQL stores them (RFC 5803), made and checked here.

So a password never reaches the server, its log, or a command line: ``ALTER ROLE`` gets the verifier.
"""

import base64
import hashlib
import hmac
import os

ITERATIONS = 4096
_SALT_BYTES = 16


def verifier(password: str, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """The verifier of ``password``: ``SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>``.

    Args:
        password: ASCII only, so that no SASLprep is needed.
        salt: random when None.
        iterations: PBKDF2 rounds.

    Raises:
        ValueError: the password is not ASCII, or empty.
    """
    if not password or not password.isascii():
        raise ValueError("a PostgreSQL password must be non-empty ASCII")
    salt = os.urandom(_SALT_BYTES) if salt is None else salt
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encoded = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"


def matches(stored: str | None, password: str) -> bool:
    """Whether ``stored`` (pg_authid.rolpassword) is a verifier of ``password``; anything unreadable is not."""
    try:
        _, parameters, _ = (stored or "").split("$")
        iterations, salt = parameters.split(":")
        expected = verifier(password, base64.b64decode(salt, validate=True), int(iterations))
    except ValueError:
        return False
    return hmac.compare_digest(expected, stored or "")
