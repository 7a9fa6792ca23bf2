"""What is wrong by a survey: rules over what the dearer looks have found. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from marketplace_certificate import LOCAL_ISSUER, NO_AUTHORITY
from marketplace_conditions import Finding, Timing
from marketplace_watch_seen import MACHINE

# Seconds that something must last to be told, and be gone to be over.
TIMING = {
    # Of a service at a provider: what is down here, the quick look has seen.
    "service.down": Timing(60, 30),
    "service.impaired": Timing(90, 30),
    # The timer renews and the next look sees it: what is wrong with a certificate stays for days.
    "certificate": Timing(0, 0),
    "webhook.pending": Timing(180, 0),
    "webhook.failing": Timing(60, 0),
    "webhook.unknown": Timing(600, 0),
    "host.units": Timing(60, 0),
    # A clock runs a fraction of a second off in an hour without a server.
    "host.clock": Timing(3600, 0),
    # Two looks: the receiver is away for some seconds whenever PostgreSQL is restarted.
    "backup.trouble": Timing(100, 0),
    "release.interrupted": Timing(120, 0),
    "rotation.interrupted": Timing(120, 0),
    # Two looks: a clock that was put forward makes a minute look long.
    "jobs.stopped": Timing(100, 0),
    "watch.blind": Timing(600, 0),
}
AT_ONCE = Timing(0, 0)
# The webhook is another host's yet.
ELSEWHERE = {"elsewhere": True}
# More updates than these do not wait at Telegram while a bot keeps up.
PENDING = 20
# An error that Telegram met so long ago (seconds) is history.
_FRESH = 300
_OFF_SECONDS = 0.5
# Off by so much, certificates and what Telegram signs are judged wrongly already.
_WILD_SECONDS = 30.0
_DAY = 86400.0
# The host reboots by itself at night; what still waits after two of them was put off.
REBOOT_WAITS = 2 * _DAY
# Others install themselves once a day, at a time that is drawn each day.
UPDATES_WAIT = 1.5 * _DAY


def timing(name: str) -> Timing:
    """How long a finding of that name has to last."""
    return TIMING.get(name, AT_ONCE)


def findings(
    found: Mapping[str, Any], errors: Mapping[str, str], at: float, closed: bool
) -> Iterator[Finding]:
    """All that is wrong.

    Args:
        found: by part, what the last survey of it that went well has found.
        errors: by part, why its last survey went wrong.
        at: the time, in seconds since 1970.
        closed: whether somebody keeps the edge closed, so that updates wait at Telegram.
    """
    rules: dict[str, Callable[[Any], Iterable[Finding]]] = {
        "health": lambda services: [*impaired(services), *([] if closed else refused(services))],
        "webhook": lambda info: webhook(info, at, closed),
        "backups": backups,
        "release": interrupted,
        "rotation": half_rotated,
        "jobs": jobs,
        "units": units,
        "clock": clock,
        "reboot": reboot,
        "updates": updates,
    }
    for part, rule in rules.items():
        if part in found:
            yield from rule(found[part])
    for part, why in sorted(errors.items()):
        words = f"the watchdog can't look at {part}: {why[:200]}"
        yield Finding("watch.blind", part, "warning", words, "", "journalctl -u marketplace-watch -n 50")


def impaired(services: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """What health.check calls degraded; what is down, somebody faster has seen."""
    for name, service in services.items():
        told = (service.get("facts") or {}).get("certificate") or {}
        problem = told.get("problem")
        if problem:
            severity = "warning" if told.get("usable") else "critical"
            cause = "its authority does not answer, or asks at a name that points elsewhere"
            command = "salt-call certificate.renew"
            if told.get("authority") == NO_AUTHORITY:
                cause, command = "nobody has applied the states for long", "salt-call state.apply"
                if told["issuer"] != LOCAL_ISSUER:
                    cause, command = "somebody put it there: no state and no timer here renews it", ""
            if told.get("unknown"):
                # It may be well: renewing it would count against the limits of its authority.
                cause, command = (
                    "openssl was ended, perhaps for lack of memory",
                    "salt-call certificate.status",
                )
            yield Finding("certificate", name, severity, problem, cause, command)
        if service["status"] == "degraded" and service["detail"] != problem:
            yield Finding(
                "service.impaired", name, "warning", service["detail"], "", "salt-call health.check"
            )


def refused(services: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """A provider's service that does not do what it is for: the edge sees only that somebody is there."""
    for name, service in services.items():
        if service["status"] == "unhealthy" and (service.get("facts") or {}).get("provider"):
            cause = "the provider has trouble, or no longer lets this droplet log in: its console tells"
            command = "salt-call health.check"
            yield Finding("service.down", name, "critical", service["detail"], cause, command)


