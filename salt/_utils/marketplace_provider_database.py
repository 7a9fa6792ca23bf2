"""The database at a managed provider: asked, dumped and brought back by the host's own client, over verified TLS.

There a restore point is a dump and not a second database: a provider's user may make none, and ends nobody's sessions.
"""

import os
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from marketplace_database import (
    PROGRAMS,
    PSQL,
    ROWS,
    Command,
    Database,
    DatabaseError,
    answer,
    popen,
    run,
)
from marketplace_docker import Docker
from marketplace_durable import fsync_directory, read_json
from marketplace_last_words import last_words
from marketplace_managed import is_managed, place
from marketplace_paths import Paths
from marketplace_secrets import Store, UnknownSecret

CONNECT_SECONDS = 10
# Whose schemas the user that migrates may drop and make again: all that are the application's.
_OURS = """FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"""
_EMPTIED = f"""DO $empty$
DECLARE found record;
BEGIN
  FOR found IN SELECT nspname {_OURS} AND pg_has_role(nspowner, 'USAGE') LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', found.nspname);
  END LOOP;
  -- As a new database has it: a dump says only what differs from that.
  CREATE SCHEMA IF NOT EXISTS public;
  GRANT USAGE ON SCHEMA public TO PUBLIC;
END
$empty$;
"""  # noqa: S608
_ROWS = f"""SELECT coalesce(sum({ROWS}), 0)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.oid IN (SELECT oid {_OURS})
  AND NOT EXISTS (SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
"""  # noqa: S608
# They go with their schema, and come back only for whoever may make them.
_LOST = f"""SELECT string_agg(e.extname, ', ') FROM pg_extension e
WHERE e.extnamespace IN (SELECT oid {_OURS}) AND NOT pg_has_role(e.extowner, 'USAGE')
  AND NOT EXISTS (SELECT FROM pg_available_extension_versions v WHERE v.name = e.extname AND v.trusted)"""  # noqa: S608


@dataclass(frozen=True)
class Login:
    """Who logs in where.

    Attributes:
        host, port, database: where.
        user: as whom; the password is kept out of every repr.
        authority: file with the authorities by which the server is known.
    """

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    authority: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """What libpq's programs read. Only root can look into their environment."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGDATABASE": self.database,
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": self.authority,
            "PGCONNECT_TIMEOUT": str(CONNECT_SECONDS),
            # Its own files and those of whoever calls say nothing.
            "PGPASSFILE": "/dev/null",
            "PGSERVICEFILE": "/dev/null",
        }


def login_of(settings: Mapping[str, Any], role: str, password: str, authority: str = "") -> Login:
    """How ``role`` (``owner`` or ``application``) logs in at the provider.

    Args:
        settings: the effective settings.
        password: its password.
        authority: another file than the settings' own.
    """
    postgres = settings["postgres"]
    return Login(
        host=postgres["address"],
        port=postgres["port"],
        database=postgres["database"],
        user=postgres["roles"][role],
        password=password,
        authority=authority or postgres["authority"],
    )


def database_of(paths: Paths, docker: Docker) -> Database:
    """The database as the droplet's settings have it: in its container, or at a provider."""
    with suppress(ValueError):
        settings = read_json(paths.settings)
        if settings is not None and is_managed(settings, "postgres"):
            return ProviderDatabase(docker, paths, settings)
    return Database(docker)


