"""Every rule of the thorough look: it fires, it does not below, and it clears."""

import pytest
from marketplace_certificate import LOCAL_ISSUER
from marketplace_survey_rules import PENDING, REBOOT_WAITS, UPDATES_WAIT, findings, timing

AT = 1_700_000_000.0
WELL = {
    "health": {
        "edge": {
            "status": "healthy",
            "detail": "well",
            "facts": {"certificate": {"problem": None, "usable": True}},
        },
        "redis": {"status": "healthy", "detail": "redis answers", "facts": {}},
    },
    "answers": {"count": 3, "slow": 0},
    "webhook": {"url": "https://bot/x", "pending_update_count": 2},
    "backups": [],
    "release": None,
    "units": [],
    "clock": {"followed": True, "offset": -0.002},
    "reboot": None,
    "updates": {"waited": {}, "held": []},
}


def found(errors=None, closed=False, **changes):
    told = findings(WELL | changes, errors or {}, AT, closed)
    return {finding.key: finding for finding in told}


def test_a_droplet_that_is_well_is_silent():
    assert found() == {}
    assert {finding.key for finding in findings({}, {}, AT, False)} == set()


def test_what_health_check_calls_degraded():
    services = WELL["health"] | {"redis": {"status": "degraded", "detail": "its log is cut off", "facts": {}}}
    assert found(health=services)["service.impaired/redis"].summary == "its log is cut off"
    down = WELL["health"] | {"redis": {"status": "unhealthy", "detail": "gone", "facts": {}}}
    assert found(health=down) == {}


def test_a_service_at_a_provider_that_lets_nobody_log_in():
    detail, facts = "password authentication failed for user app", {"provider": "db.example.com:25060"}
    services = WELL["health"] | {"postgres": {"status": "unhealthy", "detail": detail, "facts": facts}}
    told = found(health=services)["service.down/postgres"]
    assert (told.severity, told.summary, told.command) == ("critical", detail, "salt-call health.check")
    assert timing("service.down").after == 60
    assert found(health=services, closed=True) == {}


@pytest.mark.parametrize(("usable", "severity"), [(True, "warning"), (False, "critical")])
def test_a_certificate(usable, severity):
    problem = "the certificate ends in 5 days"
    edge = {
        "status": "degraded" if usable else "unhealthy",
        "detail": problem,
        "facts": {"certificate": {"problem": problem, "usable": usable}},
    }
    told = found(health={"edge": edge})
    assert list(told) == ["certificate/edge"]
    assert (told["certificate/edge"].severity, told["certificate/edge"].summary) == (severity, problem)
    assert told["certificate/edge"].command == "salt-call certificate.renew"
    edge["facts"]["certificate"] |= {"authority": "local", "issuer": LOCAL_ISSUER}
    assert found(health={"edge": edge})["certificate/edge"].command == "salt-call state.apply"
    edge["facts"]["certificate"]["issuer"] = "R11"
    told = found(health={"edge": edge})["certificate/edge"]
    assert (told.cause, told.command) == ("somebody put it there: no state and no timer here renews it", "")
    # It may be well, and a renewal counts against the limits of its authority.
    edge["facts"]["certificate"] = {"problem": "openssl was killed", "usable": True, "unknown": True}
    assert found(health={"edge": edge})["certificate/edge"].command == "salt-call certificate.status"


def test_updates_that_wait_at_telegram():
    info = WELL["webhook"] | {"pending_update_count": PENDING + 1}
    assert "21 updates wait" in found(webhook=info)["webhook.pending/webhook"].summary
    assert found(webhook=info, closed=True) == {}
    assert found(webhook=info | {"pending_update_count": PENDING}) == {}


def test_a_webhook_that_fails():
    info = WELL["webhook"] | {"last_error_date": AT - 60, "last_error_message": "Connection timed out"}
    told = found(webhook=info)["webhook.failing/webhook"]
    assert told.cause == "Telegram says: Connection timed out"
    # It got rid of them in the end; and what was long ago is history.
    assert found(webhook=info | {"pending_update_count": 0}) == {}
    assert found(webhook=info | {"last_error_date": AT - 301}) == {}


def test_a_webhook_that_is_not_there():
    assert found(webhook={"url": ""})["webhook.missing/webhook"].severity == "critical"
    assert "webhook.missing/webhook" in found(webhook={"url": ""}, closed=True)
    assert "webhook.unknown/webhook" in found(webhook=None)


def test_backups():
    told = found(backups=["no good backup of redis", "nobody receives the log"])["backup.trouble/backups"]
    assert told.summary == "no good backup of redis; nobody receives the log"
    assert told.command == "salt-call backup.check"


def test_a_release_that_nobody_settled():
    told = found(release={"step": "switch"})["release.interrupted/release"]
    assert "step switch" in told.summary
    assert told.command == "salt-call deploy.resume"


def test_secrets_that_are_half_replaced():
    told = found(rotation=["redis_app_password"])["rotation.interrupted/secrets"]
    assert "redis_app_password" in told.summary
    assert told.command == "salt-call settings.rotate"
    assert found(rotation=[]) == {}


def test_jobs_that_nobody_looks_for():
    told = found(jobs="nobody has looked for jobs for 6 minutes")["jobs.stopped/jobs"]
    assert told.summary == "scheduled jobs do not start: nobody has looked for jobs for 6 minutes"
    assert told.command == "salt-call deploy.logs service=deploy since=1h"
    assert found(jobs=None) == {}


def test_units():
    told = found(units=[f"u{number}.service" for number in range(7)])["host.units/droplet"]
    assert "u0.service" in told.summary
    assert "and 2 more" in told.summary
    assert (
        found(units=["a.service"])["host.units/droplet"].summary
        == "units that failed or do not run: a.service"
    )


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"followed": False, "offset": 0.0}, "follows no time server"),
        ({"followed": True, "offset": -0.6}, "-0.6 s off"),
        ({"followed": True, "offset": 0.4}, None),
    ],
)
def test_the_clock(told, words):
    summary = getattr(found(clock=told).get("host.clock/droplet"), "summary", None)
    assert summary == words if words is None else words in str(summary)


def test_a_clock_that_is_far_off_is_told_at_once():
    def told(offset):
        return found(clock={"followed": True, "offset": offset})["host.clock/droplet"]

    assert (told(-31.0).at_once, told(29.0).at_once) == (True, False)


def test_a_reboot_that_is_put_off():
    assert "2 days" in found(reboot=REBOOT_WAITS)["host.reboot/droplet"].summary
    assert found(reboot=REBOOT_WAITS - 1) == {}


def test_security_updates():
    waited = {"docker.io": 0.0, "openssl": UPDATES_WAIT - 1}
    told = found(updates={"waited": waited, "held": ["docker.io"]})["host.updates/droplet"]
    assert told.summary == "security updates wait for you: docker.io"
    assert told.command == "salt-call state.apply updates.held"
    # The others install themselves within a day.
    assert found(updates={"waited": {"openssl": UPDATES_WAIT - 1}, "held": []}) == {}
    late = found(updates={"waited": {"openssl": UPDATES_WAIT}, "held": []})["host.updates/droplet"]
    assert late.summary == "security updates have not installed themselves: openssl"
    assert "apt-daily-upgrade" in late.command


def test_what_can_not_be_looked_at_is_said():
    told = found(errors={"backups": "TimeoutExpired: psql"})["watch.blind/backups"]
    assert "psql" in told.summary
    assert timing("watch.blind").after == 600
