"""Kernel settings (sysctl), judged by the running kernel."""

import errno
import os
from pathlib import Path
from typing import Any

from marketplace_durable import make_directory, write_atomic

# Not there, or not this host's to change: a container shares its machine's kernel.
_FOREIGN = (errno.ENOENT, errno.EROFS, errno.EACCES, errno.EPERM)


def applied(name: str, settings: dict[str, Any], proc: str = "/proc/sys") -> dict[str, Any]:
    """Ensure that the running kernel has ``settings``, and the file ``name`` has them for the next boot.

    What does not exist here or cannot be written is left out and named in the comment.

    Args:
        name: a file in /etc/sysctl.d.
        settings: name as ``sysctl`` writes it -> value.
        proc: where the kernel shows them.
    """
    file, wanted = Path(name), _text(settings)
    written = file.read_text() if file.exists() else None
    paths = {key: Path(proc, key.replace(".", "/")) for key in settings}
    foreign = [key for key, path in paths.items() if not os.access(path, os.W_OK)]
    left_out = f"; not this host's to set: {', '.join(foreign)}" if foreign else ""
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True}
    changes: dict[str, Any] = {
        key: {"old": _read(path), "new": str(settings[key])}
        for key, path in paths.items()
        if key not in foreign and _read(path) != str(settings[key])
    }
    if written != wanted:
        changes[name] = {"old": written, "new": wanted}
    if not changes:
        return ret | {"comment": f"The kernel has these settings{left_out}"}
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"Settings would be changed{left_out}"}
    if name in changes:
        make_directory(file.parent)
        write_atomic(file, wanted)
    refused = {key: why for key in changes.keys() - {name} if (why := _write(paths[key], settings[key]))}
    done = {key: change for key, change in changes.items() if key not in refused}
    if refused:
        said = ", ".join(f"{key} = {settings[key]} ({why})" for key, why in sorted(refused.items()))
        return ret | {"result": False, "changes": done, "comment": f"The kernel refuses {said}"}
    return ret | {"changes": done, "comment": f"Settings were changed{left_out}"}


def _text(settings: dict[str, Any]) -> str:
    """For systemd-sysctl; a dash before the name lets it go on where there is no such setting."""
    lines = [f"-{key} = {value}" for key, value in sorted(settings.items())]
    return "\n".join(["# Written by state.apply.", *lines]) + "\n"


def _read(path: Path) -> str:
    try:
        return " ".join(path.read_text().split())
    except OSError:
        return ""


def _write(path: Path, value: Any) -> str:
    """What the kernel says against it; nothing when it took the value."""
    try:
        path.write_text(f"{value}\n")
    except OSError as error:
        return "" if error.errno in _FOREIGN else (error.strerror or str(error))
    return "" if _read(path) == str(value) else f"it says {_read(path)}"
