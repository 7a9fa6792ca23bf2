"""What is in a database, to be compared with what is in another: rows by table, and the schema's head. One moment's."""

import json
from dataclasses import dataclass

from marketplace_database import HEADS, ROWS, Database, DatabaseError
from marketplace_postgres import literal

# Somebody who is just committing makes a moment useless; there is a quiet one among so many even under load.
ATTEMPTS = 200
# One count that is taken as a query of its own for each table, in the snapshot of the transaction around it.
_COUNTS = f"""SELECT json_build_object(
  'rows', (SELECT coalesce(json_object_agg(n.nspname || '.' || c.relname, {ROWS} ORDER BY 1), '{{}}')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence = 'p'
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')),
  'heads', {HEADS});"""  # noqa: S608
_BUSY = "(SELECT count(*) FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid())"


@dataclass(frozen=True)
class Census:
    """Rows by table (``schema.table``), and the revisions in ``alembic_version``."""

    rows: dict[str, int]
    heads: tuple[str, ...]

    def differences(self, other: "Census") -> list[str]:
        """One sentence for each way in which ``other``, the restored one, is another."""
        found = [
            f"table {table} has {other.rows.get(table, 'none')} rows restored, expected {self.rows.get(table, 'none')}"
            for table in sorted(self.rows.keys() | other.rows.keys())
            if self.rows.get(table) != other.rows.get(table)
        ]
        if self.heads != other.heads:
            found.append(f"schema is at {', '.join(other.heads)} restored, expected {', '.join(self.heads)}")
        return found

    @classmethod
    def parse(cls, answer: str) -> "Census":
        """What was counted, as the server has said it."""
        document = json.loads(answer)
        return cls(dict(document["rows"]), tuple(document["heads"]))


def exported() -> str:
    """A psql script that prints a snapshot's name and, in a second line, what is counted in it; it stays open."""
    return f"BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT pg_export_snapshot();\n{_COUNTS}\n"


def census(database: Database, name: str, timeout: float = 600) -> Census:
    """Count everything in database ``name``, in one transaction.

    Raises:
        DatabaseError: it cannot be asked.
    """
    return Census.parse(
        database.script(name, f"BEGIN ISOLATION LEVEL REPEATABLE READ;\n{_COUNTS}\nCOMMIT;\n", timeout)
    )


def marked(database: Database, name: str, mark: str, timeout: float = 600) -> tuple[str, Census]:
    """Set a restore point in the log, and count what is there at just that point, while others go on writing.

    The point is good where nobody was committing around it: two snapshots, one before and one behind it, are the same,
    and no transaction that writes was under way at either. Then what the second sees is what the log holds up to it.

    Args:
        mark: how the point's name begins: a try that came to nothing leaves a point as well.

    Returns:
        The point's name, and what was counted.

    Raises:
        DatabaseError: it cannot be asked, or there was no such moment.
    """
    for attempt in range(ATTEMPTS):
        point = f"{mark}_{attempt}"
        answer = database.script(name, _marking(point), timeout)
        if answer:
            return point, Census.parse(answer)
    raise DatabaseError(
        f"there was no moment without a commit among {ATTEMPTS}; try again when less is written"
    )


def _marking(point: str) -> str:
    return f"""SELECT pg_current_snapshot() AS before, {_BUSY} AS busy \\gset
SELECT pg_create_restore_point({literal(point)}) AS lsn \\gset
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT pg_current_snapshot() AS behind, {_BUSY} AS still \\gset
SELECT :'before' = :'behind' AND :busy = 0 AND :still = 0 AS quiet \\gset
\\if :quiet
{_COUNTS}
\\endif
COMMIT;
"""
