"""The settings of the host itself: who may come in, and how it is kept up to date."""

# The declaring functions return dataclasses.field(), which is immutable and meant to be called here.
# ruff: noqa: RUF009

from dataclasses import dataclass

from marketplace_settings_fields import setting
from marketplace_settings_kinds import Boolean, Integer, size, time_of_day
from marketplace_settings_kinds_net import Networks
from marketplace_units import MIB


@dataclass(frozen=True, kw_only=True)
class Firewall:
    ssh_sources: list[str] = setting(
        Networks('["203.0.113.7/32"]', "list of networks"), "who reaches SSH", ["0.0.0.0/0", "::/0"]
    )
    ssh_rate: int = setting(
        Integer("30", "whole number", 6, 6000), "new SSH connections of one source in a minute", 30
    )
    ssh_burst: int = setting(
        Integer("30", "whole number", 6, 6000),
        "new SSH connections of one source at once, before that counts",
        30,
    )


@dataclass(frozen=True, kw_only=True)
class Updates:
    reboot: bool = setting(
        Boolean("true", "true or false"),
        "whether the droplet reboots by itself when an update asks for it",
        True,
    )
    reboot_time: str = setting(
        time_of_day("03:30"),
        "when, in the droplet's time zone; a release that runs is waited for, for an hour",
        "03:30",
    )


@dataclass(frozen=True, kw_only=True)
class Logs:
    keep_days: int = setting(
        Integer("14", "whole number of days", 7, 90),
        "days that what is logged is kept at least, as long as logs.size allows; it is gone two days later",
        14,
    )
    size: int = setting(
        size("4G", 512 * MIB),
        "disk for all logs; each service has a share of its own, and loses its oldest lines when that is used up",
        "4G",
    )
