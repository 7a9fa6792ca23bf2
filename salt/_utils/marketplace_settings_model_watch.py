"""The settings of the watchdog and of whom it tells; part of marketplace_settings_model."""

# The declaring functions return dataclasses.field(), which is immutable and meant to be called here.
# ruff: noqa: RUF009

from dataclasses import dataclass

from marketplace_settings_fields import section, setting
from marketplace_settings_kinds import Boolean, Choice, Integer, Number, Text, size, time_of_day
from marketplace_slo_budget import GOAL, QUERY_SECONDS
from marketplace_units import MIB

MINIMAL, FULL = "minimal", "full"
_ADDRESS = r"[^@\s<>\"']{1,64}@[A-Za-z0-9.-]{1,190}"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    cpu: int = setting(
        Integer("80", "whole number of percent, 20 to 99", 20, 99),
        "share of the processors that the droplet, or a service of what it may use, has used for five minutes",
        80,
    )
    memory: int = setting(
        Integer("80", "whole number of percent, 20 to 99", 20, 99),
        "share of its memory that the droplet or a service uses",
        80,
    )
    disk: int = setting(
        Integer("80", "whole number of percent, 20 to 99", 20, 99),
        "share of a file system that is used",
        80,
    )
    errors: float = setting(
        Number("5", "percent, 0.1 to 100", 0.1, 100), "share of answers with 5xx within five minutes", 5
    )
    slow: float = setting(
        Number("2", "seconds, 0.1 to 60", 0.1, 60),
        "how long 95% of the answers may take at most, over five minutes",
        2,
    )
    query: float = setting(
        Number("0.5", "seconds, 0.01 to 60", 0.01, 60),
        "how long 95% of the bot's queries may take at most, over five minutes",
        QUERY_SECONDS,
    )


@dataclass(frozen=True, kw_only=True)
class MonitoringLimits:
    memory: int = setting(size("64M", 48 * MIB), "memory of the watchdog, and as much of Alertmanager", "64M")


@dataclass(frozen=True, kw_only=True)
class Metrics:
    keep_days: int = setting(Integer("30", "whole number", 2, 400), "days that Prometheus keeps", 30)
    memory: int = setting(size("128M", 96 * MIB), "memory of Prometheus", "128M")
    exporter_memory: int = setting(size("32M", 24 * MIB), "memory of each of its four exporters", "32M")
    size: int = setting(size("1G", 128 * MIB), "disk for what it keeps; the oldest days go first", "1G")


@dataclass(frozen=True, kw_only=True)
class Monitoring:
    uptime: float = setting(
        Number("99.5", "percent, 90 to 99.99", 90, 99.99),
        "the share of 30 days in which the bot has to be reached; maintenance counts as if it were not",
        GOAL,
    )
    strength: str = setting(
        Choice("full", "minimal or full", choices=(MINIMAL, FULL)),
        "minimal: the watchdog and Alertmanager; full: Prometheus and its exporters as well",
        MINIMAL,
    )
    metrics: Metrics = section(Metrics, "what Prometheus keeps and may use, in strength full")
    thresholds: Thresholds = section(Thresholds, "from where on people are told")
    limits: MonitoringLimits = section(MonitoringLimits, "what watching may use")
    drift: bool = setting(
        Boolean("true", "true or false"),
        "whether it is looked for once a day what somebody has changed by hand",
        True,
    )
    drift_time: str = setting(
        time_of_day("05:30"),
        "when, in the droplet's time zone; releases, backups and runs of state.apply are waited for, for an hour",
        "05:30",
    )


@dataclass(frozen=True, kw_only=True)
class TelegramAlerts:
    chat: str = setting(
        Text(
            '"-1001234567890"',
            "chat id, in quotes, or nothing",
            r"-?[0-9]{1,16}",
            "a chat's id",
            optional=True,
        ),
        "the chat that is told, by a bot of its own at telegram.api_url: its token is the secret alerts_telegram_token",
        "",
    )


@dataclass(frozen=True, kw_only=True)
class EmailAlerts:
    to: str = setting(
        Text(
            "ops@your-company.com", "e-mail address, or nothing", _ADDRESS, "an e-mail address", optional=True
        ),
        "who is told",
        "",
    )
    sender: str = setting(
        Text("alerts@your-company.com", "e-mail address", _ADDRESS, "an e-mail address", optional=True),
        "whom the mails are from",
        "",
    )
    server: str = setting(
        Text(
            "smtp.your-company.com:587",
            "host:port",
            r"[A-Za-z0-9.-]{1,190}:[0-9]{1,5}",
            "a host and a port",
            optional=True,
        ),
        "who takes the mails, with STARTTLS",
        "",
    )
    username: str = setting(
        Text("alerts", "user name, or nothing", r"[!-~]{1,128}", "a user name", optional=True),
        "whose mailbox it is there; its password is the secret alerts_email_password",
        "",
    )


@dataclass(frozen=True, kw_only=True)
class Alerts:
    telegram: TelegramAlerts = section(TelegramAlerts, "a chat")
    email: EmailAlerts = section(EmailAlerts, "a mailbox")
    webhook: bool = setting(
        Boolean("true", "true or false"),
        "whether another system is told as well, in Alertmanager's form, at the secret alerts_webhook_url",
        False,
    )
    dead_man: bool = setting(
        Boolean("true", "true or false"),
        "whether the secret alerts_dead_man_url is called every minute while watching and telling work: "
        "who misses that tells you",
        False,
    )
