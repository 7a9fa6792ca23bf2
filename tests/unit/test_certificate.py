"""Local certificates: when they are made again, and that real ones never are."""

from datetime import UTC, datetime, timedelta

import pytest
from marketplace_certificate import LOCAL_ISSUER, Certificate, reason_to_renew, request

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MONTH = timedelta(days=30)
SHOWN = f"""issuer=
    commonName                = {LOCAL_ISSUER}
notAfter=Feb  5 10:00:00 2027 GMT
X509v3 Subject Alternative Name:
    DNS:bot.example.com, DNS:www.example.com
"""


def local(**changes):
    facts = {"issuer": LOCAL_ISSUER, "domains": ("a.example",), "ends": NOW + timedelta(days=90)}
    return Certificate(**{**facts, **changes})


def test_openssl_is_read():
    certificate = Certificate.parse(SHOWN)
    assert certificate.local
    assert certificate.domains == ("bot.example.com", "www.example.com")
    assert certificate.ends == datetime(2027, 2, 5, 10, tzinfo=UTC)
    with pytest.raises(ValueError, match="when the certificate ends"):
        Certificate.parse("issuer=\n")


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (None, "missing"),
        (local(), None),
        (local(domains=("b.example",)), "is for b.example"),
        (local(domains=()), "is for nobody"),
        (local(ends=NOW + timedelta(days=29)), "ends on 2026-01-30"),
        (local(ends=NOW - timedelta(days=1)), "ends on 2025-12-31"),
    ],
)
def test_reasons(certificate, reason):
    assert reason_to_renew(certificate, ["a.example"], NOW, MONTH) == reason


def test_a_real_certificate_is_left_alone_whatever_it_says():
    real = local(issuer="R11", domains=("other.example",), ends=NOW - timedelta(days=1))
    assert reason_to_renew(real, ["a.example"], NOW, MONTH) is None


def test_the_request_names_every_domain():
    command = request(["a.example", "b.example"], 90, "/k", "/c")
    assert "subjectAltName=DNS:a.example,DNS:b.example" in command
    assert command[command.index("-days") + 1] == "90"
