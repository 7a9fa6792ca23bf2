"""Ships releases of the backend, takes them back, and says what is live.

Every function returns plain data; a failing one sets a non-zero exit code and still returns its data. Progress goes to
stderr, so that ``--out=json`` on stdout stays whole.

A release or rollback is done by a systemd unit of its own. Whoever asked only looks on: Ctrl-C, a lost connection or a
killed caller cost the view, and ``deploy.status`` shows how it goes on.

``by`` in records and messages is who asked: behind sudo the person and not root, with the address they came from by
ssh where that is known (``alice@203.0.113.5``).
"""

import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from marketplace_arguments import Unusable, caller, command, flag, nothing_else, seconds, switch, text
from marketplace_arguments import version as version_in
from marketplace_backup_status import status as backup_status
from marketplace_backup_world import BackupWorld
from marketplace_container import DockerTimeout
from marketplace_durable import read_json
from marketplace_effective import release_digest
from marketplace_engine import run
from marketplace_flight import Request
from marketplace_jobs import JobError, run_now
from marketplace_jobs_status import jobs_status
from marketplace_launch import launched, patience
from marketplace_ledger import LedgerError
from marketplace_lock import LockHeld
from marketplace_log_query import SPAN
from marketplace_log_query import query as log_query
from marketplace_logs import LogsError, begun, search
from marketplace_maintenance import maintain, opening_refused
from marketplace_operate import plan as look_ahead
from marketplace_operate import resume as settle
from marketplace_paths import Paths
from marketplace_release import TROUBLE
from marketplace_release_compose import project
from marketplace_settings_guard import NOT_CONVERGED, usable_settings
from marketplace_signals import interruptible
from marketplace_slo import words as slo_words
from marketplace_status import status as droplet_status
from marketplace_terminal import view
from marketplace_tree import revision
from marketplace_world import World

__virtualname__ = "deploy"
__func_alias__ = {"exec_": "exec"}
__outputter__ = {"logs": "log_lines", "history": "release_table", "status": "status_table"}

TREE = Path("/srv/deploy")
# What no release outlives, and so nobody can want to wait longer for.
LONGEST_SOAK, LONGEST_WAIT = 3600, 86400
# How often a job that somebody waits for is looked at.
JOB_LOOK_SECONDS = 0.5


def __virtual__():
    return __virtualname__


def release(version=None, image=None, maintenance=False, soak=None, wait=0, **unknown):
    """Ship a version of the backend with no lost request; whatever fails leaves the live version as it was.

    version
        Tag of ``backend:image``. Without it, it is the setting ``backend:version``; where another version is live and
        ``backend:follow_pillar`` is not set, that is refused, for it may mean either. A version that YAML reads as a
        number (1.10) needs quotes that reach Salt: ``deploy.release "'1.10'"``.
    image
        A whole image reference, with tag or digest, instead of ``backend:image`` and its tag. The version is then its
        tag, or its label ``org.opencontainers.image.version``, unless given.
    maintenance
        Let updates wait at Telegram while the schema is migrated: needed for a migration that the live version can't
        work with, or that is not transactional (``deploy.plan`` says so).
    soak
        Seconds to watch the new version before the old one is stopped; default is the setting ``backend:soak``.
    wait
        Seconds to wait for somebody else's release to end (default 0: refused while one is running).

    Returns the release record. Exit code 0 for the outcomes ``live`` and ``unchanged``; 1 for ``failed``,
    ``rolled_back`` and ``refused``, whose ``reason`` says why; for ``interrupted``, where the release's process was
    killed before it began; and for ``running``, where the view ended and the release goes on.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.release 1.4.2
        salt-call deploy.release 1.5.0 maintenance=True soak=120 wait=600
        salt-call deploy.release image=registry.example.com/team/marketplace@sha256:...
    """
    try:
        nothing_else(unknown, ("version", "image", "maintenance", "soak", "wait"))
        asked = {
            "version": version_in(version),
            "image": text("image", image, "image=registry.example.com/team/marketplace:1.4.2"),
            **_timing(maintenance, soak, wait),
        }
    except Unusable as error:
        return _refused(str(error))
    return _perform(asked)


