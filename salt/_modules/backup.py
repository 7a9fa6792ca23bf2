"""Takes backups, looks them through, restores them on trial and in earnest, and says what there is.

What is backed up: the database (base backups, and its log as it is written: any second of the last
``backup:keep_days`` days can be restored) and the cache's snapshots. docs/backups.md says how.

Every function returns plain data; a failing one sets a non-zero exit code and still returns its data. Progress goes to
stderr.
"""

import os
import random
import sys
import time as clock
from pathlib import Path

from marketplace_arguments import Unusable, caller, flag, moment, nothing_else, seconds, text
from marketplace_background import NIGHTLY, SLICE, stand_back
from marketplace_backup_create import create as take
from marketplace_backup_status import status, where
from marketplace_backup_steps import FAILURES as BACKUP_FAILURES
from marketplace_backup_verify import verify as look_through
from marketplace_backup_world import BackupWorld
from marketplace_drill import drill as run_drill
from marketplace_durable import read_json
from marketplace_edge import EdgeError
from marketplace_fetch import fetch as bring
from marketplace_import_source import Source, refuse_provided, refuse_unusable
from marketplace_in_place import InPlace
from marketplace_key import show
from marketplace_lock import LockHeld
from marketplace_managed import is_managed
from marketplace_paths import Paths
from marketplace_rebuild import Rebuild
from marketplace_rebuild_given import given, storage
from marketplace_recovery import Target
from marketplace_restore import restore_scratch, scratch, tidy
from marketplace_restore_aside import confirm as confirm_restore
from marketplace_secrets import Store, UnknownSecret
from marketplace_settings import environment_of
from marketplace_settings_guard import usable_settings
from marketplace_ship import ship_rounds
from marketplace_ship_memory import Memory
from marketplace_signals import interruptible
from marketplace_terminal import view
from marketplace_vault import Vault

__virtualname__ = "backup"
__func_alias__ = {"list_": "list", "import_": "import"}
__outputter__ = {"list_": "table"}

FAILURES = (LockHeld, *BACKUP_FAILURES, EdgeError)


def __virtual__():
    return __virtualname__


def create(jitter=0, **unknown):
    """Take a backup of the database and the cache, look all backups through, and let go of those that are too old.

    jitter
        Begin some seconds later, up to so many (default 0): for cron, so that not every droplet begins at once. With
        it nobody waits for the end, and all of it may take a fifth of one processor at most.

    Returns ``outcome`` (``good``, ``failed`` or ``refused``), ``reason``, ``seconds``, ``steps`` and ``backups``. Exit
    code 1 unless it is good. A part that fails does not keep the others from being taken.

    CLI Example:

    .. code-block:: bash

        salt-call backup.create
    """
    try:
        nothing_else(unknown, ("jitter",))
        longest = seconds("jitter", jitter, 3600)
        settings = _settings()
    except Unusable as error:
        return _refused(str(error))
    _sleep(longest)
    _stand_back(NIGHTLY if longest else SLICE)
    return _shown(
        "Backup",
        lambda progress: take(_world(), settings, progress, caller(os.environ)),
        "good",
        "what was complete by then is kept, and the rest is cleared by the next one",
    )


def list_():
    """Every complete backup, newest first: what, when, how large (bytes), when it was last looked through, and where.

    CLI Example:

    .. code-block:: bash

        salt-call backup.list
        salt-call backup.list --out=json
    """
    try:
        world = _world()
        memory = Memory.read(world)
        return [backup.row(where(memory, backup)) for backup in world.catalogue.all()]
    except FAILURES as error:
        return _refused(str(error))


def verify(**unknown):
    """Look all backups through: every file is as it was, every log segment can be read, and none is missing.

    Returns ``outcome`` (``good``, ``bad`` or ``refused``), ``problems`` (one sentence each, naming what is wrong),
    ``past`` (the same of the log before the newest base backup, which can't be mended), ``backups`` and ``segments``
    (how many were looked at), ``until`` (the last log segment that can be restored to). Exit code 1 unless it is good.

    CLI Example:

    .. code-block:: bash

        salt-call backup.verify
    """
    try:
        nothing_else(unknown, ())
        _stand_back()
        with view(sys.stderr, "Looking the backups through") as progress, interruptible():
            progress.begin("verify")
            found = look_through(_world(), progress, caller(os.environ))
    except KeyboardInterrupt as error:
        return _refused(f"{error}: stopped")
    except (Unusable, *FAILURES) as error:
        return _refused(str(error))
    bad = bool(found["problems"] or found["past"])
    if bad:
        __context__["retcode"] = 1
    return {"outcome": "bad" if bad else "good", **found}


