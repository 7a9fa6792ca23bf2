"""When a certificate is ordered, how long a failed order is left alone, and what certbot's words mean."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from marketplace_acme import (
    LIMITED_PAUSE,
    PAUSES,
    Attempts,
    Order,
    command,
    described,
    meaning,
    reason_to_order,
    share_left,
)
from marketplace_certificate import LOCAL_ISSUER, Certificate

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ORDER = Order("edge", ("bot.team.dev", "bot2.team.dev"), "https://ca.team.dev/directory", "ops@team.dev")
GOOD = Certificate("R11", ORDER.domains, NOW + timedelta(days=60), NOW - timedelta(days=30))


def test_a_good_certificate_is_not_ordered_again() -> None:
    assert reason_to_order(GOOD, ORDER.directory, ORDER, NOW) is None
    turned = replace(GOOD, domains=ORDER.domains[::-1])
    assert reason_to_order(turned, ORDER.directory, ORDER, NOW) is None


@pytest.mark.parametrize(
    ("certificate", "server", "reason"),
    [
        (None, None, "missing"),
        (replace(GOOD, domains=("bot.team.dev",)), ORDER.directory, "is for bot.team.dev"),
        (GOOD, "https://acme-staging.example/directory", "comes from https://acme-staging.example/directory"),
        (GOOD, None, "comes from an unknown authority"),
        (replace(GOOD, ends=NOW + timedelta(days=19)), ORDER.directory, "ends on 2026-12-13"),
        (replace(GOOD, ends=NOW - timedelta(days=1)), ORDER.directory, "ends on 2026-11-23"),
    ],
)
def test_reasons_to_order(certificate: Certificate | None, server: str | None, reason: str) -> None:
    assert reason_to_order(certificate, server, ORDER, NOW) == reason


def test_it_is_renewed_before_there_is_an_alarm() -> None:
    """90 days: due with 36 left, an alarm with 30."""
    begins = NOW - timedelta(days=55)
    certificate = Certificate("R11", ORDER.domains, begins + timedelta(days=90), begins)
    assert share_left(certificate, NOW) > 1 / 3
    assert reason_to_order(certificate, ORDER.directory, ORDER, NOW) is not None
    assert reason_to_order(certificate, ORDER.directory, ORDER, NOW - timedelta(days=2)) is None


def test_share_of_life() -> None:
    assert share_left(GOOD, NOW) == pytest.approx(2 / 3)
    assert share_left(GOOD, NOW + timedelta(days=100)) == 0
    assert share_left(replace(GOOD, begins=GOOD.ends), NOW) == 0


def test_pauses_grow_and_a_limit_is_kept() -> None:
    attempts = Attempts()
    assert attempts.next_at() is None
    for number in range(6):
        attempts = attempts.failed(NOW, "the authority is out of reach", False)
        assert attempts.next_at() == NOW + PAUSES[min(number, len(PAUSES) - 1)]
    assert attempts.failed(NOW, "too many", True).next_at() == NOW + LIMITED_PAUSE


def test_no_pause_is_short_enough_for_a_storm() -> None:
    """Let's Encrypt allows five failures an hour."""
    moment, seen = NOW, 0
    attempts = Attempts()
    while moment < NOW + timedelta(hours=1):
        attempts, seen = attempts.failed(moment, "DNS", False), seen + 1
        due = attempts.next_at()
        assert due is not None
        moment = due
    assert seen <= 3


def test_attempts_of_another_order_do_not_count() -> None:
    document = vars(Attempts(3, NOW.isoformat(), "DNS", False)) | {"order": described(ORDER)}
    assert Attempts.parse(document, ORDER).failures == 3
    assert Attempts.parse(document, replace(ORDER, domains=("bot.team.dev",))) == Attempts()
    assert Attempts.parse(None, ORDER) == Attempts()


def test_the_command_asks_for_all_names_at_the_right_authority() -> None:
    argv = command(ORDER, "127.0.0.1", 8888, "/usr/local/bin/hook")
    assert argv[:2] == ["certbot", "certonly"]
    assert argv[argv.index("--server") + 1] == ORDER.directory
    assert [argv[at + 1] for at, part in enumerate(argv) if part == "--domain"] == list(ORDER.domains)
    assert argv[argv.index("--http-01-address") + 1] == "127.0.0.1"
    assert argv[argv.index("--deploy-hook") + 1] == "/usr/local/bin/hook"
    assert "--register-unsafely-without-email" not in argv
    assert "--register-unsafely-without-email" in command(replace(ORDER, email=""), "127.0.0.1", 8888, "x")


@pytest.mark.parametrize(
    ("output", "words", "limited"),
    [
        (
            "Unable to register an account with ACME server. Error returned by the ACME server: "
            "too many certificates already issued",
            "rate limit",
            True,
        ),
        ("urn:ietf:params:acme:error:rateLimited :: Service busy", "rate limit", True),
        (
            "Detail: DNS problem: NXDOMAIN looking up A for bot.team.dev - check that a DNS record exists",
            "does not point here (DNS)",
            False,
        ),
        (
            "urn:ietf:params:acme:error:unauthorized: 404 for http://bot.team.dev/.well-known/",
            "port 80",
            False,
        ),
        ("Fetching http://bot.team.dev: Timeout during connect (likely firewall problem)", "port 80", False),
        ("requests.exceptions.ConnectionError: Max retries exceeded with url: /dir", "out of reach", False),
        (
            "SSLError(SSLCertVerificationError(1, 'CERTIFICATE_VERIFY_FAILED'))",
            "not trusted by this host",
            False,
        ),
        ("Another instance of Certbot is already running.", "another certbot", False),
        ("Account https://acme.test/my-account/1 not found.", "no longer knows our account", False),
        ("", "it said nothing", False),
    ],
)
def test_what_failures_mean(output: str, words: str, limited: bool) -> None:
    told = meaning(f"Saving debug log to /var/log/letsencrypt/letsencrypt.log\n{output}\nAsk for help at x")
    assert words in told[0]
    assert told[1] is limited
    assert "Saving debug log" not in told[0]


def test_a_local_certificate_is_told_from_a_real_one() -> None:
    assert replace(GOOD, issuer=LOCAL_ISSUER).local
    assert not GOOD.local
