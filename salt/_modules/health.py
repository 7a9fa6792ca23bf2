"""The health of the droplet and its services."""

from pathlib import Path

from marketplace_durable import read_json
from marketplace_health import report
from marketplace_log_metrics import publish
from marketplace_log_reach import look, tell
from marketplace_paths import Paths
from marketplace_watched import watched
from marketplace_world import World

__virtualname__ = "health"


def __virtual__():
    return __virtualname__


def check(brief=False):
    """The Health Status: overall and per service, when, and why in words.

    brief
        Only the overall status and each service's.

    ``alerts`` is what people are told of (the same as arrives on the phone), the most severe first; ``watch`` says
    whether the watchdog watches.

    ``healthy``: all well. ``degraded``: updates are accepted, something is impaired. ``unhealthy``: updates are not
    accepted; exit code 1.

    CLI Example:

    .. code-block:: bash

        salt-call health.check
        salt-call health.check brief=True
    """
    found = report(World.of(_paths()), read_json(_paths().settings))
    if found["status"] == "unhealthy":
        __context__["retcode"] = 1
    if brief:
        return {
            "status": found["status"],
            "services": {name: service["status"] for name, service in found["services"].items()},
        }
    told = watched(_paths().watched)
    return found | {"alerts": told.pop("alerts"), "watch": told}


def logs():
    """Whether every log reaches back as far as ``logs:keep_days`` says; operators are told where one does not.
    Where there is a Prometheus, it gets to know as well.

    A log does not while its share of ``logs:size`` is used up before the days are over, or the disk is nearly full.
    Runs every hour. Returns ``short``, a sentence for each. Exit code 1 where there is one.

    CLI Example:

    .. code-block:: bash

        salt-call health.logs
    """
    world, settings = World.of(_paths()), read_json(_paths().settings)
    if settings is None:
        __context__["retcode"] = 1
        return {"short": ["this droplet is not converged yet: run state.apply"]}
    found = look(world, settings)
    tell(world, found)
    publish(world, settings)
    if found:
        __context__["retcode"] = 1
    return {"short": [one.words for one in found]}


def _paths():
    return Paths(Path(__opts__.get("marketplace_root", "/")))
