"""``python -m evidence``: writes docs/evidence.md; its exit status is 1 where a promise is not shown."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from tests.support import measured, results
from tests.support.droplet.paths import REPOSITORY

from . import document, judge, month, pictures
from .promises import Unusable, asked, promises

PROMISES = Path(__file__).with_name("promises.yaml")
SPEC = REPOSITORY / "docs" / "spec.md"
DOCUMENT = REPOSITORY / "docs" / "evidence.md"


def verdicts(parts: list[results.Part]) -> list[judge.Verdict]:
    """Every row of the specification, judged by results."""
    rows = promises(yaml.safe_load(PROMISES.read_text()), asked(SPEC.read_text()))
    return [judge.verdict(promise, parts) for promise in rows]


def main() -> int:
    """Write the document, and say what is red."""
    parts = results.read_all()
    try:
        found = verdicts(parts)
    except Unusable as error:
        print(f"evidence: {error}", file=sys.stderr)
        return 2
    thirty_days = month.simulate(parts)
    drawn = pictures.pictures(parts, thirty_days)
    for name, text in drawn.items():
        measured.write(f"pictures/{name}", text)
    DOCUMENT.write_text(document.document(found, parts, thirty_days, drawn))
    print(DOCUMENT.relative_to(REPOSITORY))
    red = [verdict for verdict in found if not verdict.shown]
    for verdict in red:
        print(f"RED {verdict.promise.id}: {'; '.join(verdict.reasons)}", file=sys.stderr)
    for reason in thirty_days.reasons:
        print(f"RED thirty days: {reason}", file=sys.stderr)
    return 1 if red or thirty_days.reasons else 0


if __name__ == "__main__":
    sys.exit(main())