def webhook(info: Mapping[str, Any] | None, at: float, closed: bool) -> Iterator[Finding]:
    """What Telegram says of the webhook; while the edge is closed, updates are meant to wait there."""
    if info is None:
        words = "the Bot API can't be asked about the webhook"
        cause = "Telegram, or the way there, is away; or the bot's token was revoked"
        yield Finding("webhook.unknown", "webhook", "warning", words, cause, "salt-call deploy.status")
        return
    if info == ELSEWHERE:
        return
    if not info.get("url"):
        words = "no webhook is registered: Telegram sends no updates"
        cause = "somebody called deleteWebhook or getUpdates with the bot's token"
        yield Finding("webhook.missing", "webhook", "critical", words, cause, "salt-call state.apply")
        return
    if closed:
        return
    waiting, message = int(info.get("pending_update_count") or 0), str(info.get("last_error_message") or "")
    fresh = bool(message) and at - float(info.get("last_error_date") or 0) < _FRESH
    cause = f"Telegram says: {message[:150]}" if fresh else "the bot answers more slowly than people write"
    if waiting > PENDING:
        words = f"{waiting} updates wait at Telegram"
        yield Finding("webhook.pending", "webhook", "warning", words, cause, "salt-call health.check")
    elif fresh and waiting:
        words = "Telegram does not get rid of its updates"
        yield Finding("webhook.failing", "webhook", "warning", words, cause, "salt-call health.check")


def backups(trouble: list[str]) -> Iterator[Finding]:
    """What is wrong with the backups."""
    if trouble:
        words = "; ".join(trouble)
        yield Finding("backup.trouble", "backups", "critical", words, "", "salt-call backup.check")


def interrupted(release: Mapping[str, Any] | None) -> Iterator[Finding]:
    """A release that nobody has finished or undone."""
    if release is not None:
        words = f"a release was interrupted at step {release['step']}, and nobody has settled it"
        yield Finding("release.interrupted", "release", "critical", words, "", "salt-call deploy.resume")


def half_rotated(names: list[str]) -> Iterator[Finding]:
    """Secrets that were being replaced when that was cut off."""
    if names:
        words = f"new secrets are half in place, and the values before are still taken: {', '.join(names)}"
        cause = "settings.rotate was cut off, or failed, and nobody has gone on with it"
        yield Finding("rotation.interrupted", "secrets", "warning", words, cause, "salt-call settings.rotate")


def jobs(why: str | None) -> Iterator[Finding]:
    """Nobody looks for the scheduled jobs that are due."""
    if why:
        words = f"scheduled jobs do not start: {why}"
        command = "salt-call deploy.logs service=deploy since=1h"
        yield Finding("jobs.stopped", "jobs", "warning", words, "", command)


def units(failed: list[str]) -> Iterator[Finding]:
    """Units of systemd that have failed, or do not run."""
    if failed:
        words = f"units that failed or do not run: {_some(failed)}"
        yield Finding("host.units", MACHINE, "warning", words, "", f"journalctl -u {failed[0]} -n 50")


def clock(told: Mapping[str, Any]) -> Iterator[Finding]:
    """A clock that nobody keeps in step, or that is off."""
    if not told["followed"] or abs(told["offset"]) > _OFF_SECONDS:
        words = (
            f"the clock is {told['offset']:+.1f} s off"
            if told["followed"]
            else "the clock follows no time server"
        )
        cause = "no time server is in reach (port 123/udp)" if not told["followed"] else ""
        wild = abs(told["offset"]) > _WILD_SECONDS
        yield Finding("host.clock", MACHINE, "warning", words, cause, "chronyc sources", at_once=wild)


def reboot(waits: float | None) -> Iterator[Finding]:
    """An update that has waited for a reboot for too long."""
    if waits is not None and waits >= REBOOT_WAITS:
        words = f"an update has waited for a reboot for {waits / _DAY:.0f} days"
        cause = "updates:reboot is false, or a release ran each time"
        yield Finding("host.reboot", MACHINE, "warning", words, cause, "systemctl reboot")


def updates(told: Mapping[str, Any]) -> Iterator[Finding]:
    """Security updates that do not install themselves: those of some packages never do, the others every day."""
    held = told["held"]
    late = [name for name, seconds in told["waited"].items() if seconds >= UPDATES_WAIT and name not in held]
    if late:
        words = f"security updates have not installed themselves: {_some([*late, *held])}"
        cause = "the daily run fails, or is switched off"
        command = "journalctl -u apt-daily-upgrade -n 50"
    else:
        words = f"security updates wait for you: {_some(held)}"
        cause = "those of Docker and HAProxy wait for somebody to watch their restart"
        command = "salt-call state.apply updates.held"
    if held or late:
        yield Finding("host.updates", MACHINE, "warning", words, cause, command)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if names[5:] else "")
