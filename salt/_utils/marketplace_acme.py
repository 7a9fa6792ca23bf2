"""Getting a certificate from an ACME authority by certbot: when, how, and what its failures mean. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from marketplace_certificate import Certificate, ending

# Renewed with two fifths of its life left; an alarm with one third: in between there are days to try again.
RENEW_AT, ALARM_AT = 2 / 5, 1 / 3
# Pauses after the first, second, ... failure. Let's Encrypt allows five failed validations an hour and name
# (https://letsencrypt.org/docs/rate-limits/).
PAUSES = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=4), timedelta(hours=12))
LIMITED_PAUSE = timedelta(hours=12)


@dataclass(frozen=True)
class Order:
    """What is asked for: one certificate for ``domains`` from the authority whose ACME directory is ``directory``."""

    name: str
    domains: tuple[str, ...]
    directory: str
    email: str = ""


@dataclass(frozen=True)
class Attempts:
    """Failures in a row of one order: how many, when the last was, why, and whether it was a limit of the authority."""

    failures: int = 0
    last: str = ""
    reason: str = ""
    limited: bool = False

    @classmethod
    def parse(cls, document: Any, order: Order) -> "Attempts":
        """What is on record, as far as it is about this order: a changed one starts anew."""
        if not isinstance(document, Mapping) or document.get("order") != described(order):
            return cls()
        known = ("failures", "last", "reason", "limited")
        return cls(**{key: document[key] for key in known if key in document})

    def next_at(self) -> datetime | None:
        """When the next attempt is due; None where nothing has failed."""
        if not self.failures:
            return None
        pause = LIMITED_PAUSE if self.limited else PAUSES[min(self.failures, len(PAUSES)) - 1]
        return datetime.fromisoformat(self.last) + pause

    def failed(self, now: datetime, reason: str, limited: bool) -> "Attempts":
        return Attempts(self.failures + 1, now.isoformat(timespec="seconds"), reason, limited)


def described(order: Order) -> str:
    return f"{', '.join(order.domains)} from {order.directory}"


def share_left(certificate: Certificate, now: datetime) -> float:
    """Share of its life that a certificate has left; 0 where it is over."""
    life = (certificate.ends - certificate.begins).total_seconds()
    return max(0.0, (certificate.ends - now).total_seconds() / life) if life > 0 else 0.0


def reason_to_order(
    certificate: Certificate | None, server: str | None, order: Order, now: datetime
) -> str | None:
    """Why a certificate has to be ordered (again), or None.

    Args:
        certificate: what the authority has given us; None when it gave nothing.
        server: ACME directory that it came from.
    """
    if certificate is None:
        return "missing"
    if sorted(certificate.domains) != sorted(order.domains):
        return f"is for {', '.join(certificate.domains) or 'nobody'}"
    if server != order.directory:
        return f"comes from {server or 'an unknown authority'}"
    if share_left(certificate, now) < RENEW_AT:
        return ending(certificate.ends)
    return None


def command(order: Order, address: str, port: int, hook: str) -> list[str]:
    """certbot's argv that gets the certificate, whatever stands there by that name.

    Args:
        address: where certbot listens for the authority's question; port: likewise.
        hook: command that certbot runs behind every success, also behind later ones of its own.
    """
    who = ["--email", order.email] if order.email else ["--register-unsafely-without-email"]
    return [
        *("certbot", "certonly", "--non-interactive", "--agree-tos", *who),
        *("--standalone", "--http-01-address", address, "--http-01-port", str(port)),
        *("--server", order.directory, "--cert-name", order.name, "--key-type", "ecdsa"),
        *("--force-renewal", "--renew-with-new-domains", "--deploy-hook", hook),
        *(part for domain in order.domains for part in ("--domain", domain)),
    ]


# What certbot and its authority say, and what that means. The first match counts.
_MEANINGS: Sequence[tuple[str, str]] = (
    (r"rateLimited|too many (?:certificates|failed|requests|new)", "the authority's rate limit is reached"),
    (
        r"NXDOMAIN|DNS problem|could not resolve URL|urn:ietf:params:acme:error:dns|no valid A records",
        "a name does not point here (DNS)",
    ),
    (
        r"urn:ietf:params:acme:error:(?:unauthorized|connection)|Timeout during connect|Connection refused during",
        "the authority could not fetch its question from port 80 of a name: it points elsewhere, or something bars"
        " the way",
    ),
    (r"urn:ietf:params:acme:error:caa", "a CAA record of the domain forbids this authority"),
    (
        r"urn:ietf:params:acme:error:(?:invalidEmail|invalidContact|unsupportedContact)",
        "the authority does not like the e-mail address",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "the authority's own certificate is not trusted by this host",
    ),
    (
        r"ConnectionError|Max retries exceeded|ConnectTimeout|ReadTimeout|Temporary failure in name resolution"
        r"|serverInternal|HTTP 5\d\d|Service Unavailable",
        "the authority is out of reach",
    ),
    (
        r"Account \S+ not found|accountDoesNotExist",
        "the authority no longer knows our account: move /etc/letsencrypt/accounts away, and try again",
    ),
    (
        r"archive directory exists",
        "certbot's copies of an older certificate are in the way: move /etc/letsencrypt/archive/edge away",
    ),
    (r"Another instance of Certbot is already running", "another certbot is at work"),
    (r"Could not bind TCP port|Problem binding to port", "certbot's port on this host is taken"),
)
_NOISE = (
    "Saving debug log",
    "Ask for help",
    "See the logfile",
    "Please see the logfile",
    "- - -",
    "Plugins selected",
)


def meaning(output: str) -> tuple[str, bool]:
    """What certbot's failure means, with its own words, and whether the authority asks us to slow down.

    Args:
        output: its stdout and stderr.
    """
    lines = [line.strip() for line in output.splitlines()]
    words = " ".join(line for line in lines if line and not line.startswith(_NOISE))[-600:]
    for index, (pattern, text) in enumerate(_MEANINGS):
        if re.search(pattern, output, re.IGNORECASE):
            return f"{text}. certbot: {words}", index == 0
    return f"certbot failed: {words or 'it said nothing'}", False
