"""The certificate that a service really serves: files say what it should be, only a handshake says what it is."""

import socket
import ssl
from pathlib import Path

# PostgreSQL's SSLRequest: https://www.postgresql.org/docs/17/protocol-message-formats.html
_SSL_REQUEST = bytes.fromhex("0000000804d2162f")


def served(address: tuple[str, int], postgres: bool = False, timeout: float = 5.0) -> bytes | None:
    """The certificate that ``address`` serves, DER; None where nobody speaks TLS there.

    Args:
        address: host and port.
        postgres: whether it has to be asked for TLS first, as PostgreSQL is.
        timeout: seconds for every step.
    """
    # Whose it is is the question, so it is not verified here.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection(address, timeout) as plain:
            if postgres:
                plain.sendall(_SSL_REQUEST)
                if plain.recv(1) != b"S":
                    return None
            with context.wrap_socket(plain, server_hostname=address[0]) as secured:
                return secured.getpeercert(binary_form=True)
    except OSError:
        return None


def stored(file: Path) -> bytes:
    """The first certificate in a PEM file, DER.

    Raises:
        ValueError: there is none.
    """
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    text = file.read_text()
    if begin not in text or end not in text:
        raise ValueError(f"{file} holds no certificate")
    return ssl.PEM_cert_to_DER_cert(begin + text.split(begin, 1)[1].split(end, 1)[0] + end + "\n")
