"""The effective settings on the droplet: the gate that every run goes through first."""

from pathlib import Path
from typing import Any

from marketplace_durable import digest, make_directory, read_json, to_json, write_atomic
from marketplace_edge import Edge
from marketplace_ledger import Ledger, LedgerError
from marketplace_lock import Lock
from marketplace_machine import look, shortfalls
from marketplace_managed import is_managed
from marketplace_moved import unlike
from marketplace_paths import Paths
from marketplace_provider import ProviderError, prove
from marketplace_settings import differences, said
from marketplace_settings_fields import public, value_at
from marketplace_settings_fixed import moved, refusal_text
from marketplace_settings_guard import GATE_MISSING, problems_text
from marketplace_settings_moving import changing, refusal, unproven, unreleased
from marketplace_tree import older
from marketplace_volume import is_built


def written(name: str) -> dict[str, Any]:
    """Make /etc/marketplace/settings.json say what pillar says, and stamp the droplet with its environment.

    Fails, in test mode as well, where the parser didn't run or found problems, where the droplet belongs to another
    environment, where this tree is older than the one that was applied last (``allow_older_tree`` in the run's pillar
    allows it), where pillar changes a setting that is fixed by now, and where the machine is smaller than pillar says.
    Put it first, with ``failhard: True``: nothing has changed by then.

    Args:
        name: a sentence.

    CLI Example:

    .. code-block:: bash

        salt-call state.single settings.written "Ensure the settings are written"
    """
    paths = Paths(Path(__opts__.get("marketplace_root", "/")))
    reason = _refusal(paths)
    if reason is not None:
        return {"name": name, "result": False, "changes": {}, "comment": reason[0].upper() + reason[1:]}
    settings = __pillar__["settings"]
    before = _read(paths.settings)
    stamp = _stamp(paths)
    changes: dict[str, Any] = {}
    if before != settings:
        changes["settings"] = "created" if before is None else _compared(before, settings)
    if stamp is None:
        changes["environment"] = {"old": None, "new": settings["environment"]}
    applied, tree = _read(paths.tree), _tree()
    if tree and tree != applied:
        changes["tree"] = {"old": (applied or {}).get("revision"), "new": tree["revision"]}
    if not changes:
        return {"name": name, "result": True, "changes": {}, "comment": f"{paths.settings} is up to date"}
    if __opts__["test"]:
        return {
            "name": name,
            "result": None,
            "changes": changes,
            "comment": f"{paths.settings} would be written",
        }
    make_directory(paths.etc)
    if stamp is None:
        write_atomic(paths.environment, settings["environment"] + "\n")
    if "tree" in changes:
        write_atomic(paths.tree, to_json(tree))
    write_atomic(paths.settings, to_json(settings))
    if _read(paths.settings) != settings:
        comment = f"{paths.settings} does not hold what was written to it"
        return {"name": name, "result": False, "changes": {}, "comment": comment}
    return {"name": name, "result": True, "changes": changes, "comment": f"{paths.settings} was written"}


def _refusal(paths: Paths) -> str | None:
    gate = __pillar__.get("settings_gate") or {}
    if not gate.get("checked"):
        return GATE_MISSING
    if __pillar__.get("_errors"):
        return problems_text(list(__pillar__["_errors"]))
    if paths.rebuild.exists() and not Lock(paths.rebuild_lock).holder():
        return (
            "a rebuild of this droplet was interrupted, and what it would restore must not be made empty: the same "
            "./bootstrap.sh --restore-from goes on with it"
        )
    settings = __pillar__.get("settings")
    if settings is None or gate.get("digest") != digest(settings):
        return "pillar has settings that the parser didn't make: remove the key 'settings' from pillar and command line"
    stamp = _stamp(paths)
    if stamp not in (None, settings["environment"]):
        return (
            f"this droplet belongs to the environment '{stamp}', and the minion id '{__opts__['id']}' says"
            f" '{settings['environment']}'. Set the minion id to {stamp} (in /etc/salt/minion_id); where a droplet is"
            f" really to change its environment, remove {paths.environment} first"
        )
    tree = _tree()
    if tree and not __pillar__.get("allow_older_tree"):
        why = older(_read(paths.tree), tree["revision"], tree["committed"])
        if why:
            return why
    # A first converge that failed before it made a volume has built nothing on the old values yet.
    built = is_built(paths.state / "volumes")
    fixed = moved(_read(paths.settings), settings, _is_live(paths)) if built else []
    if fixed:
        return refusal_text(fixed)
    elsewhere = _elsewhere(paths, settings) if built else _provider(paths, settings)
    if elsewhere:
        return elsewhere
    machine = look(paths.root)
    short = shortfalls(machine, settings) if machine else []
    if short:
        return "\n".join(["this machine is smaller than pillar says:", *(f"  - {text}" for text in short)])
    return None


def _tree() -> dict[str, Any]:
    """The tree at hand, where its checkout says when it was committed."""
    gate = __pillar__["settings_gate"]
    known = gate.get("committed") is not None
    return {"revision": gate["revision"], "committed": gate["committed"]} if known else {}


def _elsewhere(paths: Paths, settings: dict[str, Any]) -> str | None:
    """Why a service may not change between this droplet and a provider."""
    closed = Edge(paths.live_map, paths.maintenance_map, paths.admin_socket).maintenance()["operator"]
    moved = bool(__pillar__.get("data_moved"))
    why = refusal(_read(paths.settings), settings, moved, _is_live(paths), closed)
    half = None if closed else unreleased(Ledger(paths.ledger), paths.releases, settings)
    if why is None and half:
        why = f"{half}. Nothing was changed; until then the edge has to be closed: deploy.maintenance on"
    return why or _provider(paths, settings) or _counted(paths, settings)


def _counted(paths: Paths, settings: dict[str, Any]) -> str | None:
    """Why what is said to have moved has not."""
    before = _read(paths.settings)
    if not (is_managed(settings, "postgres") and "postgres" in changing(before, settings)):
        return None
    return unlike(paths, before, settings, (__pillar__.get("secrets_given") or {}).__getitem__)


def _provider(paths: Paths, settings: dict[str, Any]) -> str | None:
    """Why a provider that is new to this droplet is not used. One that is known may be away for a while."""
    given = __pillar__.get("secrets_given") or {}
    try:
        for service in unproven(_read(paths.settings), settings):
            prove(settings, service, given.__getitem__)
    except ProviderError as error:
        return str(error)
    except KeyError as error:
        return f"pillar gives no value for {error.args[0]}: see docs/settings.md, secrets"
    return None


def _is_live(paths: Paths) -> bool:
    """Whether a release is live; a ledger that can't be read has had one."""
    try:
        return Ledger(paths.ledger).live() is not None
    except LedgerError:
        return True


def _stamp(paths: Paths) -> str | None:
    try:
        return paths.environment.read_text().strip()
    except FileNotFoundError:
        return None


def _read(file: Path) -> Any:
    """The settings in ``file``; None where there are none, or nothing that can be read as settings."""
    try:
        return read_json(file)
    except ValueError:
        return None


def _compared(before: Any, after: Any) -> dict[str, dict[str, Any]]:
    """Old and new value of each setting that pillar changed, by dotted path."""
    paths = said(differences(before, after))
    return {
        path: {"old": public(value_at(before, path)), "new": public(value_at(after, path))} for path in paths
    }
