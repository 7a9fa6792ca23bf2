"""The health of the droplet and its services."""

import os
import time
from pathlib import Path

from marketplace_arguments import Unusable, caller, flag, nothing_else, seconds
from marketplace_drift_look import Disturbed, DriftLook
from marketplace_drift_record import words
from marketplace_durable import read_json
from marketplace_health import report
from marketplace_health_figures import backups, shown, uptime
from marketplace_ledger import LedgerError
from marketplace_lock import LockHeld
from marketplace_log_metrics import publish
from marketplace_log_reach import look, tell
from marketplace_paths import Paths
from marketplace_settings_guard import NOT_CONVERGED, settings_applied
from marketplace_slo import LONGEST_DAYS
from marketplace_slo import slo as reached
from marketplace_watched import watched
from marketplace_world import World

__virtualname__ = "health"
__outputter__ = {"check": "status_table", "drift": "drift_lines", "slo": "slo_table"}

LONGEST_WAIT = 86400


def __virtual__():
    return __virtualname__


def check(brief=False):
    """The Health Status: overall and per service, when, and why in words.

    brief
        Only the overall status and each service's.

    Of each service it tells what it uses besides: ``cpu`` (of the processors that it may use, over five minutes),
    ``memory`` and ``disk`` in bytes; of PostgreSQL its connections and how far the log is received, of Redis its last
    save, of the edge how many of its latest answers were 5xx. ``droplet``, ``webhook`` and ``backups`` are as they were
    seen last; what nobody has looked at yet is ``None``.
    ``alerts`` is what people are told of (the same as arrives on the phone), the most severe first; ``watch`` says
    whether the watchdog watches.

    ``healthy``: all well. ``degraded``: updates are accepted, something is impaired. ``unhealthy``: updates are not
    accepted; exit code 1.

    CLI Example:

    .. code-block:: bash

        salt-call health.check
        salt-call health.check brief=True
    """
    paths = _paths()
    settings, why = settings_applied(paths)
    # What is not converged yet has a health as well.
    if settings is None and why != NOT_CONVERGED:
        return _refused(why)
    found = report(World.of(paths), settings)
    if found["status"] == "unhealthy":
        __context__["retcode"] = 1
    if brief:
        return {
            "status": found["status"],
            "services": {name: service["status"] for name, service in found["services"].items()},
        }
    told = watched(paths.watched)
    found = shown(found, told.pop("figures"), uptime())
    return found | {"backups": backups(paths, settings), "alerts": told.pop("alerts"), "watch": told}


def logs():
    """Whether every log reaches back as far as ``logs:keep_days`` says; operators are told where one does not.
    Where there is a Prometheus, it gets to know as well.

    A log does not while its share of ``logs:size`` is used up before the days are over, or the disk is nearly full.
    Runs every hour. Returns ``short``, a sentence for each. Exit code 1 where there is one.

    CLI Example:

    .. code-block:: bash

        salt-call health.logs
    """
    world = World.of(_paths())
    settings, why = settings_applied(world.paths)
    if settings is None:
        __context__["retcode"] = 1
        return {"short": [why]}
    found = look(world, settings)
    tell(world, found)
    publish(world, settings)
    if found:
        __context__["retcode"] = 1
    return {"short": [one.words for one in found]}


