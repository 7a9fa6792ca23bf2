"""What `deploy.status` tells: live release, lock holder, what is in flight, what waits. Reads only."""

from typing import Any

from marketplace_alert_routes import NOBODY_TOLD, ways
from marketplace_drift_record import status as drift_status
from marketplace_durable import read_json
from marketplace_flight import Flight
from marketplace_health import report
from marketplace_managed import NAMES, theirs
from marketplace_pending import ALLOW
from marketplace_settings_guard import NOT_CONVERGED
from marketplace_world import World


def status(world: World, settings: dict[str, Any] | None, settings_digest: str | None) -> dict[str, Any]:
    """The droplet at a glance.

    Args:
        settings: the effective settings; None before the first state.apply.
        settings_digest: digest of those a release depends on.
    """
    live = world.ledger.live()
    pending: list[str] = []
    if settings is None:
        pending.append(NOT_CONVERGED)
    elif live is None:
        pending.append(
            f"nothing was ever released: state.apply or deploy.release ships {settings['backend']['version']}"
        )
    elif live.settings_digest != settings_digest:
        pending.append(f"backend settings or secrets have changed: deploy.release {live.version} ships them")
    if (
        settings
        and live
        and settings["backend"]["follow_pillar"]
        and live.version != settings["backend"]["version"]
    ):
        pending.append(
            f"pillar drives releases and says {settings['backend']['version']}: the next state.apply ships it; "
            f"to stay with {live.version}, set backend:version to it"
        )
    if settings is not None:
        pending.extend(_left_behind(world, settings))
    if settings is not None and not ways(settings):
        pending.append(NOBODY_TOLD)
    restarts = read_json(world.paths.pending) or []
    waits = ((str(item), str(item).startswith("pending restart")) for item in restarts)
    pending.extend(f"{item}: {ALLOW}" if restart else item for item, restart in waits)
    broken = world.ledger.broken()
    return {
        "live": live
        and {
            "release": live.release,
            "version": live.version,
            "image": live.image,
            "colour": live.colour,
            "since": live.started,
            "by": live.by,
        },
        "health": report(world, settings) if settings is not None else None,
        "lock": world.lock.holder(),
        "in_flight": _in_flight(world),
        "maintenance": [keeper for keeper, on in world.edge.maintenance().items() if on],
        "pending": pending,
        "drift": drift_status(world.paths.drift, world.clock.now().timestamp()),
        "ledger": {"releases": len(world.ledger.ids()), "broken": broken},
        "events": len(world.spool.pending()),
    }


def _left_behind(world: World, settings: dict[str, Any]) -> list[str]:
    """Data of services that are at a provider by now: nobody uses them, and nobody has deleted them."""
    return [
        f"{NAMES[name]} is at its provider; the data of before are in {data}, and nobody uses them: docs/managed.md "
        "says how to delete them"
        for name in theirs(settings)
        if (data := world.paths.file_systems[name] / "data").exists()
    ]


def _in_flight(world: World) -> dict[str, Any] | None:
    """The release that is on its way, or was interrupted there."""
    entry = world.journal.read()
    if entry is None:
        return None
    try:
        flight = Flight.from_dict(entry)
    except (KeyError, TypeError, ValueError) as error:
        return {"unreadable": f"the journal cannot be read by this tree ({error}): {world.journal.file}"}
    run = flight.run
    return {
        "kind": run.request.kind,
        "release": run.release,
        "version": run.version,
        "colour": run.colour,
        "step": flight.step,
        "phase": flight.phase,
        "by": run.request.by,
        "started": flight.started,
    }
