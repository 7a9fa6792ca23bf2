"""The Bot API, as far as a deployment needs it: which webhook is registered, and registering ours.

Source of the methods and their rules: https://core.telegram.org/bots/api#setwebhook
"""

import hashlib
import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 3
# A path's part of this length is taken for one that nobody shall guess.
LONG_PART = 16
LONGEST_PAUSE = 10.0
# What Telegram says of a certificate that it cannot verify, and of an edge that refuses the secret.
_STRANGER = ("SSL error", "Wrong response from the webhook: 403")


class TelegramError(Exception):
    """The Bot API refuses or is out of reach. The message never holds the token."""


class _Later(TelegramError):
    """Too many calls: the Bot API takes one setWebhook a second, and says when to come again."""

    def __init__(self, message: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(message)


@dataclass(frozen=True)
class Webhook:
    """The registration we want. ``certificate`` is PEM text for an edge that no public authority vouches for, or ""."""

    url: str
    secret: str
    allowed_updates: tuple[str, ...]
    max_connections: int
    certificate: str

    def fingerprint(self) -> str:
        """A digest of what the Bot API never tells back (secret and certificate)."""
        return hashlib.sha256(f"{self.secret}\0{self.certificate}".encode()).hexdigest()

    def differences(
        self, info: Mapping[str, Any], fingerprint: str | None, at: float | None = None
    ) -> dict[str, Any]:
        """What has to change, by name, as ``{"old": ..., "new": ...}``; secrets are named, never shown.

        Args:
            info: getWebhookInfo's result.
            fingerprint: that of the registration we made last; None when we made none.
            at: when that was, seconds since 1970; None when nobody noted it.
        """
        wanted: dict[str, Any] = {
            "url": self.url,
            "allowed_updates": sorted(self.allowed_updates),
            "max_connections": self.max_connections,
            "has_custom_certificate": bool(self.certificate),
        }
        found = {
            "url": info.get("url", ""),
            "allowed_updates": sorted(info.get("allowed_updates", [])),
            "max_connections": info.get("max_connections"),
            "has_custom_certificate": info.get("has_custom_certificate", False),
        }
        changes = {
            name: {"old": found[name], "new": wanted[name]} for name in wanted if found[name] != wanted[name]
        }
        if "url" in changes:
            changes["url"] = {side: masked(str(url)) for side, url in changes["url"].items()}
        if fingerprint != self.fingerprint():
            changes["secret_token"] = {"old": "unknown or another", "new": "the one in the secret store"}
        elif complaint := _stranger(info, at):
            changes["registration"] = {"old": complaint, "new": "certificate and secret of this droplet"}
        return changes


def _stranger(info: Mapping[str, Any], at: float | None) -> str:
    """Telegram's complaint that the edge is not whom it was told of, later than our registration; or "".

    So it is on a droplet that was put back to an older snapshot: its note says that it registered, and meanwhile a
    certificate or a secret was registered that went with what was put back.
    """
    complaint = str(info.get("last_error_message") or "")
    later = at is not None and float(info.get("last_error_date") or 0) > at
    return complaint if later and complaint.startswith(_STRANGER) else ""


def masked(url: str) -> str:
    """A webhook's address without what only Telegram may know: its last part, where that is long."""
    head, slash, last = url.rpartition("/")
    return f"{head}{slash}..." if len(last) >= LONG_PART else url


class BotApi:
    """One bot at one Bot API server.

    Args:
        url: the server, for example https://api.telegram.org; token: the bot's; timeout: seconds a call may take.
    """

    def __init__(self, url: str, token: str, timeout: float = 20) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout = timeout

    def webhook_info(self) -> dict[str, Any]:
        """getWebhookInfo's result; raises TelegramError."""
        result = self._call("getWebhookInfo", {}, {})
        return result if isinstance(result, dict) else {}

    def set_webhook(self, webhook: Webhook) -> None:
        """Register a webhook. What is pending stays so; the secret always goes along: leaving it out clears it."""
        fields = {
            "url": webhook.url,
            "secret_token": webhook.secret,
            "allowed_updates": json.dumps(list(webhook.allowed_updates)),
            "max_connections": str(webhook.max_connections),
            "drop_pending_updates": "false",
        }
        files = {"certificate": webhook.certificate} if webhook.certificate else {}
        self._call("setWebhook", fields, files)

    def _call(self, method: str, fields: Mapping[str, str], files: Mapping[str, str]) -> Any:
        for _ in range(PATIENCE):
            try:
                return self._attempt(method, fields, files)
            except _Later as later:
                time.sleep(min(later.seconds, LONGEST_PAUSE))
        return self._attempt(method, fields, files)

    def _attempt(self, method: str, fields: Mapping[str, str], files: Mapping[str, str]) -> Any:
        body, content_type = _multipart(fields, files)
        request = urllib.request.Request(  # noqa: S310 - the parser admits http and https only
            f"{self._url}/bot{self._token}/{method}", data=body, headers={"Content-Type": content_type}
        )
        context = ssl.create_default_context() if self._url.startswith("https:") else None
        try:
            with urllib.request.urlopen(request, timeout=self._timeout, context=context) as response:  # noqa: S310
                document = json.load(response)
        except urllib.error.HTTPError as error:
            description, retry_after = self._description(error)
            if retry_after is not None:
                raise _Later(f"{method} at {self._url}: {description}", retry_after) from None
            raise TelegramError(f"{method} at {self._url}: {description}") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error)).replace(self._token, "<token>")
            raise TelegramError(f"{method}: {self._url} is out of reach: {reason}") from None
        if not isinstance(document, dict) or not document.get("ok"):
            raise TelegramError(f"{method} at {self._url}: {document}")
        return document.get("result")

    def _description(self, error: urllib.error.HTTPError) -> tuple[str, float | None]:
        """The Bot API's own words, and after how many seconds it wants to be asked again."""
        try:
            document = json.load(error)
        except (ValueError, OSError, http.client.HTTPException):
            document = {}
        if not isinstance(document, dict):
            document = {}
        text = str(document.get("description", ""))
        if error.code in (401, 404):
            text += " (is the secret telegram_token right?)"
        retry_after = (document.get("parameters") or {}).get("retry_after")
        return f"HTTP {error.code} {text}".replace(self._token, "<token>"), retry_after


class Telegram:
    """What Telegram says of our webhook, for a release that watches it.

    Args:
        token: file with the bot's token.
    """

    def __init__(self, token: Path) -> None:
        self.token = token

    def webhook_info(self, url: str) -> dict[str, Any] | None:
        """getWebhookInfo's result from the Bot API at ``url``; None while it cannot be had."""
        try:
            bot = BotApi(url, self.token.read_text().strip(), timeout=5)
            return bot.webhook_info()
        except (TelegramError, OSError):
            return None


def _multipart(fields: Mapping[str, str], files: Mapping[str, str]) -> tuple[bytes, str]:
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts += [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}.pem"\r\n'
        f"Content-Type: application/x-pem-file\r\n\r\n{value}\r\n"
        for name, value in files.items()
    ]
    return "".join([*parts, f"--{boundary}--\r\n"]).encode(), f"multipart/form-data; boundary={boundary}"
