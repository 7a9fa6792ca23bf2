"""What no state owns and nobody may add unseen: who can log in, with which keys, what runs by itself. Pure.

The first state.apply that goes well takes what there is for right. Looks name what came and went since, until somebody
says that it is right so (``health.drift accept=True``).
"""

from collections.abc import Collection, Mapping
from pathlib import PurePath

from marketplace_drift import Difference

# Kind -> name -> what is remembered of it: whatever changes when the thing does.
Inventory = Mapping[str, Mapping[str, str]]

ACCEPT = "salt-call health.drift accept=True, where it is right so"
_UNITS = "/etc/systemd/system/"
# Of these is told that they have changed, and not what they say: anything may be in there.
_CLOSED = ("file", "database setting")
# How each kind is called, and what is done about one that nobody wants.
KINDS = {
    "account": "usermod --lock --expiredate 1 NAME",
    "authorised key": "take it out of the account's ~/.ssh/authorized_keys",
    "group member": "gpasswd --delete the user from the group",
    "file": "rm NAME",
    "held package": "apt-mark unhold NAME",
    "firewall table": "nft delete table NAME",
    "firewall rule": "nft --handle list ruleset, then nft delete rule",
    "container": "docker rm --force NAME",
    "database role": "docker exec postgres dropuser -U postgres NAME",
    "database setting": "ALTER ROLE or ALTER DATABASE ... RESET",
}


def compare(before: Inventory, now: Inventory, known: Collection[str]) -> list[Difference]:
    """What came, went or changed.

    Args:
        before: as it was taken for right.
        now: as it is.
        known: names that states are about: those are theirs to judge.
    """
    found = []
    for kind in KINDS:
        # A kind that could not be looked at is no news, and neither is one that is looked at for the first time.
        if kind not in before or kind not in now:
            continue
        for name in sorted({*before[kind], *now[kind]}):
            old, new = before[kind].get(name), now[kind].get(name)
            if old != new and not _is_known(kind, name, known):
                found.append(_difference(kind, name, old, new))
    return found


def adopted(
    right: Inventory, before: Inventory, after: Inventory
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """What is right behind a run of states, and in words what that has brought or taken with it.

    That may be an account of a package, or a role of a database. What somebody had changed before stays a difference.

    Args:
        right: as it was taken for right.
        before: as it was when the run began; after: as it is since its end.
    """
    found = {kind: dict(names) for kind, names in right.items()}
    words = []
    for kind in KINDS:
        if kind not in found or kind not in before or kind not in after:
            continue
        for name in sorted({*before[kind], *after[kind]}):
            old, new = before[kind].get(name), after[kind].get(name)
            if old == new:
                continue
            words.append(f"{kind} {name} {_words(kind, old, new)}")
            if new is None:
                found[kind].pop(name, None)
            else:
                found[kind][name] = new
    return found, words


def _is_known(kind: str, name: str, known: Collection[str]) -> bool:
    if kind == "firewall table":
        return name.split()[-1] in known
    if kind != "file":
        return False
    path = PurePath(name)
    if name in known or not name.startswith(_UNITS):
        return name in known
    # A unit that a state starts at boot has a link that says so, and a mount a unit; what confines one goes with it.
    unit = path.name in known or path.stem in known or str(path.parent) in known
    return unit or (path.suffix == ".mount" and f"/{path.stem.replace('-', '/')}" in known)


def _difference(kind: str, name: str, old: str | None, new: str | None) -> Difference:
    undo = KINDS[kind].replace("NAME", name) if new is not None else "put it back"
    return Difference(kind, name, _words(kind, old, new), owned=False, remedy=f"{undo}; or {ACCEPT}")


def _words(kind: str, old: str | None, new: str | None) -> str:
    if old is None:
        return f"was added{f' ({new})' if new and kind not in _CLOSED else ''}"
    if new is None:
        return "is gone"
    return "was changed" if kind in _CLOSED else f"was changed from {old} to {new}"
