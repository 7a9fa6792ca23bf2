"""What the commands of an image's schema do to the simulated database."""

import subprocess
from collections.abc import Callable

from tests.simulation.database import Content, SimDatabase
from tests.simulation.images import Change, Image

Completed = subprocess.CompletedProcess[str]


def run_command(image: Image, argv: list[str], database: SimDatabase) -> Callable[[], Completed] | None:
    """What a one-off container of ``image`` will have done when it ends; None: it never ends."""
    name, rest = image.command(argv)
    answers: dict[str, Callable[[], Completed]] = {
        "migrate.heads": lambda: _said("".join(f"{head} (head)\n" for head in image.heads)),
        "migrate.current": lambda: _said("".join(f"{head}\n" for head in database.content.heads)),
        "migrate.plan": lambda: _said(image.plan()),
        "migrate.down": lambda: _down(image, database.content, rest),
        "migrate": lambda: _upgrade(image, database.content),
        "before": lambda: _said("checked"),
        "after": lambda: _said("warmed"),
    }
    if name == "migrate" and image.migration == "hangs":
        return None
    return answers.get(name, lambda: _failed(f"{argv[0]}: not found", 127))


def _upgrade(image: Image, content: Content) -> Completed:
    if image.migration == "lies":
        return _said("done")
    known = [change.revision for change in image.migrations]
    if any(head not in known for head in content.heads):
        return _failed(f"cannot locate revision {content.heads[0]}")
    applied = [change.revision for change in content.applied]
    pending = [change for change in image.migrations if change.revision not in applied]
    if image.migration == "fails":
        return _failed("relation already exists, password hunter2-hunter2")
    if image.migration == "half" and pending:
        if not pending[0].transactional:
            content.half = True
        elif len(pending) > 1:
            content.applied.append(pending[0])
        return _failed("relation already exists half way")
    content.applied.extend(pending)
    return _said("done")


def _down(image: Image, content: Content, wanted: list[str]) -> Completed:
    known = [change.revision for change in image.migrations]
    if any(change.revision not in known for change in content.applied):
        return _failed("cannot locate the revision")
    position = 0 if wanted == ["base"] else known.index(wanted[0]) + 1
    keep: list[Change] = list(image.migrations[:position])
    undone = [change for change in content.applied if change not in keep]
    if any(not change.reversible for change in undone):
        return _failed("this one cannot be taken back")
    content.applied = [change for change in content.applied if change in keep]
    return _said("done")


def _said(text: str) -> Completed:
    return subprocess.CompletedProcess([], 0, text, "")


def _failed(text: str, code: int = 1) -> Completed:
    return subprocess.CompletedProcess([], code, "", text)
