"""The services' authority: when it is made, succeeded, trusted and forgotten, and when it signs again. By dates."""

from datetime import UTC, datetime, timedelta

import pytest
from marketplace_service_authority import (
    AUTHORITY_DAYS,
    CERTIFICATE_DAYS,
    Issued,
    Trust,
    certificates,
    lifetime,
    reason_to_issue,
    steps,
)

BORN = datetime(2026, 11, 24, tzinfo=UTC)
NOBODY, LIVE, KNOWS = Trust(False, False), Trust(True, False), Trust(True, True)

ANSWER = """notBefore=Nov 24 13:21:25 2026 GMT
notAfter=Dec 26 13:21:25 2027 GMT
X509v3 Subject Key Identifier:
    1A:E7
X509v3 Authority Key Identifier:
    3A:57
X509v3 Subject Alternative Name:
    DNS:postgres, IP Address:10.1.1.1, DNS:localhost
"""


def authority(key="A", born=BORN, days=AUTHORITY_DAYS):
    return Issued(key, key, born, born + timedelta(days=days))


def leaf(signer="A", born=BORN, days=CERTIFICATE_DAYS):
    return Issued("L", signer, born, born + timedelta(days=days), ("redis",), ("10.0.0.1",))


def after(days):
    return BORN + timedelta(days=days)


def test_what_openssl_says_is_read():
    found = Issued.parse(ANSWER)
    assert (found.key, found.signer) == ("1A:E7", "3A:57")
    assert (found.starts.year, found.ends.year) == (2026, 2027)
    assert found.names == ("postgres", "localhost")
    assert found.addresses == ("10.1.1.1",)
    with pytest.raises(ValueError, match="openssl did not say"):
        Issued.parse("notBefore=Nov 24 13:21:25 2026 GMT")


def test_a_first_authority_is_made_and_then_left_alone_for_eight_years():
    assert steps(None, None, None, LIVE, BORN) == ["create"]
    assert steps(authority(), None, None, LIVE, after(1)) == []
    assert steps(authority(), None, None, LIVE, after(AUTHORITY_DAYS - 730)) == []
    assert steps(authority(), None, None, LIVE, after(AUTHORITY_DAYS - 729)) == ["prepare"]


def test_a_successor_signs_only_when_the_live_release_trusts_it():
    late = after(AUTHORITY_DAYS - 700)
    successor = authority("B", after(AUTHORITY_DAYS - 729))
    assert steps(authority(), successor, None, LIVE, late) == []
    assert steps(authority(), successor, None, KNOWS, late) == ["promote"]
    assert steps(authority(), successor, None, NOBODY, late) == ["promote"]
    # To trust one that is only just made is not possible.
    assert steps(authority(), None, None, KNOWS, late) == ["prepare"]
    assert steps(authority(), None, None, NOBODY, late) == ["prepare", "promote"]


def test_one_that_has_ended_is_waited_for_by_nobody():
    ended = after(AUTHORITY_DAYS)
    assert steps(authority(), None, None, LIVE, ended) == ["prepare", "promote"]
    assert steps(authority(), authority("B", after(3000)), None, LIVE, ended) == ["promote"]


def test_one_that_lost_its_key_is_succeeded_but_still_trusted():
    assert steps(authority(), None, None, LIVE, after(5), signs=False) == ["prepare"]
    assert steps(authority(), authority("B", after(5)), None, LIVE, after(6), signs=False) == []
    assert steps(authority(), authority("B", after(5)), None, KNOWS, after(6), signs=False) == ["promote"]


def test_the_previous_one_is_trusted_to_its_end():
    current = authority("B", after(3000))
    assert steps(current, None, authority(), LIVE, after(AUTHORITY_DAYS - 1)) == []
    assert steps(current, None, authority(), LIVE, after(AUTHORITY_DAYS)) == ["forget"]


@pytest.mark.parametrize(
    ("certificate", "signer", "days", "reason"),
    [
        (None, authority(), 0, "missing"),
        (leaf(), authority(), 1, None),
        (leaf(), authority("B"), 1, "signed by another authority"),
        (leaf(), None, 1, "signed by another authority"),
        (leaf(), authority(), CERTIFICATE_DAYS * 2 // 3, None),
        (leaf(), authority(), CERTIFICATE_DAYS * 2 // 3 + 1, "ends on 2027-12-26"),
    ],
)
def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left(certificate, signer, days, reason):
    assert reason_to_issue(certificate, signer, ["redis"], ["10.0.0.1"], after(days)) == reason


def test_a_certificate_is_for_just_its_names_and_addresses():
    assert reason_to_issue(leaf(), authority(), ["redis"], ["10.0.0.2"], BORN) == "is for redis, 10.0.0.1"
    assert reason_to_issue(leaf(), authority(), ["other"], ["10.0.0.1"], BORN) == "is for redis, 10.0.0.1"


def test_no_certificate_outlives_its_signer():
    assert lifetime(authority(), BORN) == CERTIFICATE_DAYS
    assert lifetime(authority(), after(AUTHORITY_DAYS - 100)) == 100
    assert lifetime(authority(), after(AUTHORITY_DAYS + 5)) == 1


def test_keys_are_left_out_of_what_is_trusted():
    block = "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n"
    key = "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n"
    assert certificates(block + key + block) == [block, block]
