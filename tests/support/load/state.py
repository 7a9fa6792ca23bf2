"""What a droplet has of a run of the load: asked of PostgreSQL and Redis themselves, past the application."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

from tests.support.droplet.machine import Machine

from .effects import Found, Item

SECRETS = "/etc/marketplace/secrets"
PSQL = (
    "docker",
    "exec",
    "-i",
    "postgres",
    "psql",
    "-U",
    "postgres",
    "-d",
    "marketplace",
    "-qAt",
    "-v",
    "ON_ERROR_STOP=1",
)


def secret_of(droplet: Machine, name: str) -> str:
    """A secret of the droplet, by its name in docs/settings.md."""
    return droplet.get(f"{SECRETS}/{name}").decode().strip()


def webhook_path(droplet: Machine) -> str:
    """The path that Telegram posts updates to, with the part that nobody can guess."""
    return f"/telegram/webhook/{secret_of(droplet, 'webhook_path')}"


def sql(droplet: Machine, query: str) -> str:
    """What a query prints, unaligned, without headings. ``query`` is sent on standard input, however long it is."""
    return droplet.run(PSQL, stdin=query).stdout.strip()


@dataclasses.dataclass(frozen=True)
class Stores:
    """How PostgreSQL and Redis are asked, wherever they are: each takes a script, and gives what it prints."""

    database: Callable[[str], str]
    cache: Callable[[str], str]

    @classmethod
    def of(cls, droplet: Machine) -> Stores:
        """Those in containers on the droplet."""

        def cache(script: str) -> str:
            password = secret_of(droplet, "redis_operator_password")
            tool = [
                "docker",
                "exec",
                "-i",
                "redis",
                "redis-cli",
                "--tls",
                "--insecure",
                "-p",
                "6380",
                "--json",
            ]
            # The password goes through standard input: arguments can be read by everybody.
            return droplet.run(tool, stdin=f"AUTH operator {password}\n{script}").stdout

        return cls(lambda script: sql(droplet, script), cache)


def state(droplet: Machine, run: str, chats: range, updates: range, stores: Stores | None = None) -> Found:
    """Everything that the droplet has of a run.

    Args:
        run: its mark on what it listed.
        chats: its users.
        updates: the range that its updates' ids are from.
        stores: where the data are; on the droplet by default.
    """
    asked = stores or Stores.of(droplet)
    query = f"""
        SELECT json_build_object(
            'handled', (SELECT coalesce(json_agg(update_id), '[]') FROM handled_updates
                WHERE update_id >= {updates.start} AND update_id < {updates.stop}),
            'users', (SELECT coalesce(json_agg(id), '[]') FROM users
                WHERE id >= {chats.start} AND id < {chats.stop}),
            'items', (SELECT coalesce(json_agg(json_build_array(id, title, seller_id, buyer_id)), '[]')
                FROM listings WHERE seller_id >= {chats.start} AND seller_id < {chats.stop}));
    """
    found = json.loads(asked.database(query))
    return Found(
        handled=found["handled"],
        users=found["users"],
        items=[Item(*row) for row in found["items"]],
        dialogues=dialogues(droplet, chats, asked),
    )


def dialogues(
    droplet: Machine, chats: range, stores: Stores | None = None
) -> dict[int, tuple[int, str, str]]:
    """By chat: the dialogue in Redis, as (update that wrote it, state, data)."""
    bot = secret_of(droplet, "telegram_token").partition(":")[0]
    script = "".join(f"HMGET dialogue:{bot}:{chat}:{chat} update_id state data\n" for chat in chats)
    answer = (stores or Stores.of(droplet)).cache(script)
    rows = [json.loads(line) for line in answer.splitlines() if line.startswith("[")]
    if len(rows) != len(chats):
        raise AssertionError(f"Redis does not answer as expected: {answer[:500]}")
    return {
        chat: (int(update_id), str(step or ""), str(data or ""))
        for chat, (update_id, step, data) in zip(chats, rows, strict=True)
        if update_id is not None
    }