def restore(time=None, to="scratch", what="database", undo=False, **unknown):
    """Restore the database as it was at any second of the last ``backup:keep_days`` days; or the cache's snapshot.

    time
        A point in time, ``2026-11-24T08:15:00`` (the droplet's time zone unless it has one): what was committed before
        it is there, and nothing else. Default: everything up to now.
    to
        ``scratch``: into a server beside the live one, which is left running to look into
        (``docker exec -it postgres-scratch psql -U postgres ...``) until ``backup.discard``. ``live``: in the live
        database's place. That one needs the edge closed (``deploy.maintenance on``; updates wait at Telegram), stops
        backend, worker and jobs meanwhile, and keeps the old data aside until ``backup.confirm``. Killed at any point,
        it is taken up again by the same call; another ``time`` is refused until then. ``deploy.maintenance off`` is,
        too.
    what
        ``database``, or ``cache``: the newest snapshot that is not younger than ``time``, with ``to=live`` alone.
    undo
        Give up a restore of the database in its place that is not finished, for instance because PostgreSQL does not
        come up on what was restored: the old data are live again. Refused once it has come up. By itself.

    Of a database at a provider there is the newest dump that is not younger than ``time``, with ``to=scratch`` alone.

    Returns ``outcome`` (``restored``, ``undone``, ``failed`` or ``refused``), ``reason``, ``rows`` by table,
    ``schema``, ``steps``, ``seconds``, ``backend`` (whether the live release runs again, which was stopped) and what to
    do ``next``. Exit code 1 unless it is restored or undone.

    CLI Example:

    .. code-block:: bash

        salt-call backup.restore time=2026-11-24T08:15:00
        salt-call backup.restore to=live
        salt-call backup.restore what=cache to=live
        salt-call backup.restore undo=True
    """
    try:
        nothing_else(unknown, ("time", "to", "what", "undo"))
        back = flag("undo", undo)
        target = Target(time=moment("time", time))
        if to not in ("scratch", "live"):
            raise Unusable(f"to is {to!r}, expected scratch or live")
        if what not in ("database", "cache"):
            raise Unusable(f"what is {what!r}, expected database or cache")
        if what == "cache" and to != "live":
            raise Unusable("the cache is restored in its place or not at all: to=live")
        if back and (time is not None or what == "cache"):
            raise Unusable("undo=True is given by itself: it is about the restore that was begun")
        settings = _settings()
    except Unusable as error:
        return _refused(str(error))
    if is_managed(settings, "redis" if what == "cache" else "postgres") and (what == "cache" or to == "live"):
        return _refused(
            f"the {what} is at a provider, whose own backups restore it in its place (its console, docs/managed.md)"
            + ("" if what == "cache" else "; to=scratch shows what a dump has")
        )
    if back:
        return _shown(
            "Giving the restore up",
            lambda progress: _in_place(settings, progress).undo(),
            "undone",
            "the same command takes it up again",
        )

    def work(progress):
        if to == "scratch":
            return restore_scratch(_world(), settings, target, progress, caller(os.environ))
        if what == "cache":
            return _in_place(settings, progress).restore_cache(target)
        return _in_place(settings, progress).restore_database(target)

    title = f"Restoring the {what} to {to}, up to {target.words}"
    return _shown(title, work, "restored", "the same command takes it up again")


