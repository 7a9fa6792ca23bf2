"""What must be true of a droplet, whatever was done to it."""

import contextlib
import json

from marketplace_contract import Contract
from marketplace_records import ReleaseRecord
from marketplace_retention import keep_name, pinned

from tests.simulation.droplet import JOB, Droplet


def always(droplet: Droplet) -> list[str]:
    """What is wrong after any operation, however it ended. Empty: nothing."""
    wrong = list(droplet.broken)
    wrong += [f"update {lost.update} failed: {lost.why}" for lost in droplet.users.unexplained()]
    if lost := droplet.users.committed - droplet.database.content.handled:
        wrong.append(f"{len(lost)} updates were answered with 200 and are not in the database")
    workers = {name for name in droplet.running if name.startswith("worker-")}
    if len(workers) > 1:
        wrong.append("two workers run")
    if droplet.world.lock.holder() is not None:
        wrong.append("nobody is there, and the lock is held")
    wrong += [f"the chain is broken at {release}" for release in droplet.world.ledger.broken()]
    return wrong


def told(droplet: Droplet, record: ReleaseRecord) -> list[str]:
    """What is wrong where an operation has given an answer and left nothing in flight. Empty: nothing."""
    wrong = []
    if droplet.disk.content(droplet.world.journal.file) is not None:
        return (
            [] if "deploy.resume" in record.reason else ["it is unfinished, and nobody is told to resume it"]
        )
    failed = {step.name for step in record.steps if step.outcome == "failed"}
    if droplet.edge.maintenance()["release"] and "open" not in failed:
        wrong.append(f"it is {record.outcome}, and keeps updates out")
    if record.outcome == "live":
        found = droplet.docker.there.get(f"backend-{droplet.live}")
        if found is None or found.release != record.release:
            wrong.append(f"it is told to be live, live is {found.release if found else None}")
    unsaid = not any("undoing" in step.detail for step in record.steps)
    beside = {name for name in droplet.running if not name.endswith(f"-{droplet.live}")} - _jobs(droplet)
    if record.outcome in ("failed", "rolled_back") and beside and unsaid:
        wrong.append(f"it is {record.outcome}, and {sorted(beside)} run beside {droplet.live}")
    live = droplet.docker.there.get(f"backend-{droplet.live}")
    hurt = f"backend-{droplet.live}" in droplet.docker.hurt
    if droplet.live and not hurt and not droplet.app.ready(live):
        wrong.append(f"it is {record.outcome}, and backend-{droplet.live} is live and not ready")
    return wrong


def settled(droplet: Droplet) -> list[str]:
    """What is wrong where everything was settled and nothing is in the way. Empty: nothing."""
    return [
        *always(droplet),
        *_agreement(droplet),
        *_containers(droplet),
        *_schema(droplet),
        *_pins(droplet),
    ]


def _agreement(droplet: Droplet) -> list[str]:
    """Ledger, journal, live map and HAProxy say the same."""
    wrong = []
    if droplet.world.journal.read() is not None:
        wrong.append("something is still in flight")
    live = droplet.world.ledger.live()
    said = live.colour if live else None
    if droplet.live != said:
        wrong.append(f"the ledger says {said} is live, the map says {droplet.live}")
    if droplet.edge.runtime != (droplet.live or "none"):
        wrong.append(f"the map says {droplet.live}, HAProxy has {droplet.edge.runtime}")
    files = droplet.edge.maintenance()
    runtime = {name: "on" if on else "off" for name, on in files.items()}
    if droplet.edge.maps[str(droplet.paths.maintenance_map)] != runtime:
        wrong.append("HAProxy does not keep closed what the file says")
    if files["release"]:
        wrong.append("updates are kept out by a release that is over")
    return wrong


def _containers(droplet: Droplet) -> list[str]:
    """Just what is live runs, of the release that the ledger says, and it is ready."""
    wrong = []
    live = droplet.world.ledger.live()
    expected = set()
    if live is not None:
        contract = _contract(droplet, live)
        expected = {f"backend-{live.colour}"} | ({f"worker-{live.colour}"} if contract.worker else set())
    running = droplet.running - _jobs(droplet)
    if running != expected:
        wrong.append(f"{sorted(running)} run, and not {sorted(expected)}")
    for name in expected & droplet.running:
        found = droplet.docker.there[name].release
        if live is not None and found != live.release:
            wrong.append(f"{name} is of release {found}, live is {live.release}")
    if live is not None and not droplet.app.ready(droplet.docker.there.get(f"backend-{live.colour}")):
        wrong.append(f"backend-{live.colour} is live and not ready")
    known = {f"{kind}-{colour}" for kind in ("backend", "worker") for colour in ("blue", "green")}
    if strays := set(droplet.docker.there) - known - {"postgres", "redis", JOB}:
        wrong.append(f"stray containers: {sorted(strays)}")
    return wrong


def _jobs(droplet: Droplet) -> set[str]:
    """The jobs that may run: those of the release that is live."""
    live = droplet.docker.there.get(f"backend-{droplet.live}")
    job = droplet.docker.there.get(JOB)
    return {JOB} if job is not None and live is not None and job.release == live.release else set()


def _schema(droplet: Droplet) -> list[str]:
    """Where the newest record says where the schema is, it is right, and nothing is half done."""
    wrong = []
    content = droplet.database.content
    record = next(iter(droplet.world.ledger.newest_first()), None)
    said = record.schema["after"] if record else None
    if record is not None and said is not None and list(said) != content.heads:
        wrong.append(f"release {record.release} says the schema is at {said}, it is at {content.heads}")
    left = [name for name in droplet.database.databases if name != droplet.database.name]
    if left and record is not None and record.outcome != "live":
        wrong.append(f"databases were left behind: {left}")
    return wrong


def _pins(droplet: Droplet) -> list[str]:
    """Live and what a rollback may go back to keep their images and their files."""
    wrong = []
    for record in pinned(droplet.world.ledger.newest_first(), droplet.settings["backend"]["keep_releases"]):
        kept = droplet.docker.names.get(keep_name(record.origin))
        if kept is None or not record.image.endswith(f"@{kept.digest}"):
            wrong.append(f"the image of release {record.origin} is not kept")
        if droplet.docker.has(record.image) is None:
            wrong.append(f"{record.image} of release {record.origin} is gone")
        for name in ("settings.json", "contract.json"):
            text = droplet.disk.content(droplet.paths.releases / record.origin / name)
            try:
                json.loads(text or "")
            except ValueError:
                wrong.append(f"{name} of release {record.origin} is {text!r}")
    return wrong


def _contract(droplet: Droplet, live: ReleaseRecord) -> Contract:
    text = droplet.disk.content(droplet.paths.releases / live.release / "contract.json")
    with contextlib.suppress(ValueError, TypeError):
        return Contract.from_dict(json.loads(text or ""))
    container = droplet.docker.there.get(f"backend-{live.colour}")
    labels = container.image.labels if container else {}
    worker = ("worker",) if "marketplace.worker" in labels else None
    return Contract((), (), (), worker, ())
