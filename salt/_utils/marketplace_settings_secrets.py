"""The pillar's ``secrets`` section: which secrets there are, which are given, and where their values come from.

No message made here repeats anything that stands in the section, apart from known names.
"""

import difflib
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marketplace_settings_fields import Problem


@dataclass(frozen=True)
class Secret:
    """One secret the deployment knows.

    Args:
        doc: what it opens.
        given: whether pillar must give it; others are generated on the droplet unless given.
        pattern: what a given value must match.
        rule: the pattern in words.
        needs: the setting without which it opens nothing, and is neither wanted nor taken; nothing: it always is.
        example: that setting, as an example.
        follows: the secret that did its work before there was this one, and lends its value where it is there already.
        service: whose it is. Where that is at a managed provider it opens nothing, unless ``provider``.
        provider: the setting that names who logs in with it there; then it is the provider's, and has to be given.
    """

    doc: str
    given: bool
    pattern: str
    rule: str
    needs: str = ""
    example: str = ""
    follows: str = ""
    service: str = ""
    provider: str = ""


# A provider's own are as the provider likes them.
_THEIRS = (r"[!-~]{1,1024}", "one line of printable characters without spaces")
_PASSWORD = (r"[A-Za-z0-9_.~-]{16,256}", "16 to 256 letters, digits and _ . ~ -")

CATALOGUE: dict[str, Secret] = {
    "telegram_token": Secret(
        "the bot's token from @BotFather",
        True,
        r"[0-9]+:[A-Za-z0-9_-]{30,}",
        "digits, a colon, 30 or more characters",
    ),
    "registry_password": Secret(
        "password of registry.username",
        True,
        r"[!-~]{1,4096}",
        "one line of printable characters without spaces",
        "registry.username",
        "registry: {server: ghcr.io, username: robot}",
    ),
    "backup_storage_secret": Secret(
        "the other half of backup.storage.access_key",
        True,
        r"[!-~]{1,4096}",
        "one line of printable characters without spaces",
        "backup.storage.access_key",
        "backup: {storage: {target: s3:your-bucket, access_key: ..., endpoint: ...}}",
    ),
    "alerts_telegram_token": Secret(
        "the token of the bot that tells alerts.telegram.chat",
        True,
        r"[0-9]+:[A-Za-z0-9_-]{30,}",
        "digits, a colon, 30 or more characters",
        "alerts.telegram.chat",
        'alerts: {telegram: {chat: "-1001234567890"}}',
    ),
    "alerts_email_password": Secret(
        "password of alerts.email.username",
        True,
        r"[!-~]{1,4096}",
        "one line of printable characters without spaces",
        "alerts.email.username",
        "alerts: {email: {username: alerts, ...}}",
    ),
    "alerts_webhook_url": Secret(
        "where alerts are posted",
        True,
        r"https?://[!-~]{1,2000}",
        "an http or https URL",
        "alerts.webhook",
        "alerts: {webhook: true}",
    ),
    "alerts_dead_man_url": Secret(
        "what is called while watching works",
        True,
        r"https?://[!-~]{1,2000}",
        "an http or https URL",
        "alerts.dead_man",
        "alerts: {dead_man: true}",
    ),
    "backup_key": Secret(
        "encrypts the copies of the backups; without it they can't be read", False, *_PASSWORD
    ),
    "webhook_secret": Secret(
        "proves to the edge that Telegram calls",
        False,
        r"[A-Za-z0-9_-]{16,256}",
        "16 to 256 letters, digits, _ and -",
    ),
    "backend_webhook_secret": Secret(
        "proves to the bot that the edge has seen that",
        False,
        r"[A-Za-z0-9_-]{16,256}",
        "16 to 256 letters, digits, _ and -",
        follows="webhook_secret",
    ),
    "webhook_path": Secret(
        "the part of the webhook's public address that nobody can guess",
        False,
        r"[A-Za-z0-9_-]{16,128}",
        "16 to 128 letters, digits, _ and -",
    ),
    "postgres_superuser_password": Secret("PostgreSQL's superuser", False, *_PASSWORD, service="postgres"),
    "postgres_owner_password": Secret(
        "owner of the schema; migrations use it",
        False,
        *_PASSWORD,
        service="postgres",
        provider="postgres.managed.owner",
    ),
    "postgres_app_password": Secret(
        "the backend's PostgreSQL role",
        False,
        *_PASSWORD,
        service="postgres",
        provider="postgres.managed.user",
    ),
    "postgres_backup_password": Secret("the backup's PostgreSQL role", False, *_PASSWORD, service="postgres"),
    "postgres_monitoring_password": Secret(
        "the monitoring's PostgreSQL role", False, *_PASSWORD, service="postgres"
    ),
    "redis_app_password": Secret(
        "the backend's Redis user", False, *_PASSWORD, service="redis", provider="redis.managed.user"
    ),
    "redis_operator_password": Secret("the operator's Redis user", False, *_PASSWORD, service="redis"),
    "redis_monitoring_password": Secret("the monitoring's Redis user", False, *_PASSWORD, service="redis"),
}

# The settings that a secret depends on.
NEEDED = {path for secret in CATALOGUE.values() for path in (secret.needs, secret.provider) if path}
WAYS = ("value", "file", "environment")
_KEYS = "#!yaml|gpg as the file's first line, and the private key in Salt's gpgkeys (docs/settings.md)"
_EXAMPLE = "{value: ...} or {file: /absolute/path} or {environment: VARIABLE}"


@dataclass(frozen=True)
class Sources:
    """How values outside the pillar are read; tests replace both."""

    file: Callable[[str], str] = lambda path: Path(path).read_text(encoding="utf-8")
    environment: Callable[[str], str | None] = os.environ.get


