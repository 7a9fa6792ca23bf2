"""The certificate that HAProxy serves: what it has loaded, what clients are given, and giving it another."""

import hashlib
import ssl
from pathlib import Path

from marketplace_durable import make_directory, write_atomic
from marketplace_edge import Edge, EdgeError
from marketplace_service_served import first, handshake


def fingerprint(pem: str) -> str:
    """SHA-1 of the first certificate in ``pem``, as HAProxy names it.

    Raises:
        ValueError: there is none.
    """
    return hashlib.sha1(first(pem), usedforsecurity=False).hexdigest()


def certificates(pem: str) -> str:
    """The certificates of a PEM text, without its key."""
    lines: list[str] = []
    inside = False
    for line in pem.splitlines():
        inside = inside or line == "-----BEGIN CERTIFICATE-----"
        if inside:
            lines.append(line)
        inside = inside and line != "-----END CERTIFICATE-----"
    return "\n".join(lines) + "\n"


def loaded(edge: Edge, file: Path) -> str | None:
    """Fingerprint of the certificate that HAProxy has loaded from ``file``; None where it knows no such file.

    Raises:
        EdgeError: it does not answer.
    """
    for line in edge.command(f"show ssl cert {file}").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "SHA1 FingerPrint":
            return value.strip().lower()
    return None


def commit(edge: Edge, file: Path, pem: str) -> None:
    """Have HAProxy serve ``pem`` in place of what it loaded from ``file``: at once, without a reload.

    Raises:
        EdgeError: it does not answer, or does not take it; then it serves what it served.
    """
    body = "\n".join(line for line in pem.splitlines() if line.strip())
    told = edge.command(f"set ssl cert {file} <<\n{body}\n")
    if "Transaction" not in told:
        raise EdgeError(f"HAProxy does not take the certificate in {file}: {' '.join(told.split())}")
    told = edge.command(f"commit ssl cert {file}")
    if "Success" not in told:
        edge.command(f"abort ssl cert {file}")
        raise EdgeError(f"HAProxy does not use the certificate in {file}: {' '.join(told.split())}")


def install(edge: Edge, file: Path, public: Path, chain: str, key: str) -> bool:
    """Serve a certificate: durably in ``file`` first, then in the running HAProxy; whether it was a change.

    Args:
        file: chain and key together, 0600, where HAProxy reads them when it starts.
        public: the chain alone, 0644.

    Raises:
        EdgeError: it is in the files, but HAProxy could not be told.
        ValueError: there is no certificate in ``chain``; nothing is written.
    """
    pem = chain.rstrip("\n") + "\n" + key
    wanted = fingerprint(pem)
    changed = not file.exists() or file.read_text() != pem
    if changed:
        make_directory(file.parent, 0o700)
        write_atomic(file, pem, 0o600)
    if not public.exists() or public.read_text() != chain:
        make_directory(public.parent)
        write_atomic(public, chain)
    if loaded(edge, file) not in (None, wanted):
        commit(edge, file, pem)
        changed = True
    return changed


def shown(domain: str, address: str = "127.0.0.1", port: int = 443) -> str:
    """The certificate (PEM) that clients are given for ``domain``.

    Raises:
        EdgeError: nobody answers, or not with TLS.
    """
    try:
        der = handshake((address, port), domain)
    except OSError as error:
        raise EdgeError(f"no TLS handshake at {address}:{port} for {domain}: {error}") from error
    return ssl.DER_cert_to_PEM_cert(der or b"")
