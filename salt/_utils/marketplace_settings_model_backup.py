"""The settings of the backups: how long they are kept and when they are taken; part of marketplace_settings_model."""

# The declaring functions return dataclasses.field(), which is immutable and meant to be called here.
# ruff: noqa: RUF009

from dataclasses import dataclass

from marketplace_settings_fields import section, setting
from marketplace_settings_kinds import Integer, Text, device, size, time_of_day
from marketplace_settings_kinds_net import Url
from marketplace_units import MIB


@dataclass(frozen=True, kw_only=True)
class BackupLimits:
    memory: int = setting(
        size("192M", 128 * MIB), "memory of the scratch server that a backup is restored into", "192M"
    )


@dataclass(frozen=True, kw_only=True)
class BackupStorage:
    target: str = setting(
        Text(
            "s3:your-bucket/marketplace",
            "s3:BUCKET[/PREFIX], an absolute directory, or nothing",
            r"s3:[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9_-]{1,64}){0,6}|(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}){1,8}",
            "s3:BUCKET[/PREFIX], or an absolute directory",
            optional=True,
        ),
        "where an encrypted copy of all backups goes, at least every 30 seconds; nothing: they stay on this host alone",
        "",
    )
    endpoint: str = setting(
        Url("https://ams3.digitaloceanspaces.com", "URL, or nothing", optional=True),
        "the object storage's",
        "",
    )
    region: str = setting(
        Text("ams3", "region, or nothing", r"[a-z0-9-]{1,32}", "a region's name", optional=True),
        "the object storage's, where it wants one",
        "",
    )
    access_key: str = setting(
        Text(
            "DO00EXAMPLE",
            "access key's id, or nothing",
            r"[A-Za-z0-9_-]{3,128}",
            "an access key's id",
            optional=True,
        ),
        "whose bucket it is; the key's other half is the secret backup_storage_secret",
        "",
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
    storage: BackupStorage = section(BackupStorage, "the copy elsewhere")
    limits: BackupLimits = section(BackupLimits, "what trying a backup may use")
