"""What was on the host before any state wrote to it: kept, and put back where all of this is removed."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from marketplace_before import differences, keep, look, put_back, remove, written
from marketplace_dpkg import QUERY, statuses
from marketplace_durable import make_directory, read_json, to_json, write_atomic
from marketplace_inventory_look import installed_files
from marketplace_paths import Paths
from marketplace_volume import is_built

__virtualname__ = "before"

_UNITS = "/etc/systemd/"


def __virtual__() -> str:
    return __virtualname__


def kept(name: str, stays: list[str], trees: Iterable[str] = ()) -> dict[str, Any]:
    """Keep what is at the places that this run's states write to, and which packages are there. Put it first.

    What is kept already stays as it is. On a droplet that was converged before anything was kept, what is there now may
    be an earlier run's: then it is only known that nobody knows. A droplet that was taken back to what it was begins
    anew.

    Args:
        name: a sentence.
        stays: directories that no removal looks into.
        trees: directories of packages: it is kept which of them there are.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": "It is known what was here before",
    }
    paths = _paths()
    removed = paths.removed.exists()
    record = None if removed else read_json(paths.before)
    fresh = (
        removed or not is_built(paths.state / "volumes") if record is None else record["packages"] is not None
    )
    known = {} if record is None else record["places"]
    places = {path: whole for path, whole in written(__lowstate__, stays).items() if path not in known}
    changes: dict[str, Any] = dict.fromkeys(places, "is kept as it is")
    if record is None:
        changes["packages"] = "is kept which there are" if fresh else "nobody knows which were there before"
    if removed:
        changes[str(paths.removed)] = "is out of date"
    if not changes:
        return ret
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": "It would be kept what was here before"}
    packages = _installed() if fresh else None
    there = [tree for tree in trees if look(Path(tree), whole=False) is not None] if fresh else []
    now = {"packages": packages, "trees": there} if record is None else record
    make_directory(paths.state)
    write_atomic(paths.before, to_json({**now, "places": keep(places, paths.root, fresh) | known}), 0o600)
    paths.removed.unlink(missing_ok=True)
    return ret | {"changes": changes}


def restored(
    name: str,
    trees: Mapping[str, str] | None = None,
    packaged: Mapping[str, str] | None = None,
    below: str = "/",
    package: str = "",
) -> dict[str, Any]:
    """Put back what was at the places that states have written to, and remove directories that are theirs alone.

    Args:
        name: a sentence.
        trees: directories and files that go, as ``{path: ""}``.
        packaged: directory -> package: one goes where that is not installed, and neither was there before.
        below: only what is below this directory is put back.
        package: nothing is put back where this one is not installed, or was not before.
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": "All is as it was before"}
    paths = _paths()
    trees = {**(trees or {}), **(packaged or {})}
    try:
        if package and not (
            package in _installed() and package in ((read_json(paths.before) or {}).get("packages") or ())
        ):
            return ret | {"comment": f"{package} is not installed, or was not before"}
        changes = _changes(paths, trees, below)
        if not changes:
            return ret
        if __opts__["test"]:
            return ret | {"result": None, "changes": changes, "comment": "Would be as it was before"}
        places = (read_json(paths.before) or {"places": {}})["places"]
        for path in changes:
            if path in trees:
                remove(Path(path))
            else:
                before = places[path]
                put_back(
                    paths.root / path.lstrip("/"), before if before and before["kind"] != "unknown" else None
                )
        left = _changes(paths, trees, below)
    except (OSError, ValueError) as error:
        return ret | {"result": False, "comment": str(error)}
    if any(path.startswith(_UNITS) for path in changes):
        __salt__["cmd.run_all"](["systemctl", "daemon-reload"], python_shell=False)
    if left:
        return ret | {"result": False, "changes": changes, "comment": f"Still there: {', '.join(left)}"}
    return ret | {"changes": changes}


def _changes(paths: Paths, trees: Mapping[str, str], below: str) -> dict[str, Any]:
    """Trees first: a directory that is emptied with them may then go as well."""
    installed = set(_installed()) if any(trees.values()) else set()
    record = read_json(paths.before)
    theirs = set((record or {}).get("trees", ()))
    changes: dict[str, Any] = {
        tree: {"old": "there", "new": None}
        for tree, package in trees.items()
        if package not in installed and tree not in theirs and _is_there(Path(tree))
    }
    if record is None:
        return changes
    unknown = [path for path, place in record["places"].items() if place and place["kind"] == "unknown"]
    wanted = {
        path: place
        for path, place in record["places"].items()
        if f"{path}/".startswith(f"{below.rstrip('/')}/")
        and not any(f"{path}/".startswith(f"{tree}/") for tree in changes)
    }
    return changes | differences(wanted, paths.root, installed_files(unknown, paths.root))


def _is_there(path: Path) -> bool:
    """A mount point can't go, but it can be empty."""
    if path.is_mount() and not path.is_symlink():
        return any(os.scandir(path))
    return look(path, whole=False) is not None


def _installed() -> list[str]:
    said = __salt__["cmd.run_all"](list(QUERY), python_shell=False)["stdout"]
    return sorted(package for package, status in statuses(said).items() if status == "installed")


def _paths() -> Paths:
    return Paths(Path(__opts__.get("marketplace_root", "/")))