def drift(now=False, accept=False, wait=60, **unknown):
    """What somebody has changed by hand: what differs on the droplet from what state.apply made of it.

    now
        Look now, which takes some seconds and changes nothing; default is what the last look has found (it is made
        once a day, see the setting ``monitoring:drift_time``).
    accept
        Take what no state owns (accounts, keys, units, cron jobs, containers ...) for right as it is now.
    wait
        Seconds to wait for a release, a backup, a job or a run of states to end (default 60).

    Returns ``drift``, a sentence, and ``differences``: each with ``name``, ``words``, ``detail`` (a shortened diff, no
    secrets), ``state``, ``since``, ``owned`` (whether ``state.apply`` puts it right), ``remedy`` (what to type) and
    ``follows`` (whether it goes back to another). ``pending`` is what waits to be applied and is therefore no drift,
    ``trouble`` what could not be looked at, ``note`` why some is never looked at on this droplet. Exit code 1 where
    there are differences or trouble.

    CLI Example:

    .. code-block:: bash

        salt-call health.drift
        salt-call health.drift now=True --out=json
        salt-call health.drift accept=True
    """
    try:
        nothing_else(unknown, ("now", "accept", "wait"))
        now, accept, patience = flag("now", now), flag("accept", accept), seconds("wait", wait, LONGEST_WAIT)
        settings, why = settings_applied(_paths())
        if settings is None:
            raise Unusable(why)
        looking, by = DriftLook(World.of(_paths()), _states, _applying), caller(os.environ)
        accepted = {"accepted": looking.accept(by)} if accept else {}
        found = looking.look(settings, by, patience) if now else read_json(_paths().drift)
    except (Unusable, Disturbed, LockHeld, ValueError, OSError) as error:
        __context__["retcode"] = 1
        return {"outcome": "refused", "reason": str(error)}
    if found is None:
        found = {
            "differences": [],
            "pending": [],
            "trouble": ["nobody has looked yet: health.drift now=True"],
        }
    # What the states themselves have set: the looked-at droplet decides.
    __context__["retcode"] = 1 if found["differences"] or found["trouble"] else 0
    return {"drift": words(found), **accepted, **found}


def _states():
    """What all states would change, under a name by which nobody's own run of states is refused meanwhile."""
    try:
        return __salt__["state.apply"](test=True, concurrent=True)
    except Exception as error:  # whatever a tree that is broken makes of it: that is what has to be told
        return [f"{type(error).__name__}: {error}"]


def _applying():
    """Who applies states just now, in words; empty where nobody does."""
    running = __salt__["saltutil.is_running"]("state.*")
    return f"{running[0]['fun']} is running (pid {running[0]['pid']})" if running else ""


def slo(days=30):
    """How well the bot was reached: uptime against the goal (``monitoring:uptime``), answers, queries, releases.

    days
        So many days of UTC, today among them (default 30, 400 at most). One or two are told by the hour.

    ``uptime`` is the share of the time that was watched in which ``/healthz`` answered 200 at the public address,
    asked every 10 seconds; maintenance counts against it, and is told as ``planned_minutes`` as well. While the
    droplet was off the bot was down; while only the watchdog was, nobody knows (``unknown_minutes``). ``budget`` is in
    minutes.
    ``answers`` are of the bot to Telegram, as the edge logged them, and ``lost`` those of them with 5xx or without an
    answer: Telegram sends the update again. ``queries`` are the bot's, and a guess: PostgreSQL keeps means and
    deviations. ``burn`` is how many times faster than 30 days allow the budget was used of late. What the last minute
    brought is not among it yet. Exit code 1 where the budget is overspent.

    On a terminal it is a table, with a character a day or hour, the oldest first.

    CLI Example:

    .. code-block:: bash

        salt-call health.slo
        salt-call health.slo 2
        salt-call health.slo days=90 --out=json
    """
    if not isinstance(days, int) or isinstance(days, bool) or not 1 <= days <= LONGEST_DAYS:
        return _refused(f"days is {days!r}, expected a whole number from 1 to {LONGEST_DAYS}, such as 30")
    settings, why = settings_applied(_paths())
    if settings is None:
        return _refused(why)
    try:
        found = reached(World.of(_paths()), settings, days, time.time())
    except LedgerError as error:
        return _refused(str(error))
    if found["budget"]["left"] < 0:
        __context__["retcode"] = 1
    return found


def _refused(reason):
    __context__["retcode"] = 1
    return {"outcome": "refused", "reason": reason}


def _paths():
    return Paths(Path(__opts__.get("marketplace_root", "/")))