def import_(dump="", data="", cache="", user="postgres", database="", replace=False, **unknown):
    """Move in: put database and cache of a bot that ran elsewhere in the place of this droplet's (docs/moving.md).

    dump
        A file that ``pg_dump`` made, in its custom format (``--format=custom``) or plain (then with ``--no-owner
        --no-privileges``).
    data
        Instead of it a data directory of the same major version, copied while its server was stopped. A server of
        ours without a network reads it, and writes to it: give it a copy.
    user, database
        Of the data directory: its superuser (``POSTGRES_USER``; default ``postgres``), and the bot's database (default:
        the same name as here).
    cache
        A snapshot of Redis (``dump.rdb``).
    replace
        Whether rows that are here already may go. Default: no, and a database that has rows is refused.

    Everything is loaded beside the live database, counted, and put in its place in one transaction; it belongs to the
    roles of this droplet then. What was here stays aside until ``backup.confirm``. Needs the edge closed
    (``deploy.maintenance on``; backend, worker and jobs are stopped meanwhile), and the service here: a database at a
    provider takes no dump or data, a cache there no snapshot. Where it was killed, the same call begins anew; where the
    database has changed places by then, ``cache`` alone is left.

    Returns ``outcome`` (``imported``, ``failed`` or ``refused``), ``reason``, ``rows`` by table, ``schema``, ``aside``,
    ``notes``, ``steps``, ``seconds``, ``backend`` (whether the live release runs again) and what to do ``next``. Exit
    code 1 unless it is imported.

    CLI Example:

    .. code-block:: bash

        salt-call backup.import dump=/root/bot.dump cache=/root/dump.rdb
        salt-call backup.import data=/root/pgdata user=bot database=bot
    """
    try:
        nothing_else(unknown, ("dump", "data", "cache", "user", "database", "replace"))
        source = Source(
            dump=_path("dump", dump, "/root/bot.dump"),
            data=_path("data", data, "/root/pgdata"),
            cache=_path("cache", cache, "/root/dump.rdb"),
            user=text("user", user, "bot"),
            database=text("database", database, "bot"),
            replace=flag("replace", replace),
        )
        settings = _settings()
    except Unusable as error:
        return _refused(str(error))
    try:
        refuse_provided(settings, source)
        refuse_unusable(source)
    except FAILURES as error:
        return _refused(str(error))
    return _shown(
        "Moving in",
        lambda progress: _in_place(settings, progress).move_in(source),
        "imported",
        "the same command begins anew; where the database is imported already, backup.import cache=... alone",
    )


def _path(name, value, example):
    given = text(name, value, example)
    if given and not given.startswith("/"):
        raise Unusable(f"{name} is {given!r}, expected an absolute path such as {example}")
    return Path(given) if given else None


def discard(**unknown):
    """Throw away the scratch server of ``backup.restore to=scratch``; harmless where there is none.

    Returns ``outcome`` (``done`` or ``refused``), and ``reason`` where it is refused. Exit code 1 unless it is done.

    CLI Example:

    .. code-block:: bash

        salt-call backup.discard
    """
    try:
        nothing_else(unknown, ())
        settings = read_json(_paths().settings)
        if settings is not None:
            world = _world()
            with world.lock.held(caller(os.environ), "backup.discard"):
                scratch(world, settings).discard()
    except (Unusable, *FAILURES) as error:
        return _refused(str(error))
    return {"outcome": "done"}


def confirm(**unknown):
    """Delete what ``backup.restore to=live`` and ``backup.import`` have put aside: data, caches and databases.

    Refused while a restore is not finished.

    Returns ``outcome`` (``done`` or ``refused``), ``reason`` where it is refused, and ``deleted`` (paths, and names of
    databases). Exit code 1 unless it is done.

    CLI Example:

    .. code-block:: bash

        salt-call backup.confirm
    """
    try:
        nothing_else(unknown, ())
        return {"outcome": "done", "deleted": confirm_restore(_world(), caller(os.environ))}
    except (Unusable, *FAILURES) as error:
        return _refused(str(error))


def drill(jitter=0, **unknown):
    """Restore the newest backup on trial, beside the live database, and compare it with that one row for row.

    jitter
        As for ``backup.create``.

    A mark is set in the log, and what is in the database just then is counted. The newest backup is restored as far as
    the mark, every file of it compared with its manifest, every table and index looked into by ``pg_amcheck``, and the
    rows counted again. Nothing live is touched.

    Of a database at a provider it is the newest dump, compared with what was counted in the moment that it is of.

    Returns the record: ``outcome`` (``passed``, ``failed`` or ``refused``), ``reason``, ``rpo_seconds`` (after which
    what is written was in the backups), ``rto_seconds`` (from the order to a server that answers), ``bytes``,
    ``tables``, ``rows``, ``steps``. Exit code 1 unless it passed. Releases are refused while none has passed for
    ``backup:max_drill_age`` days.

    CLI Example:

    .. code-block:: bash

        salt-call backup.drill
    """
    try:
        nothing_else(unknown, ("jitter",))
        longest = seconds("jitter", jitter, 3600)
        settings = _settings()
    except Unusable as error:
        return _refused(str(error))
    _sleep(longest)
    _stand_back()
    return _shown(
        "Restoring the newest backup on trial",
        lambda progress: run_drill(_world(), settings, progress, caller(os.environ)),
        "passed",
        "nothing is left of it",
    )


