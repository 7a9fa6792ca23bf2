"""The settings of the backups: how long they are kept and when they are taken; part of marketplace_settings_model."""

# The declaring functions return dataclasses.field(), which is immutable and meant to be called here.
# ruff: noqa: RUF009

from dataclasses import dataclass

from marketplace_settings_fields import section, setting
from marketplace_settings_kinds import Integer, device, size, time_of_day
from marketplace_units import MIB


@dataclass(frozen=True, kw_only=True)
class BackupLimits:
    memory: int = setting(
        size("256M", 128 * MIB), "memory of the scratch server that a backup is restored into", "256M"
    )


@dataclass(frozen=True, kw_only=True)
class Backup:
    keep_days: int = setting(
        Integer("7", "whole number of days", 1, 365),
        "days back that can be restored to, at any second of them",
        7,
    )
    time: str = setting(
        time_of_day("02:30"), "when the nightly backup begins, in the droplet's time zone", "02:30"
    )
    drill_time: str = setting(
        time_of_day("04:30"),
        "when the newest backup is restored on trial, in the droplet's time zone",
        "04:30",
    )
    max_drill_age: int = setting(
        Integer("7", "whole number of days", 0, 365),
        "days after which no release is made while no backup was restored on trial; 0 does without",
        7,
    )
    disk: int = setting(size("20G", 512 * MIB), "size of the backups' file system, allocated at once", "20G")
    device: str = setting(
        device(),
        "a block volume of at least that size for it; nothing: an image file on the droplet's own disk",
        "",
    )
    limits: BackupLimits = section(BackupLimits, "what trying a backup may use")