def rollback(release=None, force_schema=False, maintenance=False, soak=None, wait=0, **unknown):
    """Go back to the release before the live one, or to a named one: its image, its settings, its schema.

    release
        Id of the release to go back to (``deploy.history`` lists them); default is the one before the live one. While
        a release is on its way, a rollback without it takes that one back.
    force_schema
        Go back although a migration in between can't be taken back, or loses data; the record says what was lost.
    maintenance, soak, wait
        As for ``deploy.release``.

    Everything is checked before the live version is touched. It needs no registry: images of the last
    ``backend:keep_releases`` releases are kept. Secrets are today's. Returns and exit codes as for ``deploy.release``.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.rollback
        salt-call deploy.rollback 20261124T081500Z
    """
    try:
        nothing_else(unknown, ("release", "force_schema", "maintenance", "soak", "wait"))
        asked = {
            "version": "",
            "image": "",
            "kind": "rollback",
            "target": text("release", release, "20261124T081500Z (see deploy.history)"),
            "force_schema": flag("force_schema", force_schema),
            **_timing(maintenance, soak, wait),
        }
    except Unusable as error:
        return _refused(str(error))
    return _perform(asked)


def plan(version=None, image=None, rollback=False, wait=0, **unknown):
    """What ``deploy.release`` would do, and what would refuse it. Changes nothing but that the image may be fetched.

    version, image, wait
        As for ``deploy.release``.
    rollback
        ``True``, or a release's id: what ``deploy.rollback`` would do instead.

    Returns ``would`` (``release``, ``rollback``, ``unchanged`` or ``refuse``), ``refusals``, and what there is to be
    done, with each pending migration, its kind and whether it can be undone. Exit code 1 where it would be refused.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.plan 1.4.2
        salt-call deploy.plan rollback=True
    """
    try:
        nothing_else(unknown, ("version", "image", "rollback", "wait"))
        back = rollback if isinstance(rollback, bool) else True
        if back and (version is not None or image is not None):
            raise Unusable(
                "a rollback has no version or image of its own: rollback=RELEASE names its release"
            )
        asked = {
            "version": version_in(version),
            "image": text("image", image, "image=registry.example.com/team/marketplace:1.4.2"),
            "kind": "rollback" if back else "release",
            "target": "" if isinstance(rollback, bool) else text("rollback", rollback, "rollback=True"),
            "wait": seconds("wait", wait, LONGEST_WAIT),
        }
        settings = _settings()
    except Unusable as error:
        return _refused(str(error))
    request = _request(asked)
    try:
        with view(sys.stderr) as progress:
            planned = look_ahead(World.of(_paths()), settings, request, progress)
    except TROUBLE as error:
        return _refused(str(error))
    if planned["would"] == "refuse":
        __context__["retcode"] = 1
    return planned


def resume():
    """Finish or undo a release that was killed, and start what should run. Runs at boot; harmless at any time.

    Returns ``live`` (the colour, or None), ``ready`` (whether it answers), and ``resumed`` (what was done, in words, or
    None); where it is refused, as while a release runs, ``outcome`` and ``reason``, with exit code 1.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.resume
    """
    try:
        settings = read_json(_paths().settings)
        if settings is None:
            return _refused(NOT_CONVERGED)
        with view(sys.stderr) as progress:
            return settle(World.of(_paths()), settings, caller(os.environ), progress)
    except (LockHeld, *TROUBLE) as error:
        return _refused(str(error))


def status():
    """The live release, its health, who holds the release lock, what is in flight, and what waits to be done.

    Of the backups and of the live release's scheduled jobs it says how they went last, and what is wrong; ``slo`` is
    the uptime of 30 days in a sentence.
    On a terminal it is a line for each thing; ``--out=nested`` or ``--out=json`` shows all.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.status
    """
    try:
        settings = read_json(_paths().settings)
        world = World.of(_paths())
        found = droplet_status(world, settings, release_digest(settings, _paths()) if settings else None)
        return found | {
            "jobs": jobs_status(world, settings),
            "slo": slo_words(world, settings, time.time()) if settings else None,
            "backups": backup_status(BackupWorld.of(_paths()), settings),
        }
    except TROUBLE as error:
        return _refused(str(error))


