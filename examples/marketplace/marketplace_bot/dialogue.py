"""The bot's conversations (aiogram FSM) in Redis, written only after the database has committed.

PostgreSQL and Redis can't commit together, so the order decides what a redelivered update finds:

1. While an update is handled, writes to its dialogue are kept in memory (`collect`).
2. The transaction stores them in `handled_updates` with the effect, and commits.
3. Only then they go to Redis, and only then the update is answered 200.

Killed before 2: nothing happened, Redis still has the old step, the redelivered update starts over. Killed between
2 and 3: the redelivered update is known, its stored writes are applied again, nothing else happens. Telegram holds
back a chat's next message until the answer, so that message finds the new step. A copy of an old update that arrives
late must not turn a dialogue back: each write carries its update_id, and Redis refuses one older than it has.

Redis may lose the last minutes (RDB): a conversation is forgotten then, never an effect; the user types /sell again.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from aiogram.fsm.state import State
from aiogram.fsm.storage.base import BaseStorage, StateType, StorageKey
from redis.asyncio import Redis

TTL_SECONDS = 24 * 3600

# KEYS[1] dialogue; ARGV: update_id, state, data, seconds to live. The empty state stays as a tombstone with its id.
_WRITE_IF_NEWER = """
local seen = redis.call('HGET', KEYS[1], 'update_id')
if seen and tonumber(seen) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'update_id', ARGV[1], 'state', ARGV[2], 'data', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""


@dataclass
class _Step:
    state: str | None
    data: dict[str, Any]


@dataclass
class Changes:
    """The dialogues one update has touched, by Redis key."""

    steps: dict[str, _Step] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)

    def to_rows(self) -> list[dict[str, Any]]:
        """What to store beside the effect; empty when the update changed no dialogue."""
        return [
            {"key": key, "state": self.steps[key].state, "data": self.steps[key].data}
            for key in sorted(self.written)
        ]


_current: ContextVar[Changes] = ContextVar("dialogue_changes")


class Dialogues(BaseStorage):
    """aiogram's storage. Reads go to Redis; writes stay in the update's own `Changes` until `apply`."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._write = redis.register_script(_WRITE_IF_NEWER)

    @contextmanager
    def collect(self) -> Iterator[Changes]:
        """Gather the writes of the update handled inside."""
        changes = Changes()
        token = _current.set(changes)
        try:
            yield changes
        finally:
            _current.reset(token)

    async def apply(self, update_id: int, rows: list[dict[str, Any]]) -> None:
        """Put committed writes into Redis. Safe to repeat. Raises RedisError while Redis is away."""
        for row in rows:
            await self._write(
                keys=[row["key"]],
                args=[update_id, row["state"] or "", json.dumps(row["data"]), TTL_SECONDS],
            )

    async def _step(self, key: StorageKey) -> tuple[str, _Step]:
        name = f"dialogue:{key.bot_id}:{key.chat_id}:{key.user_id}"
        steps = _current.get().steps
        if name not in steps:
            state, data = await self._redis.hmget(name, ["state", "data"])
            steps[name] = _Step(str(state) if state else None, json.loads(data) if data else {})
        return name, steps[name]

    async def get_state(self, key: StorageKey) -> str | None:
        return (await self._step(key))[1].state

    async def get_data(self, key: StorageKey) -> dict[str, Any]:
        return dict((await self._step(key))[1].data)

    async def set_state(self, key: StorageKey, state: StateType = None) -> None:
        name, step = await self._step(key)
        step.state = state.state if isinstance(state, State) else state
        _current.get().written.add(name)

    async def set_data(self, key: StorageKey, data: Mapping[str, Any]) -> None:
        name, step = await self._step(key)
        step.data = dict(data)
        _current.get().written.add(name)

    async def close(self) -> None:
        """The Redis client belongs to the server, which closes it."""