def ship(rounds=1, every=30, **unknown):
    """Send what is new among the backups to the copy elsewhere (``backup:storage:target``), encrypted. Cron does so.

    rounds, every
        So many times (default 1), beginning every so many seconds (default 30).

    The log is sent by every round, backups by the last alone, where no round of before is at them still: they take
    their time, and log goes on meanwhile. A round that finds another one at its work is left out.

    Returns the last round: ``outcome`` (``shipped``, ``failed``, ``unchanged`` where no copy is asked for, or
    ``refused``), ``reason``, ``files``, ``dropped``. Exit code 1 unless it is shipped or unchanged. A copy that
    can't be reached for five minutes is an event; nothing else waits for it.

    CLI Example:

    .. code-block:: bash

        salt-call backup.ship
    """
    try:
        nothing_else(unknown, ("rounds", "every"))
        times, pause = round(seconds("rounds", rounds, 100)), seconds("every", every, 3600)
        settings = read_json(_paths().settings)
        if settings is None or not settings["backup"]["storage"]["target"]:
            return {"outcome": "unchanged", "reason": "backup:storage:target is not set"}
        vault, world = _vault(settings), _world()
        _stand_back()
        with interruptible():
            answer = ship_rounds(world, vault, caller(os.environ), max(1, times), pause)
    except KeyboardInterrupt as error:
        return _refused(f"{error}: stopped; the next round sends what is missing")
    except (Unusable, *FAILURES) as error:
        return _refused(str(error))
    if answer["outcome"] != "shipped":
        __context__["retcode"] = 1
    if answer["outcome"] == "failed":
        print(answer["reason"], file=sys.stderr)
    return answer


def fetch(**unknown):
    """Bring every backup from the copy elsewhere that is not on this host. Nothing that is here is touched.

    Returns ``outcome`` (``fetched`` or ``refused``), ``reason`` where it is refused, ``backups`` (how many there are
    now), ``bytes`` and ``size`` of them, and ``seconds``. Exit code 1 unless it is fetched.

    CLI Example:

    .. code-block:: bash

        salt-call backup.fetch
    """
    try:
        nothing_else(unknown, ())
        settings = _settings()
        if not settings["backup"]["storage"]["target"]:
            return _refused("there is no copy to fetch from: backup:storage:target is not set")
        with view(sys.stderr, "Fetching the backups") as progress, interruptible():
            progress.begin("fetch")
            found = bring(_world(), _vault(settings), settings, caller(os.environ))
            return {"outcome": "fetched", **found}
    except KeyboardInterrupt as error:
        return _refused(f"{error}: stopped; the same command goes on")
    except (Unusable, *FAILURES) as error:
        return _refused(str(error))


