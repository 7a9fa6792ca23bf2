"""Which commit of the tree is at work: every record names it, and no older one is applied over a newer one's work."""

import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_SECONDS = 10


def revision(tree: Path) -> str:
    """The commit of the code in ``tree``: of a copy that names it in REVISION, or a checkout's; else ``unknown``.

    A copy is what a controller has written, over a checkout perhaps. A droplet that converges itself has no REVISION
    beside its checkout: the next state.apply there removes it.
    """
    copied = tree / "REVISION"
    return copied.read_text().strip() if copied.is_file() else checked_out(tree) or "unknown"


def checked_out(tree: Path) -> str | None:
    """The commit that a checkout (or a worktree) is at; None where there is none, or it does not say.

    Git itself is not asked: a droplet need not have it.
    """
    try:
        git = _git(tree)
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        shared = git / "commondir"
        # A worktree has a HEAD of its own, and its branches where the others have them.
        common = git / shared.read_text().strip() if shared.exists() else git
        loose = common / name
        if loose.is_file():
            return loose.read_text().strip()
        packed = (common / "packed-refs").read_text().splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)


def _git(tree: Path) -> Path:
    """Git's directory of a checkout; a worktree and a submodule say in a file where it is."""
    git = tree / ".git"
    return tree / git.read_text().strip().removeprefix("gitdir: ") if git.is_file() else git


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
