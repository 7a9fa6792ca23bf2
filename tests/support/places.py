"""Every place at which a release or a rollback can be killed, from the engine's own list of steps; and a way there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from marketplace_steps import STEP_NAMES

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import Answer
from tests.support.droplet.site import Site
from tests.support.load.state import sql
from tests.support.worker import WORKER

HOOK = '["python3", "-c", "pass"]'
VERSIONS = ("1.2.3", "1.2.4")
"""With a worker, and with hooks before and after: their releases have every step that is not for special cases."""
BEFORE_WORKER = "1.1.1"
IN_MAINTENANCE = ("maintenance", "restore-point", "open")
"""Steps of a release in maintenance alone."""
LOSSY = ("dump",)
"""Steps before what nothing brings back: the simulation kills there."""
GOING_BACK = ("downgrade",)
"""Steps of a rollback across a migration alone."""


@dataclass(frozen=True)
class Way:
    """How a release is begun that comes by a place: ``act`` begins it, ``version`` would be live, ``before`` is."""

    act: Callable[[Droplet], Answer]
    version: str
    before: str


def places(kind: str) -> list[str]:
    """Start and end of each step that a ``release`` or ``rollback`` can have."""
    left_out = LOSSY if kind == "rollback" else (*LOSSY, *GOING_BACK)
    steps = [name for name in STEP_NAMES if name not in left_out]
    return [f"{step}:{when}" for step in steps for when in ("start", "end")]


def build(site: Site) -> None:
    """Have the versions in the site's registry."""
    site.backend(BEFORE_WORKER)
    for version in VERSIONS:
        site.backend(version, WORKER=WORKER, BEFORE=HOOK, AFTER=HOOK)


def prepare(droplet: Droplet) -> None:
    """Both versions, and one from before the last migration, were live once, so that one can go back to each."""
    for version in (BEFORE_WORKER, *VERSIONS):
        if not release_of(droplet, version):
            shipping.shipped(shipping.release(droplet, version, "soak=0"))
    if shipping.status(droplet)["live"]["version"] not in VERSIONS:
        shipping.shipped(shipping.release(droplet, VERSIONS[0], "soak=0"))


def release_of(droplet: Droplet, version: str) -> str | None:
    """The newest release in which ``version`` became live, in the colours' own order; None if it never was."""
    lives = (record for record in shipping.history(droplet) if record["outcome"] == "live")
    found = next(
        (record for record in lives if record["version"] == version and record["kind"] == "release"), None
    )
    return None if found is None else str(found["release"])


def way(droplet: Droplet, kind: str, place: str) -> Way:
    """A release or rollback that comes by ``place``, from whichever of the two versions is live."""
    step = place.partition(":")[0]
    before = str(shipping.status(droplet)["live"]["version"])
    if step in GOING_BACK:
        return _way_back_across_a_migration(droplet, before)
    version = VERSIONS[1] if before == VERSIONS[0] else VERSIONS[0]
    # Going back needs no pending migration for a restore point to be asked for: the step is there all the same.
    more = ["maintenance=True"] if step in IN_MAINTENANCE else []
    if kind == "release":
        return Way(lambda droplet: shipping.release(droplet, version, "soak=2", *more), version, before)
    target = release_of(droplet, version) or ""
    return Way(lambda droplet: shipping.rollback(droplet, target, "soak=2", *more), version, before)


def _way_back_across_a_migration(droplet: Droplet, before: str) -> Way:
    """To the version before the worker, whose schema lacks what the worker needs."""
    lives = [record for record in shipping.history(droplet) if record["outcome"] == "live"]
    old = next(
        record for record in lives if record["schema"]["after"] == ["0002"] and record["kind"] == "release"
    )
    assert sql(droplet, "SELECT version_num FROM alembic_version") == "0003"
    target = str(old["release"])
    return Way(lambda droplet: shipping.rollback(droplet, target, "soak=2"), str(old["version"]), before)
