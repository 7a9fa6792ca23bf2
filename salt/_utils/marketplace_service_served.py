"""The certificate that a service really serves: files say what it should be, only a handshake says what it is."""

import socket
import ssl
from pathlib import Path

# PostgreSQL's SSLRequest: https://www.postgresql.org/docs/17/protocol-message-formats.html
SSL_REQUEST = bytes.fromhex("0000000804d2162f")


def served(address: tuple[str, int], postgres: bool = False, timeout: float = 5.0) -> bytes | None:
    """The certificate that ``address`` serves, DER; None where nobody speaks TLS there.

    Args:
        address: host and port.
        postgres: whether it has to be asked for TLS first, as PostgreSQL is.
        timeout: seconds for every step.
    """
    try:
        return handshake(address, address[0], postgres, timeout)
    except OSError:
        return None


def handshake(
    address: tuple[str, int], name: str, postgres: bool = False, timeout: float = 5.0
) -> bytes | None:
    """The certificate, DER, that ``address`` gives a client that asks for ``name``; None where it refuses TLS.

    Raises:
        OSError: nobody answers, or not with TLS.
    """
    # Whose it is is the question, so it is not verified here.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(address, timeout) as plain:
        if postgres:
            plain.sendall(SSL_REQUEST)
            if plain.recv(1) != b"S":
                return None
        with context.wrap_socket(plain, server_hostname=name) as secured:
            return secured.getpeercert(binary_form=True)


def stored(file: Path) -> bytes:
    """The first certificate in a PEM file, DER.

    Raises:
        ValueError: there is none.
    """
    try:
        return first(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} holds no certificate") from error


def first(pem: str) -> bytes:
    """The first certificate in a PEM text, DER.

    Raises:
        ValueError: there is none.
    """
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    if begin not in pem or end not in pem:
        raise ValueError("there is no certificate in it")
    return ssl.PEM_cert_to_DER_cert(begin + pem.split(begin, 1)[1].split(end, 1)[0] + end + "\n")