class ProviderDatabase(Database):
    """The application's database at a provider, as the user that migrates.

    Args:
        docker: not asked for it.
        paths: where secrets and restore points are.
        settings: the effective settings.
        login: how to log in there, where settings and store don't say it yet.
    """

    def __init__(
        self, docker: Docker, paths: Paths, settings: Mapping[str, Any], login: Login | None = None
    ) -> None:
        super().__init__(docker)
        self._given = login
        self._store, self._settings = Store(paths.secrets), settings
        self._points = paths.backups / "points"

    def points(self) -> list[str]:
        return sorted(file.stem for file in self._points.glob("*.dump"))

    def make_point(self, database: str, point: str, timeout: float) -> None:
        """Dump the database. Nobody writes meanwhile: the caller has seen to that."""
        self.drop_point(point)
        self._points.mkdir(mode=0o700, exist_ok=True)
        unfinished = self._file(point).with_suffix(".unfinished")
        with unfinished.open("wb") as stream:
            unfinished.chmod(0o600)
            run(self.command("pg_dump", "--format=custom", "--compress=zstd"), stdout=stream, timeout=timeout)
            os.fsync(stream.fileno())
        unfinished.rename(self._file(point))
        fsync_directory(self._points)

    def prove_point(self, database: str, point: str, timeout: float) -> str:
        """Read the dump to its end, count its rows, and see that the way back is open; what was found, in words.

        Raises:
            DatabaseError: it does not hold what the database does, or could not be brought back.
        """
        barred = self.ask(
            database, f"SELECT string_agg(nspname, ', ') {_OURS} AND NOT pg_has_role(nspowner, 'USAGE')"
        )
        if barred:
            raise DatabaseError(
                f"{self._user} does not own the schema {barred}, and could not go back to a restore point: "
                "make it the owner of database and schema, or have another postgres.managed.owner"
            )
        lost = self.ask(database, _LOST)
        if lost:
            raise DatabaseError(
                f"{self._user} could not make the extension {lost} anew, and so not go back to a restore point: it is "
                f"another's and not a trusted one. Have {self._user} own it (DROP EXTENSION, CREATE EXTENSION), or do "
                "without it"
            )
        expected = int(self.ask(database, _ROWS, timeout=timeout))
        with popen(self.command("pg_restore", "--data-only", "--file=-", str(self._file(point)))) as restore:
            found = rows_of(_stream(restore.stdout))
            said = _said(restore)
        if restore.returncode:
            raise DatabaseError(f"restore point {point} cannot be read to its end: {last_words(said)}")
        if found != expected:
            raise DatabaseError(f"restore point {point} holds {found} rows, the database {expected}")
        return f"a dump of {found} rows, as the database has"

    def use_point(self, database: str, point: str) -> None:
        """Put what the restore point holds in place of all there is, in one transaction.

        Where there is no such point, it was used already.

        Raises:
            DatabaseError: the point cannot be read, or PostgreSQL can't be asked or refuses; nothing has changed then.
        """
        if point not in self.points():
            return
        psql = self.command("psql", *PSQL)
        restoring = self.command(
            "pg_restore", "--file=-", f"--use-list={self._listed(point)}", str(self._file(point))
        )
        with (
            popen(restoring) as restore,
            popen(psql, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0) as server,
        ):
            to = _stream(server.stdin)
            try:
                to.write(f"BEGIN;\nSET client_min_messages = warning;\n{_EMPTIED}".encode())
                while chunk := _stream(restore.stdout).read(1 << 20):
                    to.write(chunk)
                # What ends half way is never committed.
                if restore.wait() == 0:
                    to.write(b"\nCOMMIT;\n")
                to.close()
            except BrokenPipeError:
                restore.kill()
            # Who was cut off by the other's end has nothing to say of why.
            said = _said(server) or _said(restore)
        if restore.returncode or server.returncode:
            raise DatabaseError(f"going back to {point} failed, and nothing has changed: {last_words(said)}")
        self.drop_point(point)

    def _listed(self, point: str) -> Path:
        """A list of what is in a restore point, without what only an extension's owner may say of it."""
        file = self._file(point).with_suffix(".list")
        with popen(self.command("pg_restore", "--list", str(self._file(point)))) as listing:
            lines = [line for line in _stream(listing.stdout) if b" COMMENT - EXTENSION " not in line]
            said = _said(listing)
        if listing.returncode:
            raise DatabaseError(f"restore point {point} cannot be read: {last_words(said)}")
        file.write_bytes(b"".join(lines))
        return file

    def drop_point(self, point: str) -> None:
        """Delete a restore point; a missing one is fine, and so is one that never got done."""
        for suffix in (".dump", ".unfinished", ".list"):
            self._file(point).with_suffix(suffix).unlink(missing_ok=True)

    def command(self, *argv: str) -> Command:
        program, *arguments = argv
        return Command(["nice", str(PROGRAMS / program), *arguments], self._login.environment)

    def beside(self, *argv: str) -> Command:
        return self.command(*argv)

    def _run(self, argv: list[str], timeout: float, stdin: str | None) -> subprocess.CompletedProcess[str]:
        # There is one database; what is asked of the server as a whole is answered in it, too.
        asked = [str(PROGRAMS / argv[0]), "-d", f"application_name={_application(argv)}", *argv[3:]]
        command = Command(asked, self._login.environment)
        try:
            return answer(command, timeout, stdin)
        except (OSError, subprocess.SubprocessError) as error:
            raise DatabaseError(
                f"PostgreSQL at {place(self._settings, 'postgres')} cannot be asked: {error}"
            ) from None

    @property
    def _user(self) -> str:
        return str(self._settings["postgres"]["roles"]["owner"])

    @property
    def _login(self) -> Login:
        if self._given is not None:
            return self._given
        try:
            password = self._store.read(self._settings["postgres"]["owner_secret"])
        except UnknownSecret as error:
            raise DatabaseError(f"{error}: run state.apply") from error
        return login_of(self._settings, "owner", password)

    def _file(self, point: str) -> Path:
        return self._points / f"{point}.dump"


def rows_of(script: Iterable[bytes]) -> int:
    """How many rows a dump's script has for tables: the lines between each COPY and its end. Pure."""
    rows, inside = 0, False
    for line in script:
        if inside:
            inside = line.rstrip(b"\r\n") != b"\\."
            rows += inside
        elif line.startswith(b"COPY ") and line.rstrip().endswith(b"FROM stdin;"):
            inside = True
    return rows


def _application(argv: list[str]) -> str:
    """The name under which the server lists who asks, out of a connection string."""
    words = dict(word.split("=", 1) for word in argv[2].split())
    return words.get("application_name", "deploy")


def _said(process: "subprocess.Popen[bytes]") -> str:
    """What a program complained about until its end."""
    return _stream(process.stderr).read().decode(errors="replace").strip()


def _stream(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise DatabaseError("a program was started without a pipe")
    return pipe
