"""Versions that should not be shipped, how each is stopped, and that the live one goes on serving."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.support import shipping
from tests.support.alerts import Chat
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.site import Site
from tests.support.load.running import Load
from tests.support.load.state import sql
from tests.support.waiting import seconds_until

MINORS = {"0001": "1.0", "0002": "1.1", "0003": "1.2"}
GOOD = "1.1.1"
"""What is live while the others are tried."""


@dataclass(frozen=True)
class Bad:
    """A bad version: how its image is made, how it is shipped, and what has to come of it.

    ``fails`` is whether requests may fail at first: where the version only shows its fault once it is live. ``slow`` is
    for ``make soak``: it takes up a minute and more, most of it spent on waiting.
    """

    name: str
    outcome: str
    words: str
    build: dict[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    fails: bool = False
    slow: bool = False

    def version(self, head: str) -> str:
        """Its version, such that there is no migration but its own where the schema is at ``head``."""
        return f"{MINORS[head]}.9-{self.name}"


def variant(
    name: str,
    outcome: str,
    words: str,
    *arguments: str,
    fails: bool = False,
    slow: bool = False,
    **build: str,
) -> Bad:
    """One of the example's variants; more ``arguments`` for deploy.release, ``build`` for its image."""
    return Bad(name, outcome, words, {"VARIANT": name, **build}, arguments, fails, slow)


TABLE = (
    Bad("missing", "refused", "9-missing could not be pulled"),
    Bad("foreign", "refused", "is built for arm64"),
    variant("needs-variable", "refused", "PAYMENT_KEY", ENVIRONMENT_EXTRA="PAYMENT_KEY"),
    variant("crash", "failed", "this variant crashes at start", slow=True),
    variant("out-of-memory", "failed", "more than its memory limit of 512 MiB", slow=True),
    variant("wrong-port", "failed", "did not become ready within 60 s", slow=True),
    variant("never-ready", "failed", "did not become ready within 60 s", slow=True),
    variant("migration-fails", "failed", "failed with exit code", slow=True),
    variant("migration-half", "refused", "can only be applied with maintenance=True"),
    variant("errors-later", "rolled_back", "requests failed (5xx)", "soak=20", fails=True),
    variant("health-fails-later", "rolled_back", "is no longer ready", "soak=20", slow=True),
)
LOCKS = variant("migration-locks", "failed", "a table is in use", slow=True)
HALF = variant("migration-half", "failed", "division by zero", "maintenance=True", fails=True)
"""Forced through in maintenance: it fails in the middle, and the restore point is used."""
BREAKS = variant(
    "migration-breaks-live", "failed", "no longer works with the migrated schema", fails=True, slow=True
)


def good(droplet: Droplet, site: Site) -> dict[str, Any]:
    """Have the good version live, and say what deploy.status says of it."""
    site.backend(GOOD)
    shipping.ensure_live(droplet, GOOD)
    found: dict[str, Any] = shipping.status(droplet)["live"]
    return found


def schema(droplet: Droplet) -> tuple[str, str]:
    """The schema's revision, and the names of its tables."""
    found = sql(
        droplet,
        "SELECT version_num FROM alembic_version;"
        "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'",
    ).splitlines()
    return found[0], found[1]


def ship(droplet: Droplet, site: Site, users: Load, live: dict[str, Any], bad: Bad) -> None:
    """Try to ship a bad version; it is stopped for the right reason, and everything is as it was afterwards.

    Args:
        users: who must not notice, unless its ``fails`` says that they may.
        live: what deploy.status says before.
    """
    before, failed = schema(droplet), users.figures().failed
    version = bad.version(before[0])
    if bad.name != "missing":
        site.backend(version, foreign=bad.name == "foreign", **bad.build)
    chat = Chat.from_now(site.alerts())
    answer = shipping.release(droplet, version, *bad.arguments)
    assert answer.returncode == 1, answer.value
    assert answer.value["outcome"] == bad.outcome, answer.value
    assert bad.words in answer.value["reason"], answer.value["reason"]
    after = shipping.assert_sound(droplet)
    assert after["live"] == live
    assert schema(droplet) == before
    assert bad.fails or users.figures().failed == failed, users.figures()
    chat.arrives(f"release of {version}: {bad.outcome}", 30)


@contextlib.contextmanager
def reader(droplet: Droplet, table: str) -> Iterator[None]:
    """Somebody who reads a table in a transaction that stays open, for as long as the block."""
    script = f"BEGIN; SELECT 1 FROM {table} LIMIT 1; SELECT pg_sleep(300);"
    found = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep(300)%' AND pid <> pg_backend_pid()"

    def read(beside: Droplet) -> None:
        with contextlib.suppress(Exception):  # It is ended below.
            sql(beside, script)

    with shipping.beside(droplet, read):
        try:
            seconds_until(lambda: sql(droplet, f"SELECT count(*) {found}") == "1", 30)
            yield
        finally:
            sql(droplet, f"SELECT pg_terminate_backend(pid) {found}")
