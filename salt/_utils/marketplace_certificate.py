"""What openssl says about a certificate, and whether a local one is still good."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Names the certificates that this tree signs itself; any other issuer is a real authority and left alone.
LOCAL_ISSUER = "Local certificate of this host"
# Who certificate.status says has given one that no authority has.
NO_AUTHORITY = "local"
# Days before its end at which state.apply makes a local one again, and people are told that it has not done so.
RENEW_DAYS = 30
# What a state changes where nothing but the date asks for it; anything else that is wrong with one, somebody has done.
RENEWAL = "renewal"
_ENDS = "ends on"
_ALWAYS = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Certificate:
    """Issuer's common name, the DNS names it is for, and from when to when it holds."""

    issuer: str
    domains: tuple[str, ...]
    ends: datetime
    begins: datetime = _ALWAYS

    @classmethod
    def parse(cls, text: str) -> "Certificate":
        """Read what the command of ``question`` prints.

        Raises:
            ValueError: the end is missing.
        """
        issuer, ends, begins, domains = "", None, _ALWAYS, []
        for line in (raw.strip() for raw in text.splitlines()):
            if line.startswith("commonName"):
                issuer = line.split("=", 1)[1].strip()
            elif line.startswith("notAfter="):
                ends = _moment(line)
            elif line.startswith("notBefore="):
                begins = _moment(line)
            elif line.startswith("DNS:"):
                domains = [part.strip().removeprefix("DNS:") for part in line.split(",")]
        if ends is None:
            raise ValueError("openssl did not say when the certificate ends")
        return cls(issuer, tuple(domains), ends, begins)

    @property
    def local(self) -> bool:
        return self.issuer == LOCAL_ISSUER


def _moment(line: str) -> datetime:
    return datetime.strptime(line.split("=", 1)[1], "%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)


def question(file: str) -> list[str]:
    """The openssl command that tells of the first certificate in ``file``."""
    return [
        *(
            "openssl",
            "x509",
            "-in",
            file,
            "-noout",
            "-issuer",
            "-startdate",
            "-enddate",
            "-ext",
            "subjectAltName",
        ),
        *("-nameopt", "multiline"),
    ]


def reason_to_renew(
    certificate: Certificate | None, domains: list[str], now: datetime, before: timedelta
) -> str | None:
    """Why a local certificate has to be made (again), or None.

    Args:
        certificate: what stands; None when there is none that can be read.
        domains: names it has to be for.
        now: the time.
        before: how long before its end it is renewed.
    """
    if certificate is None:
        return "missing"
    if not certificate.local:
        return None
    if list(certificate.domains) != domains:
        return f"is for {', '.join(certificate.domains) or 'nobody'}"
    if certificate.ends - now < before:
        return ending(certificate.ends)
    return None


def ending(ends: datetime) -> str:
    """The reason for another certificate where this one is about to end, as they all put it."""
    return f"{_ENDS} {ends:%Y-%m-%d}"


def changing(reason: str) -> str:
    """What a state says it changes, by the reason for another certificate."""
    return RENEWAL if reason.startswith(_ENDS) else "certificate"


def request(domains: list[str], days: int, key: str, certificate: str) -> list[str]:
    """The openssl command that makes a key and a self-signed certificate for ``domains``."""
    names = ",".join(f"DNS:{domain}" for domain in domains)
    return [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"),
        *("-sha256", "-days", str(days), "-subj", f"/CN={LOCAL_ISSUER}"),
        *("-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:TRUE"),
        *("-keyout", key, "-out", certificate),
    ]
