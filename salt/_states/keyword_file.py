"""Single settings in a file that a package owns, one keyword a line; all other lines stay as they are."""

import re
from pathlib import Path
from typing import Any

from marketplace_durable import write_atomic


def says(name: str, values: dict[str, str], separator: str = " ") -> dict[str, Any]:
    """Ensure that the file ``name`` gives each keyword its value.

    A commented line of the keyword is left alone. Under test=True a file that is not there yet is taken for empty.

    Args:
        name: the file.
        values: keyword -> value.
        separator: what the file has between the two.
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True, "comment": f"{name} says so"}
    file = Path(name)
    if not file.exists() and not __opts__["test"]:
        return ret | {"result": False, "comment": f"{name} is not there: is its package installed?"}
    before = file.read_text() if file.exists() else ""
    after, changes = _with(before, values, separator)
    if not changes:
        return ret
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"{name} would be changed"}
    status = file.stat()
    write_atomic(file, after, status.st_mode & 0o7777, status.st_uid, status.st_gid)
    return ret | {"changes": changes, "comment": f"{name} was changed"}


def _with(text: str, values: dict[str, str], separator: str) -> tuple[str, dict[str, Any]]:
    """``text`` with each keyword once, and what that changes."""
    lines, changes = text.splitlines(), {}
    for keyword, value in values.items():
        wanted = f"{keyword}{separator}{value}"
        found = [line for line in lines if re.match(rf"\s*{re.escape(keyword)}(?:\s|=)", line)]
        if [line.split() for line in found] == [wanted.split()]:
            continue
        changes[keyword] = {"old": " / ".join(found) or None, "new": wanted}
        lines = [line for line in lines if line not in found] + [wanted]
    return "\n".join(lines) + "\n", changes
