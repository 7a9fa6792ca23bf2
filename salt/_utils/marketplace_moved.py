"""Whether a database that moved to a provider is there: what is counted at the old place has to be at the new one."""

from collections.abc import Mapping
from typing import Any

from marketplace_census import Census, census
from marketplace_database import PROGRAMS, Database, DatabaseError
from marketplace_docker import Docker
from marketplace_paths import Paths
from marketplace_provider import Read, authority
from marketplace_provider_database import ProviderDatabase, database_of, login_of

# So many tables are named; of more there is a number.
NAMED = 5


def unlike(paths: Paths, before: Mapping[str, Any], after: Mapping[str, Any], secret: Read) -> str | None:
    """Why the database at a provider is not the one that moved there; None where it is, or the old one can't be asked.

    Nobody writes meanwhile: the edge is closed. What is at the new place besides is the provider's own affair.

    Args:
        paths: the droplet's; its settings are those of before.
        before: those settings.
        after: the settings that put the database at a provider.
        secret: a secret's value after the move, by its name.
    """
    docker = Docker(paths.docker_config, paths.docker_socket)
    try:
        expected = census(database_of(paths, docker), before["postgres"]["database"])
    except (DatabaseError, OSError):
        return None
    if not (PROGRAMS / "psql").exists():
        return None
    with authority(after["postgres"]["managed"]["ca"]) as file:
        login = login_of(after, "owner", secret(after["postgres"]["owner_secret"]), str(file))
        new: Database = ProviderDatabase(docker, paths, after, login)
        try:
            found = census(new, login.database)
        except DatabaseError as error:
            return (
                f"what moved to {login.host}:{login.port}/{login.database} cannot be counted there: {error}"
            )
    wrong = differing(expected, found)
    if not wrong:
        return None
    more = f"; and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return (
        f"the database at {login.host}:{login.port}/{login.database} does not hold what the one of before does, so it "
        f"is not used, and nothing was changed: {'; '.join(wrong[:NAMED])}{more}. Empty it, and move the data again "
        "while nobody writes: docs/managed.md"
    )


def differing(expected: Census, found: Census) -> list[str]:
    """One sentence for each way in which the new place has not what the old one has. Pure."""
    known = {table: rows for table, rows in found.rows.items() if table in expected.rows}
    return expected.differences(Census(known, found.heads))
