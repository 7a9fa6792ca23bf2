"""A self-signed certificate that stands in until a real one is there, which it never replaces."""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from marketplace_certificate import RENEW_DAYS, Certificate, changing, question, reason_to_renew, request
from marketplace_durable import make_directory, write_atomic
from marketplace_edge_serving import certificates
from salt.utils.path import which


class _Failure(Exception):
    pass


def present(
    name: str, public: str, domains: list[str], days: int = 397, renew_days: int = RENEW_DAYS
) -> dict[str, Any]:
    """Ensure there is a certificate to serve with; a certificate from a real authority is left alone.

    Args:
        name: file for key and certificate together, 0600.
        public: file for the certificate alone, 0644: what clients may be given to trust.
        domains: names it is for.
        days: validity of a new one.
        renew_days: days before its end at which it is made again.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "The certificate is in order",
    }
    try:
        changes = _changes(name, public, domains, renew_days)
        if not changes:
            return ret
        if __opts__["test"]:
            return ret | {"result": None, "changes": changes, "comment": "The certificate would be made"}
        if "public" not in changes:
            _make(name, domains, days)
        make_directory(Path(public).parent)
        write_atomic(Path(public), certificates(Path(name).read_text()))
        remaining = _changes(name, public, domains, renew_days)
    except (_Failure, ValueError, OSError) as error:
        return ret | {"result": False, "comment": str(error)}
    if remaining:
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"The certificate is still wrong: {remaining}",
        }
    return ret | {"changes": changes, "comment": "The certificate was made"}


def _changes(name: str, public: str, domains: list[str], renew_days: int) -> dict[str, Any]:
    certificate = _read(name)
    reason = reason_to_renew(certificate, domains, datetime.now(UTC), timedelta(days=renew_days))
    if reason:
        return {changing(reason): {"old": reason, "new": f"self-signed, for {', '.join(domains)}"}}
    if not Path(public).exists() or Path(public).read_text() != certificates(Path(name).read_text()):
        return {"public": {"old": "another certificate", "new": "the one that is served"}}
    return {}


def _read(name: str) -> Certificate | None:
    if not Path(name).exists() or not which("openssl"):
        return None
    shown = __salt__["cmd.run_all"](question(name), python_shell=False, ignore_retcode=True)
    if shown["retcode"]:
        raise _Failure(f"{name} is no certificate that openssl can read. Move it away and apply again.")
    return Certificate.parse(shown["stdout"])


def _make(name: str, domains: list[str], days: int) -> None:
    target = Path(name)
    make_directory(target.parent, 0o700)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        key, certificate = f"{scratch}/key", f"{scratch}/certificate"
        result = __salt__["cmd.run_all"](request(domains, days, key, certificate), python_shell=False)
        if result["retcode"]:
            raise _Failure(f"openssl made no certificate: {result['stderr']}")
        write_atomic(target, Path(certificate).read_text() + Path(key).read_text(), 0o600)
