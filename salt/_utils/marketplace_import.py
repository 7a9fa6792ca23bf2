"""Moving in: database and cache of a bot that ran elsewhere take the place of this droplet's.

The database is loaded beside the live one, in the same server, and the two change names in one transaction: nothing is
stopped for it, the log goes on, and any second before can be restored as ever. It comes from a dump, or from a data
directory of the same major version, which a server without a network reads.
"""

import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

from marketplace_backup_steps import Steps
from marketplace_backup_world import BackupError, BackupWorld
from marketplace_barman import size_of
from marketplace_census import Census, census
from marketplace_database import Database, DatabaseError
from marketplace_import_pour import LONGEST_SECONDS, load_file, pour
from marketplace_import_source import Source, is_custom, refuse_unusable
from marketplace_postgres import identifier
from marketplace_progress import Progress
from marketplace_restore_begun import half_done
from marketplace_restore_cache import discard_ready, exchange_cache, ready_cache
from marketplace_units import amount

CONTAINER, READER = "postgres", "postgres-import"
# Names of databases: what is being loaded, and what was there before until somebody confirms.
LOADING, ASIDE = "import_", "before_import_"
START_SECONDS = 600.0
# How the server on a data directory is set, as arguments: a file's lines give way to the postgresql.auto.conf that came
# with it, which may name libraries, files and a port that are not here.
_OWN = {
    "listen_addresses": "",
    "unix_socket_directories": "/var/run/postgresql",
    "port": "5432",
    "ssl": "off",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "huge_pages": "off",
    "max_connections": "20",
    "autovacuum": "off",
    "wal_level": "replica",
    "archive_mode": "off",
    "default_transaction_read_only": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
}
# What a compressed dump becomes, indexes and all, and no more.
UNPACKED = 5
# As the live database has them: who may use its schema, and what its owner makes.
_RIGHTS = """SELECT format('GRANT %s ON SCHEMA public TO %I;', x.privilege_type, pg_get_userbyid(x.grantee))
  FROM pg_namespace n, aclexplode(n.nspacl) x WHERE n.nspname = 'public' AND x.grantee NOT IN (0, n.nspowner)
UNION ALL SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT %s ON %s TO %I;', pg_get_userbyid(d.defaclrole),
    x.privilege_type, CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' ELSE 'SCHEMAS' END,
    pg_get_userbyid(x.grantee))
  FROM pg_default_acl d, aclexplode(d.defaclacl) x WHERE d.defaclnamespace = 0 AND d.defaclobjtype IN ('r', 'S', 'n')
    AND x.grantee NOT IN (0, d.defaclrole)"""


def imported(
    world: BackupWorld, settings: dict[str, Any], source: Source, progress: Progress, by: str
) -> dict[str, Any]:
    """Move in. Nobody writes meanwhile: the caller has seen to that. What was killed is begun anew by the next call.

    Returns:
        ``outcome`` (``imported`` or ``failed``), ``reason``, ``rows`` by table, ``schema``, ``aside`` (the database
        that was here before, and the cache), ``notes``, ``steps``, ``seconds``; what to do ``next`` where it failed
        half way.

    Raises:
        LockHeld: somebody is at the backups already.
        BackupError: what is given can't be used, or something else is half done; nothing was touched.
    """
    refuse_unusable(source)
    with world.lock.held(by, "backup.import"):
        waiting = half_done(world.paths, world.catalogue.disk)
        if waiting:
            raise BackupError(waiting)
        begun = world.clock.monotonic()
        run = _Import(world, settings, source, progress, by)
        try:
            run.perform()
        finally:
            run.clear()
        return run.answer() | {"seconds": round(world.clock.monotonic() - begun, 1)}


