"""Lays out one version of the application: `assemble.py SOURCE TARGET VERSION [VARIANT]`.

A real team has a commit for each version. Here one checkout holds them all, so that a release can be followed by the
next one in tests and demonstrations: SOURCE itself is 1.0.0, `history/<version>` holds the files that version added,
and `variants/<name>` the files that spoil one on purpose.
"""

import re
import shutil
import sys
from pathlib import Path

PARTS = ("alembic.ini", "migrations", "marketplace_bot")


def numbers(version: str) -> tuple[int, ...]:
    """`1.10.0-rc1` -> (1, 10, 0). Anything without a leading number is the oldest."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0]))


def assemble(source: Path, target: Path, version: str, variant: str = "") -> None:
    """Copy the application into `target`. Raises ValueError for a variant that is not there."""
    overlays = [
        added
        for added in sorted((source / "history").iterdir(), key=lambda path: numbers(path.name))
        if numbers(added.name) <= numbers(version)
    ]
    if variant:
        known = sorted(path.name for path in (source / "variants").iterdir())
        if variant not in known:
            raise ValueError(f"there is no variant {variant!r}; there are: {', '.join(known)}")
        overlays.append(source / "variants" / variant)
    target.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        origin = source / part
        if origin.is_dir():
            shutil.copytree(
                origin, target / part, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy2(origin, target / part)
    for overlay in overlays:
        shutil.copytree(overlay, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))


if __name__ == "__main__":
    try:
        assemble(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
    except ValueError as error:
        sys.exit(str(error))
