"""An operator's closing of the edge: updates wait at Telegram until it is opened again."""

from typing import Any

from marketplace_durable import read_json
from marketplace_edge import EdgeError
from marketplace_restore_begun import closed_for
from marketplace_settings_moving import unreleased
from marketplace_world import World


def opening_refused(world: World) -> str:
    """Why the edge must stay closed, whatever the operator says; empty where it need not."""
    settings = read_json(world.paths.settings)
    half_done = unreleased(world.ledger, world.paths.releases, settings) if settings else None
    if half_done:
        return f"{half_done}; docs/managed.md says how to give it up"
    return closed_for(world.paths, world.lock.holder())


def maintain(world: World, wanted: bool, by: str) -> str:
    """Close the edge for the operator, or open it as far as the operator had closed it; people are told.

    Args:
        wanted: whether it is to be closed.
        by: who asks.

    Returns:
        A warning, where HAProxy does not answer and so gets to know when it starts; else empty.

    Raises:
        OSError, EdgeError: it could not be written down; the edge is as it was.
    """
    before, warning = world.edge.maintenance(), ""
    try:
        world.edge.maintain("operator", wanted)
    except EdgeError as error:
        if world.edge.maintenance()["operator"] != wanted:
            raise
        warning = f"written, and in force as soon as HAProxy answers again: {error}"
    if wanted != before["operator"]:
        words = (
            f"{by} closed the edge: updates wait at Telegram"
            if wanted
            else f"{by} opened the edge for updates"
        )
        data: dict[str, Any] = {"on": wanted, "by": by}
        world.spool.try_emit("edge.maintenance", "warning" if wanted else "info", words, data)
    return warning