class _Import:
    def __init__(
        self, world: BackupWorld, settings: dict[str, Any], source: Source, progress: Progress, by: str
    ) -> None:
        self.world, self.settings, self.source, self.by = world, settings, source, by
        self.steps = Steps(progress)
        self.reader = Database(world.docker, READER)
        self.live = settings["postgres"]["database"]
        self.mark = f"{world.clock.now():%Y%m%dt%H%M%S}"
        self.found: Census | None = None
        self.there: Census | None = None
        self.aside: list[str] = []
        self.notes: list[str] = []
        self.swapped = False

    def perform(self) -> None:
        """All of it, until a step fails."""
        steps = [("look", self.look)]
        if self.source.cache:
            steps.append(("check", self.check))
        if self.source.data:
            steps.append(("read", self.read))
        if self.source.dump or self.source.data:
            steps += [("load", self.load), ("count", self.count), ("swap", self.swap)]
        if self.source.cache:
            steps.append(("cache", self.cache))
        self.steps.all(*steps)

    def look(self) -> str:
        """Whether there are rows that would go, and room for those that come."""
        if not (self.source.dump or self.source.data):
            return "the database stays"
        here = census(self.world.database, self.live)
        rows = _rows(here)
        if rows and not self.source.replace:
            most = ", ".join(f"{table} ({count})" for table, count in sorted(rows.items())[:4])
            raise BackupError(
                f"the database {self.live} has rows: {most}. Where they may go, replace=True; they stay aside until "
                "backup.confirm"
            )
        self.aside = [f"{ASIDE}{self.mark}"] if rows else []
        for leftover in self.world.database.beginning(LOADING):
            self.world.database.drop_point(leftover)
        size = size_of(self.source.data) if self.source.data else _size(self.source.dump) * UNPACKED
        free, _ = self.world.host.free(self.world.paths.root / "srv/data/postgres/data")
        if free < size:
            raise BackupError(
                f"{amount(size)} may be needed in /srv/data/postgres and {amount(free)} are free: a larger "
                "postgres:disk and state.apply grow it in use"
            )
        return f"{amount(size)} needed at most, {amount(free)} free"

    def check(self) -> str:
        """Redis's own program reads the snapshot: what it can't is known before anything is exchanged."""
        file = self.source.cache or Path()
        ready_cache(self.world, self.settings, lambda ready: shutil.copyfile(file, ready))
        return f"{amount(_size(file))}"

    def read(self) -> str:
        """A server of the pinned image, without a network, on the data directory."""
        data = self.source.data or Path()
        owner = (data / "PG_VERSION").stat()
        user = f"{owner.st_uid}:{owner.st_gid}"
        memory = self.settings["backup"]["limits"]["memory"]
        own = _OWN | {"shared_buffers": f"{memory // 4 // 1024 // 1024}MB"}
        self.world.docker.remove(READER)
        done = self.world.docker.run_once(
            [
                "--detach", f"--name={READER}", "--network=none", "--read-only", "--cap-drop=ALL",
                "--security-opt=no-new-privileges", f"--user={user}", f"--memory={memory}", "--pids-limit=64",
                "--shm-size=64m", "--log-driver=json-file", "--log-opt=max-size=1m",
                "--tmpfs=/tmp:size=16m,mode=1777,noexec,nosuid,nodev",
                f"--tmpfs=/var/run/postgresql:size=1m,mode=0775,noexec,nosuid,nodev,uid={owner.st_uid},gid={owner.st_gid}",
                f"--volume={data}:/data", f"--volume={self._configuration()}:/etc/import:ro", "--entrypoint=postgres",
                self.settings["postgres"]["reference"], "-D", "/data",
                "-c", "config_file=/etc/import/postgresql.conf", "-c", "hba_file=/etc/import/pg_hba.conf",
                "-c", "ident_file=/etc/import/pg_ident.conf",
                *(word for name, value in own.items() for word in ("-c", f"{name}={value}")),
            ],
            timeout=120,
        )  # fmt: skip
        if done.returncode != 0:
            raise BackupError(f"no server starts on {data}: {done.stderr.strip()[-500:]}")
        begun = time.monotonic()
        while not self._answers():
            state = self.world.docker.containers(READER).get(READER)
            if state is None or not state.running or time.monotonic() - begun > START_SECONDS:
                said = self.world.docker.logs(READER, 30).splitlines()
                raise BackupError(f"the server on {data} does not come up: {' / '.join(said[-3:])}")
            time.sleep(0.2)
        self.there = census(self.reader, self._database)
        return f"{sum(self.there.rows.values())} rows in {self._database}"

    def load(self) -> str:
        """Everything, into a database of its own that belongs to the owner of the live one."""
        name, owner = self._loading, self.settings["postgres"]["roles"]["owner"]
        ask = self.world.database.ask
        ask("postgres", f"CREATE DATABASE {identifier(name)} OWNER {identifier(owner)} TEMPLATE template0")
        rights = ask(self.live, _RIGHTS)
        self.world.database.script(name, f"REVOKE ALL ON SCHEMA public FROM PUBLIC;\n{rights}\n")
        common = ["--username=postgres", f"--dbname={name}", "--single-transaction"]
        restore = [
            "pg_restore",
            *common,
            "--no-owner",
            "--no-privileges",
            f"--role={owner}",
            "--exit-on-error",
        ]
        if self.source.dump is None:
            dump = ["pg_dump", "--username=postgres", "--format=custom", "--compress=0", self._database]
            pour(["docker", "exec", READER, *dump], ["docker", "exec", "--interactive", CONTAINER, *restore])
        elif is_custom(self.source.dump):
            load_file(self.source.dump, ["docker", "exec", "--interactive", CONTAINER, *restore])
        else:
            plain = ["psql", *common, "--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
            plain += [f"--command=SET ROLE {identifier(owner)}", "--file=-"]
            load_file(self.source.dump, ["docker", "exec", "--interactive", CONTAINER, *plain])
        self.world.database.script(name, "ANALYZE;\n", LONGEST_SECONDS)
        return f"{amount(self.world.database.size(name))} in {name}"

    def count(self) -> str:
        """Whether it is what was there; from a dump, for people to judge."""
        self.found = census(self.world.database, self._loading)
        wrong = self.there.differences(self.found) if self.there else []
        if wrong:
            raise BackupError("; ".join(wrong))
        if not self.found.rows:
            raise BackupError("there is no table in it: is it a dump of the bot's database?")
        if not self.found.heads:
            self.notes.append(
                "there is no alembic_version in it: migrations would begin from nothing. Where the old host has the "
                "schema of a revision, stamp it there (alembic stamp REVISION) and import again"
            )
        return f"{len(self.found.rows)} tables, {sum(self.found.rows.values())} rows"

    def swap(self) -> str:
        """It becomes the live database, in one transaction."""
        kept = f"{ASIDE}{self.mark}"
        self.world.database.grant_alike(self.live, self._loading)
        self.world.database.change_places(self.live, self._loading, kept)
        self.swapped = True
        self._tell(f"{sum(self.found.rows.values())} rows" if self.found else "the database")
        # Once more: since it was looked at, somebody may have written after all.
        if not self.aside and _rows(census(self.world.database, kept)):
            self.aside = [kept]
        if not self.aside:
            self.world.database.drop_point(kept)
        return f"what was here is in the database {kept}" if self.aside else "nothing was here before"

    def cache(self) -> str:
        """Redis begins with the snapshot."""
        kept = exchange_cache(self.world, self.settings)
        self.aside += map(str, kept)
        if not self.swapped:
            self._tell("the cache")
        return f"what it had is in {kept[0]}" if kept else "it had nothing"

    def clear(self) -> None:
        """Nothing is left of a way there, however it ended."""
        self.world.docker.remove(READER)
        shutil.rmtree(self._place, ignore_errors=True)
        if self.source.cache:
            discard_ready(self.world)
        if self.steps.reason and (self.source.dump or self.source.data):
            # Where the server is away, the next import drops it.
            with contextlib.suppress(DatabaseError):
                self.world.database.drop_point(self._loading)

    def answer(self) -> dict[str, Any]:
        """What the caller is told."""
        reason = self.steps.reason
        # The same command once more would find rows that it must not replace.
        todo = f"backup.import cache={self.source.cache}" if self.source.cache else "backup.confirm"
        left = (
            {"next": [f"the database is imported; what is left: {todo}"]} if reason and self.swapped else {}
        )
        return left | {
            "outcome": "failed" if reason else "imported",
            "reason": reason,
            "rows": self.found.rows if self.found else {},
            "schema": list(self.found.heads) if self.found else [],
            "aside": self.aside,
            "notes": self.notes,
            "steps": self.steps.done,
        }

    def _tell(self, what: str) -> None:
        self.world.spool.try_emit("data.imported", "warning", f"{self.by} has imported {what}")

    @property
    def _database(self) -> str:
        return self.source.database or self.live

    @property
    def _loading(self) -> str:
        return f"{LOADING}{self.mark}"

    @property
    def _place(self) -> Path:
        return self.world.paths.run / "import"

    def _configuration(self) -> Path:
        """Theirs may name what is not here. What this server needs is in its arguments (``_OWN``)."""
        self._place.mkdir(mode=0o755, parents=True, exist_ok=True)
        for name, text in (
            ("postgresql.conf", ""),
            ("pg_hba.conf", "local all all trust\n"),
            ("pg_ident.conf", ""),
        ):
            (self._place / name).write_text(text)
            (self._place / name).chmod(0o644)
        return self._place

    def _answers(self) -> bool:
        """Their superuser may have another name than ours: then there are two."""
        script = (
            "SELECT 'CREATE ROLE postgres SUPERUSER LOGIN' WHERE NOT EXISTS "
            "(SELECT FROM pg_roles WHERE rolname = 'postgres') \\gexec\n"
        )
        psql = ["psql", "-U", self.source.user, "-d", "template1", "-qAtX", "-v", "ON_ERROR_STOP=1"]
        return self.world.docker.exec_in(READER, psql, timeout=30, stdin=script).returncode == 0


def _rows(found: Census) -> dict[str, int]:
    """The tables that have rows, and how many; the schema's revision is none of the bot's data."""
    return {
        table: count for table, count in found.rows.items() if count and table != "public.alembic_version"
    }


def _size(file: Path | None) -> int:
    return file.stat().st_size if file else 0