@dataclass(frozen=True)
class Secrets:
    """``kinds`` (given or generated, by name) may be seen by anybody; ``values`` are kept out of every repr."""

    kinds: dict[str, str]
    values: dict[str, str] = field(repr=False)


def values_below(raw: Any) -> Iterator[str]:
    """Every text and number that stands anywhere in ``raw``, whatever its shape."""
    if isinstance(raw, Mapping):
        for key, value in raw.items():
            if key not in WAYS and not _plain(key):
                yield str(key)
            yield from values_below(value)
    elif isinstance(raw, list | tuple):
        for item in raw:
            yield from values_below(item)
    elif raw is not None and not isinstance(raw, bool):
        yield str(raw)


def read_secrets(
    raw: Any, unset: Collection[str], managed: Collection[str], sources: Sources, problems: list[Problem]
) -> Secrets:
    """Read the ``secrets`` section.

    Args:
        raw: the section, None where there is none.
        unset: settings without a value, by path: a secret that needs one of them is not wanted.
        managed: services that are at a provider.
        sources: how files and environment variables are read.
        problems: grows by one for each mistake.
    """
    if raw is None:
        raw = {}
    if not isinstance(raw, Mapping):
        problems.append(Problem("secrets", "is not a mapping", "secrets: {telegram_token: {value: ...}}"))
        raw = {}
    values: dict[str, str] = {}
    for name, way in raw.items():
        if name not in CATALOGUE:
            problems.append(_unknown(name))
        elif why := _idle(CATALOGUE[name], unset, managed):
            problems.append(
                Problem(f"secrets.{name}", f"is given, but {why}", CATALOGUE[name].example or "remove it")
            )
        else:
            try:
                values[name] = _value(name, way, sources, CATALOGUE[name].service in managed)
            except _Refused as refused:
                problems.append(Problem(f"secrets.{name}", refused.wrong, refused.example))
    kinds: dict[str, str] = {}
    for name, secret in CATALOGUE.items():
        if _idle(secret, unset, managed):
            continue
        given = secret.given or secret.service in managed
        if given and name not in raw:
            theirs = secret.service in managed
            wrong = f"is missing: {f'the password of {secret.provider}' if theirs else secret.doc}"
            where = f"in pillar/local/init.sls, secrets: {{{name}: ...}} with {_EXAMPLE}"
            problems.append(Problem(f"secrets.{name}", wrong, where))
        kinds[name] = "given" if given or name in raw else "generated"
    return Secrets(kinds, values)


def _idle(secret: Secret, unset: Collection[str], managed: Collection[str]) -> str:
    """Why a secret opens nothing, in words; nothing where it does."""
    if secret.needs in unset:
        return f"{secret.needs} is not set"
    if secret.service not in managed:
        return ""
    if not secret.provider:
        return f"{secret.service}.managed.host is set, and a provider has no such user of ours"
    return f"{secret.provider} is not set" if secret.provider in unset else ""


def _plain(name: Any) -> bool:
    """Whether ``name`` is a secret's name, or so near to one that it is no secret itself."""
    return bool(
        re.fullmatch("[a-z_]{1,40}", str(name)) and difflib.get_close_matches(str(name), CATALOGUE, n=1)
    )


def _unknown(name: Any) -> Problem:
    if not _plain(name):
        known = f"one of {', '.join(CATALOGUE)}"
        return Problem("secrets.(a name that is not shown)", "is not a known secret", known)
    close = difflib.get_close_matches(str(name), CATALOGUE, n=1)[0]
    return Problem(f"secrets.{name}", f"is not a known secret; did you mean {close}?", f"secrets.{close}")


class _Refused(Exception):
    """A secret can't be had: what is ``wrong``, and an ``example`` of what would be right."""

    def __init__(self, wrong: str, example: str = _EXAMPLE) -> None:
        super().__init__(wrong)
        self.wrong, self.example = wrong, example


def _value(name: str, way: Any, sources: Sources, theirs: bool) -> str:
    """The value of secret ``name``, which pillar gives as ``way``; ``theirs``: a provider has made it."""
    if not isinstance(way, Mapping) or len(way) != 1 or next(iter(way)) not in WAYS:
        raise _Refused("needs exactly one of value, file and environment")
    kind, where = next(iter(way.items()))
    if not isinstance(where, str) or not where:
        raise _Refused(f"has a {kind} that is no text, or empty")
    # A file written by an editor ends in a newline, which is no part of the secret.
    value = _READERS[kind](where, sources).strip("\r\n")
    if value.startswith("-----BEGIN PGP MESSAGE-----"):
        raise _Refused("is still encrypted: gpg can't decrypt it here", _KEYS)
    pattern, rule = _THEIRS if theirs else (CATALOGUE[name].pattern, CATALOGUE[name].rule)
    if not re.fullmatch(pattern, value):
        raise _Refused(f"has a value of {len(value)} characters that is not as it must be", rule)
    return value


def _from_file(path: str, sources: Sources) -> str:
    if not path.startswith("/"):
        raise _Refused("has a file that is not an absolute path", "{file: /root/telegram_token}")
    try:
        return sources.file(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8 text"
        raise _Refused(
            f"names a file that can't be read here: {reason}", "a file with only the secret in it"
        ) from None


def _from_environment(variable: str, sources: Sources) -> str:
    value = sources.environment(variable)
    if value is None:
        raise _Refused("names an environment variable that is not set here", "export it before this command")
    return value


_READERS: dict[str, Callable[[str, Sources], str]] = {
    "value": lambda value, _: value,
    "file": _from_file,
    "environment": _from_environment,
}
