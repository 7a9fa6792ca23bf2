"""When the services' certificates have to be renewed: state.apply does it, health.check tells when it was not done."""

from datetime import datetime, timedelta
from pathlib import Path

from marketplace_durable import make_directory, read_json, to_json, write_atomic
from marketplace_service_authority import Issued

# state.apply renews when a third is left; nobody is told of it before it has had this long to do so.
GRACE = timedelta(days=30)


def note(path: Path, service: str, issued: Issued) -> None:
    """Keep when the certificate of ``service`` ends, and from when on somebody has to know that it was not renewed."""
    told = read_json(path) or {}
    late = issued.ends - (issued.ends - issued.starts) / 3 + GRACE
    told[service] = {"ends": issued.ends.isoformat(), "late": min(late, issued.ends).isoformat()}
    make_directory(path.parent)
    write_atomic(path, to_json(told))


def overdue(path: Path, now: datetime) -> dict[str, str]:
    """Service -> what is wrong, for each whose certificate should have been renewed by now.

    Raises:
        ValueError: the file is damaged.
    """
    told = read_json(path) or {}
    return {
        service: f"its certificate ends on {facts['ends'][:10]}: state.apply renews it"
        for service, facts in sorted(told.items())
        if now >= datetime.fromisoformat(facts["late"])
    }
