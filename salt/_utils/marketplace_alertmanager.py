"""Alertmanager on this host: handing alerts to it, and what it says of their delivery.

Source of the requests: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml
"""

import http.client
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_COUNTER = re.compile(
    r'alertmanager_notification_requests(_failed)?_total\{[^}]*integration="([^"]+)"[^}]*\} ([0-9.e+]+)'
)
# Who is sending, in the stacks of what runs. Source: notify/telegram/telegram.go and its like in Alertmanager 0.28.
_SENDING = re.compile(r"alertmanager/notify/(\w+)\.\(\*\w+\)\.Notify\b")


class AlertmanagerError(Exception):
    """Alertmanager does not answer, or does not take what it was given."""


@dataclass(frozen=True)
class Alert:
    """One alert.

    Attributes:
        labels: what it is: the same labels are the same alert.
        annotations: what is said of it.
        starts: since when, in seconds since 1970; ends: until when it holds unless it is told again.
    """

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts: float
    ends: float

    def to_dict(self) -> dict[str, Any]:
        """As Alertmanager takes it."""
        return {
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "startsAt": _moment(self.starts),
            "endsAt": _moment(self.ends),
        }


@dataclass(frozen=True)
class Attempts:
    """How often Alertmanager has tried to send something by one way, and in vain, since it was started."""

    all: int
    failed: int

    @property
    def well(self) -> int:
        return self.all - self.failed


class Alertmanager:
    """The one that listens on ``port`` of the loopback."""

    def __init__(self, port: int = 9093, timeout: float = 5) -> None:
        self._port, self._timeout = port, timeout

    def post(self, alerts: Iterable[Alert]) -> None:
        """Hand alerts over.

        Raises:
            AlertmanagerError: it has not taken them.
        """
        self._ask("POST", "/api/v2/alerts", json.dumps([alert.to_dict() for alert in alerts]))

    def attempts(self) -> dict[str, Attempts]:
        """What it has tried to send, by way (``telegram``, ``email``, ``webhook``).

        Raises:
            AlertmanagerError: it does not answer.
        """
        return counted(self._ask("GET", "/metrics"))

    def sending(self) -> set[str]:
        """By which ways it is sending something just now.

        Its Telegram waits for an answer without an end, and one that waits counts neither as sent nor as failed: it
        shows in the stacks of what runs and nowhere else.
        """
        try:
            return set(_SENDING.findall(self._ask("GET", "/debug/pprof/goroutine?debug=1")))
        except AlertmanagerError:  # Nothing is said of it where it does not answer, or has no such page.
            return set()

    def began(self) -> str:
        """When it was started, as it says that: another one whenever it has forgotten what it was given.

        Raises:
            AlertmanagerError: it does not answer.
        """
        try:
            return str(json.loads(self._ask("GET", "/api/v2/status"))["uptime"])
        except (ValueError, KeyError, TypeError) as error:
            raise AlertmanagerError(f"Alertmanager's status is not understood: {error}") from error

    def _ask(self, method: str, path: str, body: str | None = None) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise AlertmanagerError(
                f"Alertmanager does not answer ({error or type(error).__name__}); "
                "see: systemctl status prometheus-alertmanager"
            ) from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise AlertmanagerError(f"Alertmanager says {response.status} to {path}: {text[:300]}")
        return text


def counted(metrics: str) -> dict[str, Attempts]:
    """The attempts in Alertmanager's metrics, over all its receivers."""
    found: dict[str, Attempts] = {}
    for failed, way, value in _COUNTER.findall(metrics):
        before, count = found.get(way, Attempts(0, 0)), int(float(value))
        found[way] = (
            Attempts(before.all, before.failed + count)
            if failed
            else Attempts(before.all + count, before.failed)
        )
    return found


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