def history(limit=10):
    """Release records, newest first. On a terminal they are a table; ``--out=nested`` shows all of them there.

    limit
        How many at most (default 10; 0 for all).

    CLI Example:

    .. code-block:: bash

        salt-call deploy.history
        salt-call deploy.history 50 --out=json
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        return _refused(f"limit is {limit!r}, expected a whole number such as 10, or 0 for all")
    ledger = World.of(_paths()).ledger
    try:
        broken = ledger.broken()
        return [
            record.to_dict() | ({"chain_broken": True} if record.release in broken else {})
            for record in ledger.newest(limit or None)
        ]
    except LedgerError as error:
        return _refused(str(error))


def maintenance(state=None, **unknown):
    """Close the edge for updates, open it again, or show whether it is closed.

    state
        ``on``: updates are answered with 503 and Retry-After, so they wait at Telegram, for a day at most (button
        presses for 150 seconds). ``off``: they are let in again. Nothing: show.

    Returns ``closed``, and who keeps it closed: ``operator`` and ``release`` (a release with ``maintenance=True`` does
    while it migrates); it is open when neither does. It outlives reboots. ``off`` is refused while a move of PostgreSQL
    or Redis is half done: the live release still writes to the old place. So it is while data are restored or imported,
    and while a restore is not finished: what users would write then ends in what is set aside.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.maintenance
        salt-call deploy.maintenance on
    """
    try:
        nothing_else(unknown, ("state",))
        wanted = switch(state)
    except Unusable as error:
        return _refused(str(error))
    world, warning = World.of(_paths()), ""
    try:
        refusal = opening_refused(world) if wanted is False else ""
        if refusal:
            return _refused(refusal)
        if wanted is not None:
            warning = maintain(world, wanted, caller(os.environ))
        keepers = world.edge.maintenance()
    except TROUBLE as error:
        return _refused(str(error))
    if warning:
        __context__["retcode"] = 1
    return {"closed": any(keepers.values()), **keepers, **({"warning": warning} if warning else {})}


def exec_(*words, timeout=300, **unknown):
    """Run a command in the live colour's container, as its user and with its variables.

    words
        The command as one text, which is split into words as a shell would (none runs), or as a list. Salt reads
        options and numbers among plain words for its own, so quote the whole.
    timeout
        Seconds to wait for its end (default 300). A command that takes longer goes on, and is no longer waited for.

    Returns ``stdout``, ``stderr``, ``retcode`` and ``container``; of one that takes longer ``outcome`` (``running``),
    ``reason`` and ``container``; ``outcome`` is ``refused`` where it was not begun. With ``--retcode-passthrough`` the
    exit code is the command's, else 1 where that is not 0.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.exec 'python -m bot.report --days 7'
        salt-call --retcode-passthrough deploy.exec '["python", "-c", "import sys; sys.exit(3)"]'
    """
    try:
        options = [name for name in unknown if not name.startswith("__")]
        if options:
            raise Unusable(
                f"{options[0]}=... was read as an option; give the command as one text: "
                f"deploy.exec 'env {options[0]}=...'"
            )
        argv = command(words)
        patient = seconds("timeout", timeout, LONGEST_WAIT)
    except Unusable as error:
        return _refused(str(error))
    world = World.of(_paths())
    try:
        live = world.edge.live()
        if live is None:
            return _refused("nothing is live that it could run in; see deploy.status")
        done = world.docker.exec_in(project(live), argv, timeout=patient)
    except DockerTimeout:
        __context__["retcode"] = 1
        return {
            "outcome": "running",
            "reason": (
                f"it takes longer than {patient:g} s and is no longer waited for; it goes on in {project(live)}, "
                f"where docker top {project(live)} shows it"
            ),
            "container": project(live),
        }
    except TROUBLE as error:
        return _refused(str(error))
    if done.returncode:
        __context__["retcode"] = done.returncode
    return {
        "stdout": done.stdout,
        "stderr": done.stderr,
        "retcode": done.returncode,
        "container": project(live),
    }


def logs(**options):
    """What was logged, oldest first: containers, edge, releases, backups and Salt's runs in one row.

    service
        Whose: ``backend``, ``worker``, ``postgres``, ``redis``, ``edge``, ``deploy`` (releases, what is started of
        scheduled jobs, and what runs at boot), ``backup``, ``salt``, ``system`` (all else on the host); several with
        commas. Default: all but ``system``.
    since, until
        How long ago (``15m``, ``2h``, ``3d``), or a point in time. Default: the last 15 minutes; with ``update_id``
        everything that is kept, with ``release`` since that began.
    level
        The least that counts: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.
    release
        A release's id: what its containers said, and what the edge passed to them.
    update_id
        Telegram's number of an update: what edge and application said of it.
    lines
        How many of the last are shown (default 100; 0 for all).

    A stack trace is whole, with the line it belongs to. Returns rows with ``time`` (UTC), ``service``, ``source``,
    ``level``, ``message``, and where they are known ``release``, ``update_id``, ``trace`` and ``fields``. Exit code 1
    where an option cannot be meant or the journal cannot be read.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.logs
        salt-call deploy.logs service=backend,worker level=error since=1d
        salt-call deploy.logs update_id=847120934
        salt-call deploy.logs release=20261124T081500Z lines=0 --out=json
    """
    try:
        asked = log_query(options, time.time())
        found, count = search(asked, begun(World.of(_paths())))
    except (Unusable, LogsError, *TROUBLE) as error:
        return _refused(str(error))
    if not found:
        within = (
            f" in the last {SPAN // 60} minutes; since=1d looks further back"
            if "since" not in options
            else ""
        )
        print(f"nothing found{within if asked.since is not None else ''}", file=sys.stderr)
    elif count > len(found):
        print(f"the last {len(found)} of {count} lines; lines=0 shows all", file=sys.stderr)
    return [entry.row() for entry in found]


def job(name=None, **unknown):
    """Run a scheduled job of the live release at once, in a container of its own, and wait for its end.

    name
        As the image's label ``marketplace.schedule`` has it; ``deploy.status`` lists them under ``jobs``.

    One job runs at a time, and none while the edge is closed or the database is being restored. Returns the run:
    ``outcome`` (``succeeded``, ``failed``, ``timed_out``, ``stopped`` where a release was in its way, ``refused`` where
    it was not started, or ``running`` where only the view ended), ``reason``, ``exit_code``, ``seconds``, and
    ``output``, the end of what it wrote. Exit code 1 unless it succeeded.

    CLI Example:

    .. code-block:: bash

        salt-call deploy.job expire-listings
    """
    try:
        nothing_else(unknown, ("name",))
        wanted = text("name", name, "expire-listings")
        if not wanted:
            raise Unusable("which job shall run? deploy.status lists them under jobs")
        _settings()
    except Unusable as error:
        return _refused(str(error))
    try:
        with view(sys.stderr, f"Job {wanted}") as progress, interruptible():
            run = run_now(
                World.of(_paths()),
                wanted,
                caller(os.environ),
                progress,
                lambda run: time.sleep(JOB_LOOK_SECONDS),
            ).to_dict()
    except KeyboardInterrupt as signal:
        run = {"outcome": "running", "reason": f"only the view ended ({signal}); see deploy.status"}
    except (JobError, *TROUBLE) as error:
        return _refused(str(error))
    if run["outcome"] != "succeeded":
        __context__["retcode"] = 1
    return run


def _timing(maintenance, soak, wait):
    if soak is not None:
        soak = round(seconds("soak", soak, LONGEST_SOAK))
    return {
        "maintenance": flag("maintenance", maintenance),
        "soak": soak,
        "wait": seconds("wait", wait, LONGEST_WAIT),
    }


def _request(asked):
    return Request(**asked, by=caller(os.environ), tree=revision(TREE))


def _perform(asked):
    """Have it done, and look on."""
    try:
        settings = _settings()
    except Unusable as error:
        return _refused(str(error))
    request = _request(asked)
    words = f"{request.words}, asked by {request.by}"
    with view(sys.stderr, words[0].upper() + words[1:]) as progress:
        if __opts__.get("marketplace_inline"):
            # For tests: in this very process, where there is no systemd.
            answer = run(_paths(), asdict(request), progress)
        else:
            answer = launched(_paths(), asdict(request), words, patience(settings), progress)
    progress.summary(answer)
    if answer["outcome"] not in ("live", "unchanged"):
        __context__["retcode"] = 1
    return answer


def _settings():
    return usable_settings(__pillar__, _paths())


def _refused(reason):
    __context__["retcode"] = 1
    return {"outcome": "refused", "reason": reason}


def _paths():
    return Paths(Path(__opts__.get("marketplace_root", "/")))
