"""An nftables table that is in force as its file says, judged by what the kernel has loaded."""

from pathlib import Path
from typing import Any

from marketplace_nft import difference, objects
from salt.utils.path import which

# Loaded into a network namespace of its own, the file is spelled exactly as the kernel spells the running table.
_SPELL = 'nft --file "$1" && nft --json list table "$2" "$3"'


class _Failure(Exception):
    pass


def loaded(name: str, file: str, family: str = "inet") -> dict[str, Any]:
    """Ensure that the kernel's table equals the one in ``file``: one that was flushed or edited by hand is put back.

    Args:
        name: the table.
        file: an nft script that replaces the whole table in one transaction.
        family: the table's family.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": f"Table {family} {name} is in force",
    }
    would = {"result": None, "comment": f"Table {family} {name} would be loaded"}
    if __opts__["test"] and not (which("nft") and Path(file).exists()):
        return ret | would | {"changes": {"table": {"old": None, "new": name}}}
    try:
        changes = _changes(name, file, family)
        if not changes:
            return ret
        if __opts__["test"]:
            return ret | would | {"changes": changes}
        _run("nft", "--file", file)
        remaining = _changes(name, file, family)
    except _Failure as error:
        return ret | {"result": False, "comment": str(error)}
    if remaining:
        still = f"Table {family} {name} still differs from {file}"
        return ret | {"result": False, "changes": changes, "comment": still}
    return ret | {"changes": changes, "comment": f"Table {family} {name} was loaded from {file}"}


def mod_watch(name: str, family: str = "inet", **_: Any) -> dict[str, Any]:
    """Predict, under test=True, what a file that is yet to be written causes; a real run has been judged already."""
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": f"Table {family} {name} is in force",
    }
    if __opts__["test"]:
        changes = {"table": {"old": "as loaded", "new": "as the new file says"}}
        return ret | {"result": None, "changes": changes, "comment": f"Table {family} {name} would be loaded"}
    return ret


def _run(*command: str) -> str:
    result = __salt__["cmd.run_all"](list(command), python_shell=False)
    if result["retcode"]:
        raise _Failure(f"{command[0]} failed: {result['stderr']}")
    return str(result["stdout"])


def _changes(name: str, file: str, family: str) -> dict[str, Any]:
    listing = __salt__["cmd.run_all"](
        ["nft", "--json", "list", "table", family, name], python_shell=False, ignore_retcode=True
    )
    running = objects(listing["stdout"] if listing["retcode"] == 0 else "")
    wanted = _run("unshare", "--net", "sh", "-c", _SPELL, "sh", file, family, name)
    return difference(running, objects(wanted))
