"""Room on a disk that is kept back, for who finds the disk full."""

from pathlib import Path
from typing import Any

from marketplace_allocate import allocate, allocated, check_room


def kept(name: str, size: int) -> dict[str, Any]:
    """Ensure the file ``name`` holds ``size`` bytes of its disk, which somebody may delete who needs them.

    Where not as much again would stay free, the comment says so, and a later run keeps it back: whoever has deleted
    the file needs the room.

    Args:
        name: the file; its directory is there.
        size: bytes.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": f"{name} keeps its room back",
    }
    file = Path(name)
    held = allocated(file)
    if held >= size:
        return ret
    try:
        check_room(file, 2 * size, held)
    except OSError as error:
        return ret | {"comment": f"Nothing is kept back for now: {error}"}
    changes = {"bytes": {"old": held, "new": size}}
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"{name} would keep {size} bytes back"}
    try:
        allocate(file, size)
    except OSError as error:
        return ret | {"result": False, "comment": f"{name}: {error}"}
    return ret | {"changes": changes, "comment": f"{name} keeps {size} bytes back"}
