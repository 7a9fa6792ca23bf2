"""This deployment is taken off its host: whether that may begin, its containers, and what is said of what stays."""

import re
import time
from pathlib import Path
from typing import Any

from marketplace_backup_status import judge
from marketplace_backup_world import BackupWorld
from marketplace_backups import KINDS
from marketplace_container import DockerError
from marketplace_durable import make_directory, read_json, write_atomic
from marketplace_inventory_look import containers as others
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_removal import engine_is_needed, left, unconfirmed
from marketplace_undisturbed import busy
from marketplace_world import World
from salt.utils.path import which

__virtualname__ = "removal"

# A purge that was cut off may have left the client without it.
_ENGINE = "dockerd"
_NAMELESS = re.compile(r"[0-9a-f]{64}")

# Seconds; what is at work for longer is waited for by whoever comes again.
PATIENCE = 10.0


def __virtual__() -> str:
    return __virtualname__


def allowed(name: str, confirmed: str = "") -> dict[str, Any]:
    """Fail where this deployment must not be removed now; put it first, with ``failhard: True``.

    Nobody has said which droplet is meant; a release, a backup, a restore, a job or a rotation is at work or was
    interrupted; others use the container engine; it is not known what was there before. Backups that can't be relied
    on are warned of: the data stay.

    Args:
        name: a sentence.
        confirmed: the minion id, as somebody has typed it. Nothing will do under test=True.
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": "Nothing is in the way"}
    paths = _paths()
    reason = unconfirmed(__opts__["id"], confirmed, bool(__opts__["test"])) or _in_the_way(paths)
    if reason:
        return ret | {"result": False, "comment": reason[0].upper() + reason[1:]}
    world = BackupWorld.of(paths)
    try:
        found = world.catalogue.all()
        newest = {
            kind: next((backup for backup in found if backup.kind == kind and backup.good), None)
            for kind in KINDS
        }
        wrong = judge(
            newest, None, [words for backup in found for words in backup.problems], world.clock.now()
        )
    except (OSError, ValueError) as error:
        wrong = [str(error)]
    # Nobody is warned of backups that nobody can take any more.
    return ret | {"warnings": wrong} if wrong and not paths.removed.exists() else ret


def _in_the_way(paths: Paths) -> str | None:
    for lock, what in ((paths.rotation_lock, "rotation"), (paths.rebuild_lock, "rebuild")):
        owner = Lock(lock).holder()
        if owner is not None:
            return f"a {what} by {owner.get('by', 'unknown')} is at work: try again when that is over"
    if paths.rotation.exists():
        return "secrets are being replaced: settings.rotate goes on with it"
    try:
        before = read_json(paths.before)
        if before is None and not paths.removed.exists():
            return (
                "it is not known what was here before this deployment: salt-call state.apply once, with the tree as it "
                "is now, and then this"
            )
        if not which(_ENGINE):
            return None
        world = World.of(paths)
        # Those without a name are made for a container, and go with it.
        listed = world.docker.run("volume", "ls", "--format={{.Name}}").stdout.split()
        volumes = [f"volume {volume}" for volume in listed if not _NAMELESS.fullmatch(volume)]
        return engine_is_needed((before or {}).get("packages"), [*others(world), *volumes]) or _busy(paths)
    except (DockerError, ValueError) as error:
        return str(error)


def _busy(paths: Paths) -> str | None:
    """What is at work, and does not end at once: once a minute somebody looks after jobs, for a moment."""
    end = time.monotonic() + PATIENCE
    while (why := busy(paths)) is not None and time.monotonic() < end:
        time.sleep(0.2)
    return why


def contained(name: str, networks: list[str]) -> dict[str, Any]:
    """Ensure that no containers and networks of this deployment are left. Their data are not in them.

    Args:
        name: a sentence.
        networks: this deployment's.
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": "There are none"}
    if not which(_ENGINE):
        return ret
    world = World.of(_paths())
    try:
        found = _found(world, networks)
        if not any(found.values()):
            return ret
        changes = {f"{kind} {one}": {"old": "there", "new": None} for kind in found for one in found[kind]}
        if __opts__["test"]:
            return ret | {"result": None, "changes": changes, "comment": "They would be removed"}
        world.docker.remove(*found["container"])
        for network in found["network"]:
            world.docker.run("network", "rm", network)
        left_over = _found(world, networks)
    except DockerError as error:
        return ret | {"result": False, "comment": str(error)}
    if any(left_over.values()):
        return ret | {"result": False, "changes": changes, "comment": f"Still there: {left_over}"}
    return ret | {"changes": changes, "comment": "They were removed"}


def _found(world: World, networks: list[str]) -> dict[str, list[str]]:
    foreign = others(world)
    names = world.docker.run("ps", "--all", "--format={{.Names}}").stdout.split()
    known = world.docker.run("network", "ls", "--format={{.Name}}").stdout.split()
    return {
        "container": sorted(name for name in names if name not in foreign),
        "network": sorted(set(known).intersection(networks)),
    }


def told(name: str) -> dict[str, Any]:
    """Write down what is left, where it is and how it is read; put it last, with everything required.

    What was before is not known any more from here on: whoever converges this host again may find another one.

    Args:
        name: a sentence.
    """
    paths = _paths()
    text = left(__pillar__["settings"], __opts__["id"])
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": text}
    there = paths.removed.read_text() if paths.removed.exists() else None
    changes: dict[str, Any] = {}
    if there != text:
        changes[str(paths.removed)] = {"old": there and "another text", "new": "says what is left"}
    if paths.before.exists():
        changes[str(paths.before)] = {"old": "what was here before", "new": None}
    if not changes:
        return ret
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes}
    make_directory(paths.removed.parent)
    write_atomic(paths.removed, text, 0o600)
    paths.before.unlink(missing_ok=True)
    return ret | {"changes": changes}


def _paths() -> Paths:
    return Paths(Path(__opts__.get("marketplace_root", "/")))
