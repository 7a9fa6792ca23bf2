"""The backend is released, and what was released runs.

The engine on the droplet does the work, by its own ``salt-call``, whichever transport this state came by: under
salt-ssh the code here is gone in a minute, and a release has to outlive that.
"""

import json
from pathlib import Path

from marketplace_container import DockerError
from marketplace_docker_socket import PATIENT, DockerSocket
from marketplace_durable import read_json
from marketplace_effective import release_digest
from marketplace_ledger import Ledger, LedgerError
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_release_compose import serves_here
from marketplace_restore_begun import undecided
from marketplace_salt import STATES_SECONDS, SaltCallError, function

__virtualname__ = "release"


def __virtual__():
    return __virtualname__


def live(name):
    """A release of ``backend:version`` is live on a droplet that has none; with ``backend:follow_pillar``, on any.

    name
        A sentence; what to release comes from the settings.

    A live release is never changed otherwise: changed backend settings or secrets show in the comment and in
    deploy.status until somebody runs deploy.release. What was released and does not run is started; its worker runs
    only while no other host serves the bot (``telegram:register``), and neither while a restore is undecided.
    """
    ret = {"name": name, "result": True, "changes": {}, "comment": ""}
    settings = __pillar__["settings"]
    backend = settings["backend"]
    try:
        record = Ledger(_paths().ledger).live()
    except LedgerError as error:
        return ret | {"result": False, "comment": str(error)}
    if record is None:
        return _release(ret, None, backend["version"])
    changed = record.settings_digest != release_digest(settings, _paths())
    another = record.version != backend["version"]
    if (changed or another) and backend["follow_pillar"]:
        return _release(ret, record.version, backend["version"])
    ret["comment"] = f"Version {record.version} is live."
    if changed:
        ret["comment"] += (
            f" Pending: backend settings or secrets have changed; deploy.release {record.version} ships them."
        )
    if another:
        ret["comment"] += (
            f" (Pillar's first version is {backend['version']}; deploy.release decides what is live.)"
        )
    return _running(ret, settings, record)


def _release(ret, old, new):
    changes = {"release": {"old": old, "new": new}}
    if __opts__["test"]:
        return ret | {"result": None, "changes": changes, "comment": f"Version {new} would be released."}
    record, failure = _engine("deploy.release", json.dumps(new))  # quoted: 1.10 is no number
    if failure or record.get("outcome") not in ("live", "unchanged"):
        return ret | {"result": False, "comment": failure or f"{record['outcome']}: {record['reason']}"}
    if record["outcome"] == "unchanged":
        return ret | {"comment": record["reason"]}
    return ret | {
        "changes": changes,
        "comment": f"Version {new} is live (release {record['release']}, {record['seconds']:.1f} s).",
    }


def _running(ret, settings, record):
    """Start a live backend that does not run: a look at Docker, and the engine only where there is something to do."""
    name, worker = f"backend-{record.colour}", f"worker-{record.colour}"
    status = _status(name)
    unfinished = read_json(Path(_paths().journal / "current.json"))
    what = {}
    if status not in ("running", "restarting"):
        what["backend"] = {"old": f"{name} {status}", "new": f"{name} running"}
    elif _has_worker(record):
        there, here = _status(worker), serves_here(settings)
        if (there == "missing") is here:
            what["worker"] = {
                "old": f"{worker} {there}",
                "new": f"{worker} {'running' if here else 'missing'}",
            }
    if unfinished is None and not what:
        return ret
    if Lock(_paths().lock).holder():
        return ret | {"comment": f"{ret['comment']} A release is running; it is left alone."}
    try:
        waiting = undecided(_paths())
    except ValueError as error:
        waiting = str(error)
    if waiting:
        return ret | {"result": False, "comment": f"{ret['comment']} Nothing is started: {waiting}"}
    if unfinished is not None:
        flight = unfinished["run"]["release"]
        what = {"release": {"old": f"{flight} interrupted", "new": "finished or undone"}}
    if __opts__["test"]:
        return ret | {
            "result": None,
            "changes": what,
            "comment": f"{ret['comment']} deploy.resume would run.",
        }
    resumed, failure = _engine("deploy.resume")
    if failure or resumed.get("outcome") == "refused":
        return ret | {"result": False, "comment": failure or resumed["reason"]}
    return ret | {"changes": what, "comment": f"{ret['comment']} {resumed.get('resumed') or 'Done.'}"}


def _status(container):
    """Docker's word for it; a Docker that does not answer has none."""
    try:
        found = DockerSocket(_paths().docker_socket, PATIENT).containers(container)
    except DockerError:
        return "missing"
    return found[container].status if container in found else "missing"


def _has_worker(record):
    return bool((read_json(_paths().releases / record.release / "contract.json") or {}).get("worker"))


def _engine(name, *arguments):
    """Call the droplet's own engine: ``(its answer, "")`` or ``({}, why there is none)``."""
    try:
        return function(name, *arguments, timeout=STATES_SECONDS), ""
    except SaltCallError as error:
        return {}, str(error)


def _paths():
    return Paths(Path(__opts__.get("marketplace_root", "/")))
