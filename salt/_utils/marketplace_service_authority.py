"""The own authority for traffic between services: what to make, sign again and trust, by dates. Pure.

An authority is replaced by overlap. A second one is made and trusted beside the first; it signs only when whoever is
live was started with that trust. So no client ever meets a certificate that it does not know.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from marketplace_certificate import ending

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 397
# How long before its end an authority gets a successor: time enough for somebody to ship a release.
OVERLAP = timedelta(days=730)
_CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-sha256")


@dataclass(frozen=True)
class Issued:
    """What a certificate says: whose key, signed with whose key, from when to when, for which names and addresses."""

    key: str
    signer: str
    starts: datetime
    ends: datetime
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "Issued":
        """Read what :func:`describe` asks openssl for.

        Raises:
            ValueError: it is no such answer.
        """
        lines = [line.strip() for line in text.splitlines()]
        dates = dict(line.split("=", 1) for line in lines if line.startswith(("notBefore=", "notAfter=")))
        behind = dict(itertools.pairwise(lines))
        try:
            starts, ends = (
                datetime.strptime(dates[name], "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)
                for name in ("notBefore", "notAfter")
            )
            key = behind["X509v3 Subject Key Identifier:"]
            signer = behind["X509v3 Authority Key Identifier:"].removeprefix("keyid:")
        except KeyError as error:
            raise ValueError(f"openssl did not say {error} of a certificate") from error
        words = [word.strip() for word in behind.get("X509v3 Subject Alternative Name:", "").split(",")]
        return cls(
            key=key,
            signer=signer,
            starts=starts,
            ends=ends,
            names=tuple(word.removeprefix("DNS:") for word in words if word.startswith("DNS:")),
            addresses=tuple(
                word.removeprefix("IP Address:") for word in words if word.startswith("IP Address:")
            ),
        )


@dataclass(frozen=True)
class Trust:
    """Who has to know a successor before it may sign.

    Attributes:
        live: whether a release is live; without one there is nobody to wait for.
        successor: whether that release was started with the successor among those it trusts.
    """

    live: bool
    successor: bool


def steps(
    current: Issued | None,
    successor: Issued | None,
    previous: Issued | None,
    trust: Trust,
    now: datetime,
    signs: bool = True,
) -> list[str]:
    """What to do with the authorities, in order.

    Args:
        current: who signs; None where there is none.
        successor: who is trusted already, and is to sign next.
        previous: who signed before, and is still trusted.
        trust: see :class:`Trust`.
        now: the time.
        signs: whether the current one still has its key.

    Returns:
        ``create`` (a first one), ``prepare`` (a successor), ``promote`` (it signs from now on), ``forget`` (the
        previous one, which has ended).
    """
    if current is None and successor is None:
        return ["create"]
    found = []
    if current is None or not signs or current.ends - now < OVERLAP:
        if successor is None:
            found.append("prepare")
        nobody_left = current is None or current.ends <= now
        if nobody_left or not trust.live or (successor is not None and trust.successor):
            found.append("promote")
    if previous is not None and previous.ends <= now:
        found.append("forget")
    return found


def reason_to_issue(
    certificate: Issued | None,
    signer: Issued | None,
    names: list[str],
    addresses: list[str],
    now: datetime,
) -> str | None:
    """Why a service's certificate has to be made (again), or None.

    Args:
        certificate: what stands; None where there is none that can be used.
        signer: the authority that signs; None where that is yet to be made.
        names: DNS names it has to be for, in order; addresses: likewise.
        now: the time. It is renewed when a third of its life is left.
    """
    if certificate is None:
        return "missing"
    if signer is None or certificate.signer != signer.key:
        return "signed by another authority"
    if list(certificate.names) != names or list(certificate.addresses) != addresses:
        return f"is for {', '.join([*certificate.names, *certificate.addresses]) or 'nobody'}"
    if certificate.ends - now < (certificate.ends - certificate.starts) / 3:
        return ending(certificate.ends)
    return None


def lifetime(signer: Issued, now: datetime) -> int:
    """Days for a new certificate: the usual, and never beyond its signer's end."""
    return max(1, min(CERTIFICATE_DAYS, (signer.ends - now).days))


def describe(file: str) -> list[str]:
    """The openssl command whose answer :meth:`Issued.parse` reads; the public key is in it as well, as PEM."""
    asked = "subjectAltName,subjectKeyIdentifier,authorityKeyIdentifier"
    return ["openssl", "x509", "-in", file, "-noout", "-pubkey", "-dates", "-ext", asked]


def authority_request(identity: str, key: str, certificate: str, days: int = AUTHORITY_DAYS) -> list[str]:
    """The openssl command that makes an authority's key and certificate."""
    return [
        *("openssl", "req", "-x509", *_CURVE, "-days", str(days)),
        *("-subj", f"/CN=Services of this host {identity}"),
        *("-addext", "basicConstraints=critical,CA:TRUE,pathlen:0"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
        *("-keyout", key, "-out", certificate),
    ]


def certificate_request(
    signer: str, names: list[str], addresses: list[str], days: int, files: Mapping[str, str]
) -> list[str]:
    """The openssl command that makes a service's key and a certificate signed by an authority.

    Args:
        signer: file with the authority's certificate and key.
        names: DNS names, the first of which is the subject; addresses: IP addresses.
        days: its life.
        files: where ``key`` and ``certificate`` go.
    """
    subject = ",".join([*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)])
    return [
        *("openssl", "req", "-x509", "-CA", signer, "-CAkey", signer, *_CURVE, "-days", str(days)),
        *("-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={subject}"),
        *("-addext", "basicConstraints=critical,CA:FALSE", "-addext", "keyUsage=critical,digitalSignature"),
        *("-addext", "extendedKeyUsage=serverAuth"),
        *("-keyout", files["key"], "-out", files["certificate"]),
    ]


def certificates(text: str) -> list[str]:
    """The certificates in a PEM text, each with its final newline, without any key."""
    found: list[str] = []
    lines: list[str] = []
    for line in text.splitlines():
        if line == "-----BEGIN CERTIFICATE-----":
            lines = []
        lines.append(line)
        if line == "-----END CERTIFICATE-----":
            found.append("\n".join([*lines, ""]))
    return found
