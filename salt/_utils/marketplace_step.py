"""What a step of a release is, and the ways in which one can end the release."""

from collections.abc import Callable
from dataclasses import dataclass

from marketplace_flight import Run
from marketplace_world import World


class StepFailed(Exception):
    """A step cannot go on; the message is the release's ``reason``."""


class Withdrawn(StepFailed):
    """Somebody asked for the release to be taken back while it was on its way."""


class NoWayBack(Exception):
    """Going back would put a colour live that does not work, in the place of one that does."""


class Unchanged(Exception):
    """What is asked for is live already: same digest, same settings."""


def _always(run: Run) -> bool:
    return True


@dataclass(frozen=True)
class Step:
    """One step of a release.

    Attributes:
        do: acts, and returns a detail for the record. May be done again after it got half way.
        undo: takes it back, also a ``do`` that got half way, also twice.
        done: whether the world shows it done, asked when an interrupted release is finished. Without it, a step that
            the journal has passed is believed, and the one where the journal stands is done again.
        when: whether this release has the step at all.
        refuses: nothing was changed so far, so where this step cannot go on, the release is refused: it never was.
        final: from here on the new version has proven itself, and a failure takes nothing back.
    """

    name: str
    do: Callable[[World, Run], str]
    undo: Callable[[World, Run], None] | None = None
    done: Callable[[World, Run], bool] | None = None
    when: Callable[[Run], bool] = _always
    refuses: bool = False
    final: bool = False
