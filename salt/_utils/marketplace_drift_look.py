"""One look for drift: what the states would change, and what no state owns and has come or gone. Changes nothing."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from marketplace_drift import Difference, read
from marketplace_drift_record import FAILS, document, write
from marketplace_durable import make_directory, read_json, to_json, write_atomic
from marketplace_inventory import KINDS, compare
from marketplace_inventory_look import TROUBLE, other_images, packaged, take
from marketplace_lock import Lock
from marketplace_pending import RESTART, subjects
from marketplace_undisturbed import ADVICE, busy
from marketplace_world import World

# Where the states are, when the droplet is converged by itself. One that is converged over salt-ssh has none.
STATES = Path("srv/deploy/salt/top.sls")
FROM_AFAR = (
    "the states are not on this droplet, for it is converged from elsewhere: there, salt-ssh ID state.apply test=True "
    "says what they would change"
)
_LOOK_SECONDS = 2.0
# A look in the middle of which somebody applied states or began a release is made again.
_ATTEMPTS = 3


class Disturbed(Exception):
    """There is no quiet moment for a look; the message says who is at work."""


class DriftLook:
    """Looks for drift.

    Args:
        world: the droplet.
        apply: ``state.apply test=True``, whatever it answers.
        applying: what runs that applies states, in words; empty where nothing does.
    """

    def __init__(self, world: World, apply: Callable[[], Any], applying: Callable[[], str]) -> None:
        self.world, self._apply, self._applying = world, apply, applying
        self.lock = Lock(world.paths.drift_lock, "drift", "see what it finds: salt-call health.drift")

    def look(self, settings: dict[str, Any], by: str, wait: float) -> dict[str, Any]:
        """Look, and keep what was found.

        Args:
            settings: the effective settings; by: who asks.
            wait: seconds to wait for releases, backups, jobs and other runs of states to end.

        Raises:
            Disturbed: they have not ended by then.
            LockHeld: somebody else looks.
        """
        end = time.monotonic() + wait
        with self.lock.held(by, "a look for drift", wait):
            for _ in range(_ATTEMPTS):
                self._quiet(end)
                before = self._mark()
                found = self._look(settings)
                if not self._disturbance() and self._mark() == before:
                    write(self.world.paths.drift, found)
                    return found
        why = self._disturbance() or "states or a release, over by now"
        raise Disturbed(f"something changed the droplet whenever it was looked at: {why}")

    def accept(self, by: str) -> list[str]:
        """Take what no state owns for right as it is now; what is no drift any more by that, in words.

        Raises:
            LockHeld: somebody looks just now.
        """
        with self.lock.held(by, "accepting what has changed"):
            paths = self.world.paths
            now, _ = take(self.world)
            gone = self._foreign(now, frozenset())
            write_inventory(self.world, {**(read_json(paths.inventory) or {}), **now})
            kept = read_json(paths.drift)
            if kept is not None:
                left = [row for row in kept["differences"] if row["state"] not in KINDS]
                write(paths.drift, kept | {"differences": left})
        return [f"{one.state} {one.name} {one.words}" for one in gone]

    def _look(self, settings: dict[str, Any]) -> dict[str, Any]:
        begun = time.monotonic()
        afar = not (self.world.paths.root / STATES).exists()
        answer = read([] if afar else self._apply(), self.world.scrubbed)
        trouble = [f"{FAILS}: {answer.trouble}"] if answer.trouble and not afar else []
        images = self._images(settings, trouble)
        now, unseen = take(self.world)
        found = document(
            read_json(self.world.paths.drift),
            [*answer.differences, *images, *self._foreign(now, answer.known)],
            answer.pending,
            [self.world.scrubbed(words) for words in [*trouble, *unseen]],
            self.world.clock.now(),
            time.monotonic() - begun,
        )
        return found | {"note": FROM_AFAR if afar else ""}

    def _foreign(self, now: dict[str, dict[str, str]], known: frozenset[str]) -> list[Difference]:
        """What no state owns and is not as it was taken for right. What was never looked at before is."""
        paths = self.world.paths
        before = read_json(paths.inventory) or {}
        if now.keys() - before.keys():
            before = {**now, **before}
            write_inventory(self.world, before)
        known |= set((read_json(paths.applied) or {}).get("names", ()))
        found = compare(before, now, known)
        owners = packaged(one.name for one in found if one.state == "file")
        return [one for one in found if one.name not in owners]

    def _images(self, settings: dict[str, Any], trouble: list[str]) -> list[Difference]:
        try:
            found = other_images(self.world, settings, subjects(self.world.paths.pending, RESTART))
        except TROUBLE as error:
            trouble.append(f"images of containers: {error}")
            return []
        return [
            Difference("image", name, words, owned=False, remedy=_remedy(name))
            for name, words in found.items()
        ]

    def _quiet(self, end: float) -> None:
        while why := self._disturbance():
            if time.monotonic() >= end:
                raise Disturbed(why)
            time.sleep(_LOOK_SECONDS)

    def _disturbance(self) -> str:
        return self._applying() or busy(self.world.paths) or self._rotating()

    def _rotating(self) -> str:
        """In the middle of it some states are applied, and others not yet."""
        held = Lock(self.world.paths.rotation_lock, "rotation", ADVICE).refusal()
        return "" if held is None else str(held)

    def _mark(self) -> tuple[Any, ...]:
        """Changes with whatever a run of states or a release leaves behind."""
        files = (self.world.paths.applied, self.world.paths.live_map, self.world.paths.settings)
        return tuple(file.stat().st_mtime_ns if file.exists() else None for file in files)


def write_inventory(world: World, found: Any) -> None:
    """Take ``found`` for right from now on."""
    make_directory(world.paths.inventory.parent)
    write_atomic(world.paths.inventory, to_json(found), 0o600)


def _remedy(name: str) -> str:
    if name in ("postgres", "redis"):
        return f"docker rm --force {name}, then salt-call state.apply"
    return "salt-call deploy.release of the version that is live, or of another"
