"""The settings gate as an external pillar: no state runs on a wrong pillar.

Every minion and master configuration of this tree has ``ext_pillar: [{marketplace: {}}]``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marketplace_settings_fields import Problem
from marketplace_settings_gate import gate, no_pillar
from marketplace_settings_layers import environments, roots_of
from marketplace_tree import checked_out, committed, revision


def ext_pillar(minion_id: str, pillar: Mapping[str, Any], *_args: Any, **_kwargs: Any) -> dict[str, Any]:
    """Settings of ``minion_id`` under ``settings``, or every problem of the pillar under ``_errors``.

    Args:
        minion_id: decides the environment.
        pillar: the pillar merged from all files and from the command line.

    ``settings_gate`` is there in any case: the first state stops the run where it is missing.
    """
    roots = roots_of(__opts__)
    if not any((root / "top.sls").is_file() for root in roots):
        return no_pillar()
    answer = gate(pillar, minion_id, environments(roots), problems=open_files(roots))
    # A droplet that is converged over ssh gets a copy of the tree that compiles this pillar, and remembers its commit.
    tree = roots[0].resolve().parent
    found = checked_out(tree) or revision(tree)
    answer["settings_gate"] |= {"revision": found, "committed": committed(tree)}
    return answer


def open_files(roots: list[Path]) -> list[Problem]:
    """A problem for each file of ``local`` in pillar ``roots`` that others than its owner may read.

    Secrets stand there. What is in a directory that nobody else may enter is fine.
    """
    found = []
    for root in roots:
        files = [root / "local.sls"]
        if _is_open(root / "local"):
            files += sorted((root / "local").rglob("*.sls"))
        found += [
            Problem(
                f"pillar/{file.relative_to(root)}",
                "can be read by others than its owner, and secrets belong there",
                f"chmod 600 {file}",
            )
            for file in files
            if _is_open(file)
        ]
    return found


def _is_open(path: Path) -> bool:
    return path.exists() and path.stat().st_mode & 0o077 != 0
