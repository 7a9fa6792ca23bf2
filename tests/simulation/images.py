"""Images in the simulated registry: what they declare, which migrations they know, and how they misbehave."""

import json
from dataclasses import dataclass, field

REPOSITORY = "registry.test/marketplace"
DIGEST_1, DIGEST_2, DIGEST_3, DIGEST_4 = (f"sha256:{letter * 64}" for letter in "abcd")
COMMANDS = {
    "marketplace.migrate": ["alembic", "upgrade", "head"],
    "marketplace.migrate.current": ["alembic", "current"],
    "marketplace.migrate.heads": ["alembic", "heads"],
    "marketplace.migrate.plan": ["alembic", "plan"],
    "marketplace.migrate.down": ["alembic", "downgrade"],
}
LABELS = {
    "marketplace.contract": "1",
    "marketplace.port": "8080",
    "marketplace.health.live": "/health/live",
    "marketplace.health.ready": "/health/ready",
    "marketplace.version.path": "/version",
} | {name: json.dumps(command) for name, command in COMMANDS.items()}
WORKER = {"marketplace.worker": '["python","-m","worker"]'}

BEHAVIOURS = (
    "good",
    "exits",
    "never_ready",
    "wrong_version",
    "errors",
    "errors_later",
    "crashes_later",
    "oom",
)
MIGRATIONS = ("good", "fails", "half", "lies", "hangs")


@dataclass(frozen=True)
class Change:
    """A migration as it is; what the plan says of it may differ in ``breaking``.

    Attributes:
        breaks: whether an older version really cannot work with it; breaking: whether the plan says so.
    """

    revision: str
    breaks: bool = False
    breaking: bool = False
    transactional: bool = True
    reversible: bool = True
    loses: str = ""


def chain(*changes: Change | str) -> tuple[Change, ...]:
    """Migrations, each building on the one before."""
    return tuple(change if isinstance(change, Change) else Change(change) for change in changes)


@dataclass(frozen=True)
class Image:
    """An image in the registry.

    Attributes:
        migrations: those that it knows, oldest first.
        behaviour: of its backend (BEHAVIOURS); migration: of its migration command (MIGRATIONS).
    """

    digest: str
    migrations: tuple[Change, ...] = (Change("0001"),)
    labels: dict[str, str] = field(default_factory=lambda: dict(LABELS))
    has_healthcheck: bool = True
    architecture: str = "amd64"
    behaviour: str = "good"
    migration: str = "good"

    @property
    def id(self) -> str:
        """The image's own id, which is not its digest in the registry."""
        return f"sha256:id{self.digest[9:]}"

    @property
    def heads(self) -> list[str]:
        return [self.migrations[-1].revision] if self.migrations else []

    def plan(self) -> str:
        """What ``marketplace.migrate.plan`` prints."""
        down: list[str] = []
        listed = []
        for change in self.migrations:
            listed.append(
                {
                    "revision": change.revision,
                    "down": down,
                    "summary": f"change {change.revision}",
                    "breaking": change.breaking,
                    "transactional": change.transactional,
                    "reversible": change.reversible,
                    "loses": change.loses,
                }
            )
            down = [change.revision]
        return json.dumps(listed)

    def command(self, argv: list[str]) -> tuple[str, list[str]]:
        """Which declared command ``argv`` is (without ``marketplace.``), and what was appended to it."""
        for name, value in sorted(self.labels.items(), key=lambda item: -len(item[1])):
            if value.startswith("["):
                declared = json.loads(value)
                if argv[: len(declared)] == declared:
                    return name.removeprefix("marketplace."), argv[len(declared) :]
        return "", argv
