"""The application contract as an image declares it (docs/contract.md). Pure: labels in, contract or problems out."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from dataclasses import fields as dataclass_fields
from typing import Any

from marketplace_schedule import LABEL as SCHEDULE
from marketplace_schedule import Job, parse_schedule

VERSION = "1"
# The edge knows these paths as well, so version 1 of the contract fixes them.
PATHS = {
    "marketplace.health.live": "/health/live",
    "marketplace.health.ready": "/health/ready",
    "marketplace.version.path": "/version",
}
READY_PATH = PATHS["marketplace.health.ready"]
VERSION_PATH = PATHS["marketplace.version.path"]
# What the value of a variable may have to be, and how one that is right looks.
KINDS = {
    "number": (r"-?\d+(\.\d+)?", "a number such as 8 or 0.5"),
    "url": (r"[a-z][a-z0-9+.-]*://\S+", "a URL such as https://pay.your-company.com/v1"),
    "flag": (r"true|false|0|1", "true or false"),
}


@dataclass(frozen=True)
class Contract:
    """What the engine needs to know of an image. Commands are argv lists; those that may be missing are None then.

    Args:
        migrate, migrate_current, migrate_heads: commands of the schema.
        worker: the singleton process.
        environment: variables that the image cannot start without, ``NAME`` or ``NAME:kind``.
        migrate_plan: prints the migrations the image knows (marketplace_migrations.parse_plan).
        migrate_down: takes migrations back; the revisions to go back to are appended.
        before, after: hooks of a release.
        schedule: jobs that run at their times while the image is live.
    """

    migrate: tuple[str, ...]
    migrate_current: tuple[str, ...]
    migrate_heads: tuple[str, ...]
    worker: tuple[str, ...] | None
    environment: tuple[str, ...]
    # With defaults, for an older tree's journal has no such fields.
    migrate_plan: tuple[str, ...] | None = None
    migrate_down: tuple[str, ...] | None = None
    before: tuple[str, ...] | None = None
    after: tuple[str, ...] | None = None
    schedule: tuple[Job, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the journal."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Contract":
        """The contract in a journal's entry, an older or a newer tree's as well."""
        fields: dict[str, Any] = {
            item.name: None if document[item.name] is None else tuple(document[item.name])
            for item in dataclass_fields(cls)
            if item.name in document
        }
        jobs = tuple(map(Job.from_dict, fields.pop("schedule", ())))
        return cls(**fields, schedule=jobs)


class ContractError(Exception):
    """The image does not honour the contract; ``problems`` names every label that is wrong."""

    def __init__(self, image: str, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(
            f"{image} does not honour the application contract (docs/contract.md): " + "; ".join(problems)
        )


def parse_contract(image: str, labels: Mapping[str, str], port: int, has_healthcheck: bool) -> Contract:
    """Read an image's labels.

    Args:
        image: its reference, for messages.
        labels: ``.Config.Labels`` of the image.
        port: the port the edge expects (setting ``backend:port``).
        has_healthcheck: whether the image brings a Docker HEALTHCHECK.

    Raises:
        ContractError: naming all that is missing or wrong at once.
    """
    problems: list[str] = []

    def text(name: str, example: str) -> str:
        value = labels.get(name, "")
        if not value:
            problems.append(f"label {name} is missing, for example {name}={example}")
        return value

    def argv(name: str, example: str, required: bool = True) -> tuple[str, ...] | None:
        value = labels.get(name, "")
        if not value:
            if required:
                problems.append(f"label {name} is missing, for example {name}={example}")
            return None
        try:
            parsed = json.loads(value)
        except json.JSONDecodeError:
            parsed = None
        if not isinstance(parsed, list) or not parsed or not all(isinstance(item, str) for item in parsed):
            problems.append(f"label {name} is '{value}', expected a JSON list of strings such as {example}")
            return None
        return tuple(parsed)

    version = text("marketplace.contract", VERSION)
    if version and version != VERSION:
        problems.append(f"label marketplace.contract is '{version}', this tree speaks version {VERSION}")
    declared = text("marketplace.port", str(port))
    if declared and declared != str(port):
        problems.append(f"label marketplace.port is '{declared}', the setting backend:port is {port}")
    for name, path in PATHS.items():
        value = text(name, path)
        if value and value != path:
            problems.append(f"label {name} is '{value}', the edge asks for {path}")
    if not has_healthcheck:
        problems.append("the image has no HEALTHCHECK")
    environment = tuple(labels.get("marketplace.environment", "").split())
    for word in environment:
        name, _, kind = word.partition(":")
        if not name.isidentifier() or kind not in ("", *KINDS):
            problems.append(
                f"label marketplace.environment has '{word}', expected NAME or NAME:kind with one of {', '.join(KINDS)}"
            )
    schedule, wrong = parse_schedule(labels.get(SCHEDULE, ""))
    problems += wrong
    contract = Contract(
        migrate=argv("marketplace.migrate", '["alembic","upgrade","head"]') or (),
        migrate_current=argv("marketplace.migrate.current", '["alembic","current"]') or (),
        migrate_heads=argv("marketplace.migrate.heads", '["alembic","heads"]') or (),
        worker=argv("marketplace.worker", '["python","-m","bot.worker"]', required=False),
        environment=environment,
        migrate_plan=argv("marketplace.migrate.plan", '["python","-m","bot.migrate","plan"]', required=False),
        migrate_down=argv("marketplace.migrate.down", '["alembic","downgrade"]', required=False),
        before=argv("marketplace.before", '["python","-m","bot.check"]', required=False),
        after=argv("marketplace.after", '["python","-m","bot.warm"]', required=False),
        schedule=schedule,
    )
    if problems:
        raise ContractError(image, problems)
    return contract


def wrong_variables(declared: Sequence[str], given: Mapping[str, str]) -> list[str]:
    """What is missing or malformed among the variables that an image declares, in words without their values.

    Args:
        declared: words of the label ``marketplace.environment``; given: the variables it will get.
    """
    problems = []
    for word in declared:
        name, _, kind = word.partition(":")
        value = given.get(name, "").strip()
        if not value:
            problems.append(f"{name} is missing")
        elif kind and not re.fullmatch(KINDS[kind][0], value):
            problems.append(f"{name} has to be {KINDS[kind][1]}")
    return problems
