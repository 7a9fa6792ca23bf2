"""``python -m evidence``: writes docs/evidence.md; its exit status is 1 where a promise is not shown."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import yaml

from tests.support import measured, results
from tests.support.droplet.paths import REPOSITORY

from . import document, judge, month, pictures
from .promises import Unusable, asked, promises

PROMISES = Path(__file__).with_name("promises.yaml")
SPEC = REPOSITORY / "docs" / "spec.md"
DOCUMENT = REPOSITORY / "docs" / "evidence.md"


def history() -> frozenset[str]:
    """The first twelve digits of each commit that the checkout comes from.

    Raises:
        Unusable: git does not know them all.
    """
    git = ["git", "-C", str(REPOSITORY)]
    try:
        shallow = subprocess.check_output([*git, "rev-parse", "--is-shallow-repository"], text=True)
        commits = subprocess.check_output([*git, "rev-list", "HEAD"], text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unusable(
            f"whether results are of this checkout, only its git history tells: {error}"
        ) from error
    if shallow.strip() == "true":
        raise Unusable(
            "this clone is shallow and does not know which results its history has: git fetch --unshallow, and again"
        )
    return frozenset(commit[:12] for commit in commits.split())


def verdicts(parts: list[results.Part], known: frozenset[str]) -> list[judge.Verdict]:
    """Every row of the specification, judged by results.

    Args:
        known: see :func:`history`.
    """
    rows = promises(yaml.safe_load(PROMISES.read_text()), asked(SPEC.read_text()))
    return [judge.verdict(promise, parts, known) for promise in rows]


def main() -> int:
    """Write the document, and say what is red."""
    parts = results.read_all()
    try:
        known = history()
        found = verdicts(parts, known)
    except Unusable as error:
        print(f"evidence: {error}", file=sys.stderr)
        return 2
    thirty_days = month.simulate([part for part in parts if not judge.unusable(part, known)])
    drawn = pictures.pictures(parts, thirty_days)
    for name, text in drawn.items():
        measured.write(f"pictures/{name}", text)
    DOCUMENT.write_text(document.document(found, parts, thirty_days, datetime.now(UTC), drawn))
    print(DOCUMENT.relative_to(REPOSITORY))
    red = [verdict for verdict in found if not verdict.shown]
    for verdict in red:
        print(f"RED {verdict.promise.id}: {'; '.join(verdict.reasons)}", file=sys.stderr)
    for reason in thirty_days.reasons:
        print(f"RED thirty days: {reason}", file=sys.stderr)
    return 1 if red or thirty_days.reasons else 0


if __name__ == "__main__":
    sys.exit(main())
