"""Which commit of the tree is at work: every record names it, and no older one is applied over a newer one's work."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SECONDS = 10


def revision(tree: Path) -> str:
    """The commit of a checkout, or of a copy that carries it in a file REVISION; ``unknown`` where neither says.

    Git itself is not asked: a droplet need not have it.
    """
    copied = tree / "REVISION"
    if copied.is_file():
        return copied.read_text().strip()
    git = tree / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        loose = git / name
        if loose.is_file():
            return loose.read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "unknown")


def committed(tree: Path) -> int | None:
    """When a checkout's commit was made, in seconds since 1970; None where git is not there, or is no checkout's."""
    if not (tree / ".git").exists():
        return None
    # Named like this it may be another user's checkout than root's, who asks.
    argv = ["git", f"--git-dir={tree / '.git'}", "show", "--no-patch", "--format=%ct", "HEAD"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    said = done.stdout.strip()
    return int(said) if said.isdigit() else None


def older(before: Mapping[str, Any] | None, revision: str, made: int | None) -> str | None:
    """Why a tree is not applied to a droplet that a newer one has converged; None where it may be. Pure.

    A later commit knows what an earlier one has written; the other way round nobody can promise it.

    Args:
        before: ``revision`` and ``committed`` of the tree that was applied last, where that is known.
        revision: the commit at hand; made: when that was made, where it is known.
    """
    if before is None or made is None or made >= before["committed"]:
        return None
    last = f"{before['revision'][:10]} of {_day(before['committed'])}"
    return (
        f"this tree ({revision[:10]} of {_day(made)}) is older than the one that this droplet was converged with "
        f"({last}), and may not know what that one has written. Get the newer one (git pull), or, where "
        "you do want to go back: state.apply pillar='{\"allow_older_tree\": true}'"
    )


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
