"""Alertmanager's configuration by the settings: whom to tell of what, and how often. Pure.

Source of its keys: https://prometheus.io/docs/alerting/0.28/configuration/
"""

from collections.abc import Mapping
from typing import Any

from marketplace_watch_letters import EVENT

# Where its unit finds the secrets that systemd hands it (LoadCredential).
CREDENTIALS = "/run/credentials/prometheus-alertmanager.service"
TELEGRAM_TOKEN, EMAIL_PASSWORD = "alerts_telegram_token", "alerts_email_password"
WEBHOOK_URL = "alerts_webhook_url"
TELEGRAM, EMAIL, WEBHOOK = "telegram", "email", "webhook"
NOBODY, CONDITIONS, EVENTS = "nobody", "conditions", "events"
NOBODY_TOLD = (
    "nobody is told when something is wrong: set alerts.telegram.chat, alerts.email.to or alerts.webhook "
    "(docs/monitoring.md), then: state.apply"
)


def ways(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """By which ways people are told, as Alertmanager names them."""
    # An older tree's settings do not know them.
    alerts = settings.get("alerts")
    if alerts is None:
        return ()
    chosen = {
        TELEGRAM: alerts["telegram"]["chat"],
        EMAIL: alerts["email"]["to"],
        WEBHOOK: alerts["webhook"],
    }
    return tuple(way for way, value in chosen.items() if value)


def credentials(settings: Mapping[str, Any]) -> list[str]:
    """Names of the secrets that Alertmanager reads."""
    alerts = settings["alerts"]
    wanted = {
        TELEGRAM_TOKEN: alerts["telegram"]["chat"],
        EMAIL_PASSWORD: alerts["email"]["username"],
        WEBHOOK_URL: alerts["webhook"],
    }
    return [name for name, value in wanted.items() if value]


def configuration(settings: Mapping[str, Any], templates: str) -> dict[str, Any]:
    """The whole of alertmanager.yml.

    Args:
        settings: the effective settings.
        templates: the files with the templates of messages.
    """
    if not ways(settings):
        return {"route": {"receiver": NOBODY}, "receivers": [{"name": NOBODY}]}
    return {
        "route": {
            "receiver": CONDITIONS,
            # What goes wrong with one service is one message, which says what is added and what is over.
            "group_by": ["service"],
            "group_wait": "10s",
            "group_interval": "30s",
            "repeat_interval": "4h",
            "routes": [
                {
                    "receiver": EVENTS,
                    "matchers": [f'kind="{EVENT}"'],
                    "group_by": ["event"],
                    "group_wait": "1s",
                    "repeat_interval": "48h",
                }
            ],
        },
        "receivers": [
            {"name": CONDITIONS, **_receiver(settings, resolved=True)},
            {"name": EVENTS, **_receiver(settings, resolved=False)},
        ],
        "templates": [templates],
    }


def _receiver(settings: Mapping[str, Any], resolved: bool) -> dict[str, Any]:
    alerts, found = settings["alerts"], {}
    if alerts["telegram"]["chat"]:
        found["telegram_configs"] = [
            {
                "api_url": settings["telegram"]["api_url"],
                "bot_token_file": f"{CREDENTIALS}/{TELEGRAM_TOKEN}",
                "chat_id": int(alerts["telegram"]["chat"]),
                "parse_mode": "HTML",
                "message": '{{ template "alerts.html" . }}',
                "send_resolved": resolved,
            }
        ]
    if alerts["email"]["to"]:
        found["email_configs"] = [_email(alerts["email"], resolved)]
    if alerts["webhook"]:
        found["webhook_configs"] = [{"url_file": f"{CREDENTIALS}/{WEBHOOK_URL}", "send_resolved": resolved}]
    return found


def _email(email: Mapping[str, Any], resolved: bool) -> dict[str, Any]:
    login = {
        "auth_username": email["username"],
        "auth_password_file": f"{CREDENTIALS}/{EMAIL_PASSWORD}",
    }
    return {
        "to": email["to"],
        "from": email["sender"],
        "smarthost": email["server"],
        "headers": {"Subject": '{{ template "alerts.subject" . }}'},
        "text": '{{ template "alerts.text" . }}',
        "html": "",
        "send_resolved": resolved,
        **(login if email["username"] else {}),
    }
