"""What has to be so behind all other states: only root changes what they wrote, and what was applied is on record."""

import os
import stat
import time
from pathlib import Path
from typing import Any

from marketplace_applied import fingerprint, pillar_digest, waits
from marketplace_drift import CLEARED
from marketplace_drift_look import write_inventory
from marketplace_drift_record import put_right, write
from marketplace_durable import make_directory, read_json, to_json, write_atomic
from marketplace_inventory import adopted
from marketplace_inventory_look import take
from marketplace_paths import Paths
from marketplace_tree import revision
from marketplace_world import World

# Seconds in which somebody tries again what has failed.
_GOES_ON = 3600.0
_WRITERS = ("file.managed", "file.serialize")
_TREE = "drift.tree"
ROOT = (0, 0)


def protected(name: str) -> dict[str, Any]:
    """Ensure that nobody but root can change the files that this run's states look after.

    Of a file whose owner, group or mode its own state decides, that is left to it.

    Args:
        name: a sentence.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "Only root can change them",
    }
    written = {Path(str(chunk.get("name"))) for chunk in __lowstate__ if _is_free(chunk)}
    # Whoever may write to a directory can put another file in one's place.
    files = sorted(str(path) for path in written | {path.parent for path in written})
    changes = {file: change for file in files if (change := _change(Path(file)))}
    if not changes:
        return ret
    if __opts__["test"]:
        return ret | {
            "result": None,
            "changes": changes,
            "comment": f"Would be protected: {', '.join(changes)}",
        }
    for file in changes:
        os.chown(file, *ROOT)
        Path(file).chmod(stat.S_IMODE(Path(file).stat().st_mode) & ~0o022)
    remaining = [file for file in changes if _change(Path(file))]
    if remaining:
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"These do not stay so: {', '.join(remaining)}",
        }
    return ret | {"changes": changes, "comment": f"Protected: {', '.join(changes)}"}


def noted(name: str) -> dict[str, Any]:
    """Ensure it is known what no state owns before a run that applies another tree or pillar.

    What that run brings (an account of a package, a role of the database) is its own doing, and no drift. Nothing that
    a state looks after is changed, so there are no changes.

    Args:
        name: a sentence.
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": "Nothing new is applied"}
    paths = _paths()
    try:
        if not paths.inventory.exists() or not waits(read_json(paths.applied), _now(paths)):
            # One that failed, and that nobody goes on with, explains nothing any more.
            if not __opts__["test"]:
                paths.inventory_before.unlink(missing_ok=True)
            return ret
    except ValueError as error:
        return ret | {"comment": f"{error}: the run's last state says what to do"}
    ret["comment"] = "What this run brings with it is told from what others do"
    if __opts__["test"] or _is_fresh(paths.inventory_before):
        return ret
    before, _ = take(World.of(paths))
    write_atomic(paths.inventory_before, to_json(before), 0o600)
    return ret


def settled(name: str, whole: list[str]) -> dict[str, Any]:
    """Ensure it is on record which tree and pillar were applied, where all of this run's states went well.

    What no state owns is taken for right as it is the first time. Under test=True the changes say what waits to be
    applied. What a look for drift has found and this run has put right is no drift any more, and neither is what this
    run has brought with it.

    Args:
        name: a sentence.
        whole: SLS that are part of a run of everything; a run without them proves little, and is not recorded.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "What was applied is on record",
    }
    paths = _paths()
    there = {chunk.get("__sls__") for chunk in __lowstate__}
    if not there.issuperset(whole):
        return ret | {"comment": "Not everything is applied by this run, so nothing is recorded"}
    failed = [row.get("__id__") for row in __running__.values() if row.get("result") is False]
    if failed:
        return ret | {"comment": f"Nothing is recorded, for {failed[0]} failed"}
    now = _now(paths)
    try:
        before = read_json(paths.applied)
        changes: dict[str, Any] = waits(before, now)
        drift = read_json(paths.drift)
        if not paths.inventory.exists():
            changes["inventory"] = "what no state owns has not been taken for right yet"
    except ValueError as error:
        return ret | {"result": False, "comment": f"{error}: remove it, and apply again"}
    better = put_right(drift) if drift else None
    if better is not None:
        changes[CLEARED] = "put right"
    if __opts__["test"]:
        would = {"result": None, "changes": changes, "comment": "; ".join(changes.values())}
        return ret | (would if changes else {})
    world = World.of(paths)
    if "inventory" in changes:
        write_inventory(world, take(world)[0])
    brought = _adopt(world)
    if changes:
        make_directory(paths.applied.parent)
        write_atomic(paths.applied, to_json(now), 0o600)
    if better is not None:
        write(paths.drift, better)
    return ret | {"changes": changes, "comment": f"{ret['comment']}{brought}"}


def _adopt(world: World) -> str:
    """Take for right what this run has brought with it; in words, where there is something."""
    paths = world.paths
    try:
        before, right = read_json(paths.inventory_before), read_json(paths.inventory)
    except ValueError:  # Half written it is worth nothing: then what came shows as drift.
        before = right = None
    words: list[str] = []
    if before is not None and right is not None:
        found, words = adopted(right, before, take(world)[0])
        write_inventory(world, found)
    paths.inventory_before.unlink(missing_ok=True)
    return f". This run has brought with it: {'; '.join(words)}" if words else ""


def _is_fresh(file: Path) -> bool:
    """Whether a run that was just tried, and failed, has written it: this one goes on with it."""
    return file.exists() and 0 <= time.time() - file.stat().st_mtime < _GOES_ON


def _now(paths: Paths) -> dict[str, Any]:
    """What is being applied: the tree as it was when this run first looked."""
    names = sorted({str(chunk.get("name")) for chunk in __lowstate__})
    if _TREE not in __context__:
        __context__[_TREE] = _tree(paths)
    return {"tree": __context__[_TREE], "pillar": pillar_digest(__pillar__), "names": names}


def _paths() -> Paths:
    return Paths(Path(__opts__.get("marketplace_root", "/")))


def _is_free(chunk: Any) -> bool:
    called = f"{chunk.get('state')}.{chunk.get('fun')}" in _WRITERS
    return called and not any(key in chunk for key in ("user", "group", "mode"))


def _change(file: Path) -> dict[str, str] | None:
    """How a file's owner and mode differ from what they should be; None where they do not, or there is no file."""
    try:
        facts = file.stat()
    except OSError:
        return None
    wanted = stat.S_IMODE(facts.st_mode) & ~0o022
    if (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (*ROOT, wanted):
        return None
    found = f"{facts.st_uid}:{facts.st_gid} {stat.S_IMODE(facts.st_mode):04o}"
    return {"old": found, "new": f"{ROOT[0]}:{ROOT[1]} {wanted:04o}"}


def _tree(paths: Paths) -> str:
    """What says which tree is applied: its files, or where those are elsewhere (salt-ssh) its commit."""
    roots = [Path(root) for root in __opts__["file_roots"].get("base", [])]
    if (paths.root / "srv/deploy/salt/top.sls").exists():
        return fingerprint(roots)
    return revision(paths.root / "srv/deploy")
