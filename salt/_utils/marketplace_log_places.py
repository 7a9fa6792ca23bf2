"""Where each service's log is kept: in a journal of its own, so that nobody's flood silences or evicts another's.

A journal is a namespace of systemd-journald: a socket, a directory, a size and an allowance of its own. The host's own
journal has what is left: systemd's units, releases, backups, Salt's runs, the kernel.
"""

from collections.abc import Mapping
from typing import Any

# Of ``logs.size``, in percent. The edge writes a line a request, the backend one or more an update.
SHARES = {"backend": 35, "worker": 5, "postgres": 7, "redis": 3, "edge": 35}
HOST_SHARE = 100 - sum(SHARES.values())
# Of a journal's size, one file: so much goes at a time when the size is reached.
FILES = 16
KEEP_FREE = 2 << 30
# The journal's own word for lines that it has dropped (systemd's sd-messages.h, SD_MESSAGE_JOURNAL_DROPPED).
DROPPED = "a596d6fe7bfa4994828e72309e95d61e"
DIRECTORY = "var/log/journal"


def socket(name: str) -> str:
    """Where a service's journal takes syslog messages."""
    return f"/run/systemd/journal.{name}/dev-log"


def share(size: int, name: str | None) -> int:
    """Bytes that a service's journal (None: the host's) may take of ``size``, that of all logs."""
    return size * (SHARES[name] if name else HOST_SHARE) // 100


def journal(size: int, keep_days: int, name: str | None) -> dict[str, str]:
    """The ``[Journal]`` section of a service's journal (None: the host's).

    Whole files are let go of, by the age of their first entry. So a file spans a day at most, and one more day passes
    before it goes: by journald's own defaults a quiet service's file spans a month, and what it said an hour ago would
    go along with what it said two weeks ago.

    Args:
        size: bytes for all logs; keep_days: days that entries are kept at least, as far as the size allows.
    """
    most = share(size, name)
    return {
        "SystemMaxUse": f"{most // 1024}K",
        "SystemMaxFileSize": f"{most // FILES // 1024}K",
        "SystemMaxFiles": "1000",
        "SystemKeepFree": f"{KEEP_FREE // 1024}K",
        "MaxFileSec": "1day",
        "MaxRetentionSec": f"{keep_days + 1}day",
    }


def docker_logging(name: str, tag: str) -> dict[str, Any]:
    """A container's ``logging`` in a compose document: into a service's journal, and a little for ``docker logs``."""
    options = {"syslog-address": f"unixgram://{socket(name)}", "tag": tag}
    return {"driver": "syslog", "options": options | {"cache-max-size": "2m", "cache-max-file": "2"}}


def docker_arguments(name: str, tag: str) -> list[str]:
    """The same as arguments of ``docker run``."""
    logging = docker_logging(name, tag)
    options = (f"--log-opt={key}={value}" for key, value in logging["options"].items())
    return [f"--log-driver={logging['driver']}", *options]


def service_of(record: Mapping[str, Any]) -> str:
    """Whose a record of any journal is: a service, ``deploy``, ``backup``, ``salt``, or ``system`` for all else."""
    unit, identifier = str(record.get("_SYSTEMD_UNIT", "")), str(record.get("SYSLOG_IDENTIFIER", ""))
    if record.get("_NAMESPACE") in SHARES:
        # What journald says of itself matters only where it drops what others say.
        own = identifier == "systemd-journald" and record.get("MESSAGE_ID") != DROPPED
        return "system" if own else str(record["_NAMESPACE"])
    container = record.get("CONTAINER_NAME")
    if container:  # One that an older tree has started: its lines are in the host's journal.
        kind = str(container).rsplit("-", 1)[0]
        return kind if kind in SHARES else {"migration": "backend"}.get(kind, "system")
    if identifier == "salt":
        return "salt"
    if identifier in ("marketplace-backup", "barman") or unit.startswith("barman-"):
        return "backup"
    if unit.startswith("marketplace-") or identifier == "marketplace-jobs":
        return "deploy"
    return "edge" if unit == "haproxy.service" else "system"


SERVICES = (*SHARES, "deploy", "backup", "salt", "system")
