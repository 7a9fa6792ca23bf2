"""The application contract as an image declares it (docs/contract.md). Pure: labels in, contract or problems out."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

VERSION = "1"
# The edge knows these paths as well, so version 1 of the contract fixes them.
PATHS = {
    "marketplace.health.live": "/health/live",
    "marketplace.health.ready": "/health/ready",
    "marketplace.version.path": "/version",
}
READY_PATH = PATHS["marketplace.health.ready"]
VERSION_PATH = PATHS["marketplace.version.path"]


@dataclass(frozen=True)
class Contract:
    """What the engine needs to know of an image."""

    migrate: tuple[str, ...]
    migrate_current: tuple[str, ...]
    migrate_heads: tuple[str, ...]
    worker: tuple[str, ...] | None
    environment: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the journal."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Contract":
        """The contract in a journal's entry."""
        fields: dict[str, Any] = {name: value and tuple(value) for name, value in document.items()}
        return cls(**fields)


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
    contract = Contract(
        migrate=argv("marketplace.migrate", '["alembic","upgrade","head"]') or (),
        migrate_current=argv("marketplace.migrate.current", '["alembic","current"]') or (),
        migrate_heads=argv("marketplace.migrate.heads", '["alembic","heads"]') or (),
        worker=argv("marketplace.worker", '["python","-m","bot.worker"]', required=False),
        environment=tuple(labels.get("marketplace.environment", "").split()),
    )
    if problems:
        raise ContractError(image, problems)
    return contract
