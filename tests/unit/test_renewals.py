"""Certificates that nobody renewed are told of, and in time."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from marketplace_health import ServiceHealth, impaired
from marketplace_renewals import note, overdue
from marketplace_service_authority import Issued

BORN = datetime(2026, 11, 24, tzinfo=UTC)


def issued(days: int, born: datetime = BORN) -> Issued:
    return Issued("L", "A", born, born + timedelta(days=days))


def test_it_is_told_when_state_apply_had_a_month_and_did_not_come(tmp_path: Path) -> None:
    file = tmp_path / "state/renewals.json"
    assert overdue(file, BORN) == {}
    note(file, "redis", issued(300))
    note(file, "postgres", issued(390))
    assert overdue(file, BORN + timedelta(days=229)) == {}
    found = overdue(file, BORN + timedelta(days=230))
    assert found == {"redis": "its certificate ends on 2027-09-20: state.apply renews it"}
    note(file, "redis", issued(300, BORN + timedelta(days=230)))
    assert overdue(file, BORN + timedelta(days=231)) == {}


def test_a_short_one_is_told_of_at_its_end_at_the_latest(tmp_path: Path) -> None:
    note(tmp_path / "renewals.json", "redis", issued(10))
    assert set(overdue(tmp_path / "renewals.json", BORN + timedelta(days=10))) == {"redis"}


def test_a_service_with_such_a_certificate_is_degraded_and_one_that_is_worse_stays_so() -> None:
    well, away = ServiceHealth("healthy", "redis answers"), ServiceHealth("unhealthy", "exited")
    assert impaired(well, None) == well
    assert impaired(well, "ends").status == "degraded"
    assert impaired(away, "ends") == ServiceHealth("unhealthy", "exited; ends")
