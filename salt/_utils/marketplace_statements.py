"""How long the bot's queries took, by what PostgreSQL counts of each statement (pg_stat_statements).

It keeps number, sum and deviation, and no durations. So a distribution is a guess: of many statements that differ, a
good one; of one statement that is mostly fast and sometimes slow, a rough one.
"""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from marketplace_database import Database
from marketplace_histogram import guessed, guessed_above
from marketplace_postgres import literal

# Where the extension is: in no database that is backed up or restored.
DATABASE = "postgres"
# Whoever watches does not wait for a PostgreSQL that hangs.
_SECONDS = 10.0


class Statement(NamedTuple):
    """What was counted of one statement since its counts began: how often, milliseconds in all, and their squares."""

    calls: float
    total: float
    squares: float


def read(database: Database, role: str) -> dict[str, Statement] | None:
    """What is counted of every statement of ``role`` by now; None where nothing is.

    Raises:
        DatabaseError: PostgreSQL is not there to be asked.
    """
    said: list[list[Any]] | None = json.loads(database.script(DATABASE, question(role), _SECONDS))
    if said is None:
        return None
    return {
        str(name): Statement(calls, total, calls * ((total / calls) ** 2 + deviation**2))
        for name, calls, total, deviation in said
    }


def question(role: str) -> str:
    """A psql script that prints one JSON document: null where the extension is not there."""
    return f"""SELECT count(*) > 0 AS there FROM pg_extension WHERE extname = 'pg_stat_statements' \\gset
\\if :there
SELECT coalesce(json_agg(json_build_array(concat_ws('/', dbid, queryid, toplevel), calls, total_exec_time,
  stddev_exec_time)), '[]') FROM pg_stat_statements WHERE calls > 0
  AND userid = (SELECT oid FROM pg_roles WHERE rolname = {literal(role)});
\\else
SELECT 'null';
\\endif
"""  # noqa: S608


def since(before: Mapping[str, Statement], after: Mapping[str, Statement]) -> list[Statement]:
    """What came in between. A statement whose counts fell was begun anew."""
    found = []
    for name, now in after.items():
        known = before.get(name, Statement(0, 0, 0))
        if now.calls < known.calls:
            known = Statement(0, 0, 0)
        if now.calls > known.calls:
            found.append(Statement(*(new - old for new, old in zip(now, known, strict=True))))
    return found


def summed(statements: Iterable[Statement], limit: float) -> dict[str, Any]:
    """How many queries there were, and how long they may have taken.

    Args:
        limit: milliseconds.

    Returns:
        ``count``; ``slow``, how many took longer than the limit; ``milliseconds``, a histogram.
    """
    count, slow, buckets = 0.0, 0.0, dict[int, float]()
    for statement in statements:
        mean = statement.total / statement.calls
        deviation = math.sqrt(max(0.0, statement.squares / statement.calls - mean**2))
        count += statement.calls
        slow += guessed_above(limit, statement.calls, mean, deviation)
        for index, part in guessed(statement.calls, mean, deviation).items():
            buckets[index] = buckets.get(index, 0.0) + part
    return {"count": count, "slow": slow, "milliseconds": buckets}
