"""The steps of a release, in order.

Everything before ``switch`` leaves the live colour alone (but for a release in maintenance, where nobody is let in). A
failure from ``switch`` on goes back to the old colour, up to the steps marked ``final``: from there the new version has
proven itself, and only clearing up is left.
"""

from marketplace_flight import Run
from marketplace_step import Step
from marketplace_steps_colour import (
    close_edge,
    drain,
    edge_is_open,
    has_started,
    is_drained,
    is_switched,
    is_verified,
    is_waited_for,
    move_worker,
    move_worker_back,
    open_edge,
    remove_idle,
    reopen_edge,
    soak,
    start,
    switch,
    switch_back,
    verify,
    wait,
    worker_moved,
)
from marketplace_steps_house import after, before, has_after, has_before, prune
from marketplace_steps_image import forget_image, preflight, pull
from marketplace_steps_schema import (
    downgrade,
    dump,
    examine,
    is_lossy,
    make_point,
    migrate,
    unmigrate,
    use_point,
)


def in_maintenance(run: Run) -> bool:
    return run.maintenance


def goes_back_later(run: Run) -> bool:
    """A rollback takes the schema back last, when nothing uses any more what goes."""
    return run.backwards and bool(run.pending) and not run.maintenance


STEPS: tuple[Step, ...] = (
    Step("preflight", preflight, refuses=True),
    Step("pull", pull, forget_image, refuses=True),
    Step("schema", examine, refuses=True),
    Step("dump", dump, when=is_lossy, refuses=True),
    Step("before", before, when=has_before, refuses=True),
    Step("maintenance", close_edge, reopen_edge, when=in_maintenance),
    Step("restore-point", make_point, use_point, when=in_maintenance),
    Step("migrate", migrate, unmigrate),
    Step("start", start, remove_idle, has_started),
    Step("wait", wait, None, is_waited_for),
    Step("switch", switch, switch_back, is_switched),
    Step("verify", verify, None, is_verified),
    Step("worker", move_worker, move_worker_back, worker_moved),
    Step("soak", soak),
    Step("open", open_edge, None, edge_is_open, when=in_maintenance, final=True),
    Step("drain", drain, None, is_drained, final=True),
    Step("downgrade", downgrade, when=goes_back_later, final=True),
    Step("after", after, when=has_after, final=True),
    Step("prune", prune, final=True),
)
STEP_NAMES = tuple(step.name for step in STEPS)
