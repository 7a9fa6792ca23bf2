"""What PostgreSQL and Redis say of themselves: the edge's checks end at the prompt, and know no figures.

A query and an INFO; whether that impairs them is judged by pure rules.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from marketplace_database import DatabaseError
from marketplace_receiver import RECEPTION
from marketplace_redis import RedisError, reach
from marketplace_secrets import Store, UnknownSecret
from marketplace_units import format_size
from marketplace_world import World

# From these shares on somebody has to hear of it.
CONNECTION_SHARE, MEMORY_SHARE = 0.9, 0.95
# Whoever looks does not wait for a service that hangs.
_SECONDS = 10.0
# Those that are kept for superusers nobody else can have; who asks is one of them.
_QUESTION = f"""SELECT json_build_object(
  'used', (SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
  'limit', current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - current_setting('reserved_connections')::int,
  'receiver', ({RECEPTION})::json)"""  # noqa: S608


@dataclass(frozen=True)
class Told:
    """What a service has said: facts, and what impairs it by them, in words; None where nothing does."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


def postgres(world: World, settings: Mapping[str, Any]) -> Told:
    """Ask the application's database a real query.

    As the superuser by the server's own socket: where all connections are taken, it alone still gets one.
    """
    try:
        said = json.loads(world.database.ask(settings["postgres"]["database"], _QUESTION, timeout=_SECONDS))
    except (DatabaseError, ValueError) as error:
        return Told(problem=f"it answers no query: {error}")
    return judged_postgres(said)


def judged_postgres(said: Mapping[str, Any]) -> Told:
    """What PostgreSQL's answer means. How the log is received, the backups are judged by."""
    used, limit = said["used"], said["limit"]
    facts = {"connections": {"used": used, "limit": limit}, "receiver": _receiver(said["receiver"])}
    if used >= CONNECTION_SHARE * limit:
        return Told(facts, f"it has {used} of {limit} connections: whoever comes next is turned away")
    return Told(facts)


def _receiver(slot: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Whether the log is received, and how many bytes are not yet; None where there is no receiver."""
    return None if slot is None else {"active": bool(slot["active"]), "behind": slot["behind"]}


def redis(world: World, settings: Mapping[str, Any]) -> Told:
    """Ask Redis, as the user that only reads statistics."""
    where = settings["redis"]
    try:
        login = (where["users"]["monitoring"], Store(world.paths.secrets).read("redis_monitoring_password"))
        server = (where["address"], where["port"], where["plain_port"])
    except (KeyError, UnknownSecret):  # An older tree converged this droplet: nobody may ask yet.
        return Told()
    try:
        with reach(*server, login, world.paths.trusted) as connection:
            said = str(connection.command("INFO"))
        return judged_redis(dict(line.split(":", 1) for line in said.splitlines() if ":" in line))
    except (RedisError, OSError, KeyError, ValueError) as error:
        return Told(problem=f"it does not say how it is: {error}")


def judged_redis(info: Mapping[str, str]) -> Told:
    """What Redis's INFO means."""
    saved = info.get("rdb_last_bgsave_status") == "ok"
    at = datetime.fromtimestamp(int(info["rdb_last_save_time"]), UTC).isoformat(timespec="seconds")
    used, limit = int(info["used_memory"]), int(info["maxmemory"])
    facts = {"saved": {"at": at, "ok": saved}, "dataset": {"used": used, "limit": limit or None}}
    words = []
    if not saved:
        words.append(
            f"its last save failed (the last good one: {at}): it takes no writes until one succeeds; "
            "deploy.logs service=redis says why"
        )
    if limit and used >= MEMORY_SHARE * limit:
        words.append(
            f"its data take {format_size(used)} of {format_size(limit)}: when those are full, it takes no writes"
        )
    return Told(facts, "; ".join(words) or None)