def rebuild(
    target="", key_file="", endpoint="", access_key="", secret_file="", region="", time=None, **unknown
):
    """Turn this fresh droplet into the lost one, from the copy of its backups: ``bootstrap.sh --restore-from`` does so.

    target, endpoint, region, access_key
        The copy, as the settings ``backup:storage`` had it.
    key_file
        A file with the copy's key (``backup.key`` showed it).
    secret_file
        A file with the secret that belongs to ``access_key``.
    time
        As for ``backup.restore``; default: all that there is.

    Settings, secrets, certificates and the ledger come first, then the host, the backups, the database up to its last
    second, the cache, the images of the releases, and everything else by ``state.apply``. The edge opens last. A
    rebuild that was interrupted is taken up again by the same call; a droplet that was converged before is refused.

    Returns ``outcome`` (``rebuilt``, ``failed`` or ``refused``), ``reason``, ``version``, ``release``, ``rows`` by
    table, ``schema``, ``until``, ``notes``, ``steps``, ``seconds`` and what to do ``next``. Exit code 1 unless it is
    rebuilt.

    CLI Example:

    .. code-block:: bash

        salt-call backup.rebuild target=s3:your-bucket/production endpoint=https://ams3.digitaloceanspaces.com \\
            access_key=DO00EXAMPLE secret_file=/root/secret key_file=/root/key
    """
    names = ("target", "key_file", "endpoint", "access_key", "secret_file", "region", "time")
    try:
        nothing_else(unknown, names)
        until = Target(time=moment("time", time))
        place = storage(
            text("target", target, "s3:your-bucket/production"),
            text("endpoint", endpoint, "https://ams3.digitaloceanspaces.com"),
            text("region", region, "ams3"),
            text("access_key", access_key, "DO00EXAMPLE"),
        )
        secrets = given(
            text("key_file", key_file, "/root/key"), text("secret_file", secret_file, "/root/secret")
        )
        if place["endpoint"] and "backup_storage_secret" not in secrets.values:
            raise Unusable(
                "secret_file is not given; expected a file with the secret that belongs to access_key"
            )
    except Unusable as error:
        return _refused(str(error))
    environment = environment_of(__opts__["id"])

    def work(progress):
        vault = Vault(place, secrets)
        return Rebuild(_world(), vault, environment, until, progress, caller(os.environ)).perform()

    title = f"Rebuilding this droplet from {place['target']}"
    return _shown(title, work, "rebuilt", "the same command takes it up again")


def key(**unknown):
    """Show the key of the backups' copy on the terminal, and nowhere else. Whoever loses the droplet needs it.

    ``deploy.status`` asks for it until somebody has seen it.

    CLI Example:

    .. code-block:: bash

        salt-call backup.key
    """
    try:
        nothing_else(unknown, ())
        show(_paths())
    except OSError:
        return _refused(
            "the key is shown on a terminal only, and there is none: ssh -t, then salt-call backup.key"
        )
    except (Unusable, UnknownSecret) as error:
        return _refused(str(error))
    return {"outcome": "shown"}


def check():
    """Whether the backups can be relied on: the newest is recent, none is broken, and the log is received.

    The watchdog asks the same and tells people. Cron asks every hour, which clears up behind a drill that was killed.

    Returns what ``deploy.status`` shows as ``backups``: ``newest`` by kind, ``count``, ``bytes``, ``receiver``,
    ``busy``, ``drill``, ``copy``, ``trouble`` (what is wrong, one sentence each) and ``pending`` (what waits for
    somebody). Exit code 1 where something is wrong.

    CLI Example:

    .. code-block:: bash

        salt-call backup.check
    """
    world = _world()
    try:
        settings = read_json(_paths().settings)
        if settings is not None:
            tidy(world, settings)
        found = status(world, settings)
    except FAILURES as error:
        return _refused(str(error))
    if found["trouble"]:
        __context__["retcode"] = 1
    return found


def _settings():
    return usable_settings(__pillar__, _paths())


def _in_place(settings, progress):
    return InPlace(_world(), settings, progress, caller(os.environ))


def _shown(title, work, good, left):
    """Do ``work``, shown under a title; it failed unless its outcome is ``good``. ``left``: what a Ctrl-C leaves."""
    try:
        with view(sys.stderr, title) as progress, interruptible():
            answer = work(progress)
            progress.summary(answer)
    except KeyboardInterrupt as error:
        return _refused(_noted(f"{error}: stopped; {left}", error))
    except FAILURES as error:
        return _refused(_noted(str(error), error))
    if answer["outcome"] != good:
        __context__["retcode"] = 1
    return answer


def _noted(reason, error):
    """A reason, and what became of the live release meanwhile, where something has noted that."""
    return ". ".join([reason, *getattr(error, "__notes__", [])])


def _sleep(longest):
    clock.sleep(random.uniform(0, longest))  # noqa: S311


def _stand_back(slice_=SLICE):
    if _paths().root == Path("/"):  # Elsewhere it is not this host that is backed up.
        stand_back("backup", slice_)


def _refused(reason):
    __context__["retcode"] = 1
    return {"outcome": "refused", "reason": reason}


def _vault(settings):
    return Vault(settings["backup"]["storage"], Store(_paths().secrets))


def _world():
    return BackupWorld.of(_paths())


def _paths():
    return Paths(Path(__opts__.get("marketplace_root", "/")))
