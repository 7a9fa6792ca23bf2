"""The database, as far as a release asks it: does it answer, how big is it, and a restore point to go back to.

A restore point is a second database in the same server, copied file by file from the first while nobody writes: made
and used in seconds, with no tool but the server's own. It is for the minutes of a release in maintenance mode, not a
backup. Source for the rules: https://www.postgresql.org/docs/17/sql-createdatabase.html
"""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from marketplace_container import DockerError, DockerTimeout
from marketplace_docker import Docker
from marketplace_docker_socket import PATIENT
from marketplace_last_words import last_words
from marketplace_postgres import identifier, literal

# Of the server's image, of its data, and of the host's own client: what dumps, drills and ways back are made with
# reads no other.
MAJOR = 17
# Debian's client of the images' major version.
PROGRAMS = Path(f"/usr/lib/postgresql/{MAJOR}/bin")
PREFIX = "restore_point_"
# Somebody who connects just now keeps a database from being copied or renamed.
ATTEMPTS = 5
LONGEST_SECONDS = 4 * 3600.0

# psql ends so where it could not connect or was cut off, and docker where it could not run it: there with a 1 as well,
# which out of psql's hand says that a statement was refused.
_NOT_ASKED = (2, 125, 126, 127, 137)
_DOCKER_SAYS = ("Error response from daemon", "Cannot connect to the Docker daemon", "error during connect")
# Who runs a program as the server's system user has to be let change its user and groups.
_SETUID, _SETGID = 1 << 7, 1 << 6
# Only what was asked for, and an end at the first mistake.
PSQL = ("-qAtX", "-v", "ON_ERROR_STOP=1")
# The rows of the table c in the schema n, counted by a query of its own.
ROWS = """(xpath('/row/c/text()', query_to_xml(
  format('SELECT count(*) AS c FROM %I.%I', n.nspname, c.relname), false, true, '')))[1]::text::bigint"""
_COUNTS = f"""SELECT coalesce(json_object_agg(n.nspname || '.' || c.relname, {ROWS} ORDER BY 1), '{{}}')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"""  # noqa: S608

# The revisions that a schema is at; "[]" where no migration ran, or another tool than Alembic keeps account of them.
HEADS = """(CASE WHEN to_regclass('public.alembic_version') IS NULL THEN '[]'::json ELSE
    (xpath('/row/h/text()', query_to_xml(
      'SELECT coalesce(json_agg(version_num ORDER BY 1), ''[]'') AS h FROM public.alembic_version',
      false, true, '')))[1]::text::json END)"""


class DatabaseError(Exception):
    """PostgreSQL cannot be asked, or refuses; the message is its own."""


class DatabaseDown(DatabaseError):
    """PostgreSQL cannot be asked: it does not run, or does not answer yet."""


class Command(NamedTuple):
    """A program of PostgreSQL, run where it reaches the server: argv, and what is added to the environment."""

    argv: list[str]
    environment: dict[str, str]


def surroundings(command: Command) -> dict[str, str]:
    """The environment for one of the server's programs: what a shell says of some PostgreSQL is not about this one."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith("PG")
    } | command.environment


def run(command: Command, *, stdout: Any = None, stdin: Any = None, timeout: float = LONGEST_SECONDS) -> None:
    """Run one of the server's programs.

    Raises:
        DatabaseError: it failed, or took too long; the message is its own.
    """
    try:
        done = subprocess.run(
            command.argv,
            env=surroundings(command),
            stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DatabaseError(f"{_program(command)}: {error}") from error
    if done.returncode != 0:
        raise DatabaseError(f"{_program(command)}: {last_words(done.stderr.decode(errors='replace'))}")


def answer(command: Command, timeout: float, stdin: str | None) -> subprocess.CompletedProcess[str]:
    """What one of the server's programs prints and how it ends, whatever that is.

    Raises:
        OSError: it is not there.
        subprocess.TimeoutExpired: it took longer than ``timeout`` seconds.
    """
    return subprocess.run(
        command.argv,
        env=surroundings(command),
        input=stdin or "",
        capture_output=True,
        text=True,
        errors="replace",  # what is in a database need not be UTF-8
        timeout=timeout,
        check=False,
    )


def popen(command: Command, **pipes: Any) -> "subprocess.Popen[bytes]":
    """Start one of the server's programs, its output and complaints in pipes.

    Raises:
        DatabaseError: it is not there.
    """
    wanted: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | pipes
    try:
        return subprocess.Popen(command.argv, env=surroundings(command), **wanted)
    except OSError as error:
        raise DatabaseError(f"{_program(command)}: {error}") from error


def _program(command: Command) -> str:
    return next((Path(word).name for word in command.argv if Path(word).name.startswith(("pg_", "psql"))), "")


class Database:
    """The PostgreSQL server in its container.

    Args:
        docker: how to reach the container; container: its name.
    """

    def __init__(self, docker: Docker, container: str = "postgres") -> None:
        self.docker = docker
        self.container = container

    def check(self, database: str) -> None:
        """A real query; raises DatabaseError when it is not answered."""
        self.ask(database, "SELECT 1", timeout=15)

    def size(self, database: str) -> int:
        """Bytes that the database takes on disk."""
        return int(self.ask("postgres", f"SELECT pg_database_size({literal(database)})"))

    def heads(self, database: str) -> list[str]:
        """The revisions that Alembic has written down there, without asking an image."""
        return sorted(json.loads(self.ask(database, f"SELECT {HEADS}")))

    def points(self) -> list[str]:
        """Names of the restore points that are there."""
        return self.beginning(PREFIX)

    def make_point(self, database: str, point: str, timeout: float) -> None:
        """Copy ``database`` to ``point``, in whose place it comes; sessions of the database are ended.

        Args:
            timeout: seconds that the copy may take.
        """

        def copy() -> None:
            self.drop_point(point)
            owner = self.ask(
                "postgres",
                f"SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = {literal(database)}",  # noqa: S608
            )
            self._end_sessions(database)
            self.ask(
                "postgres",
                f"CREATE DATABASE {identifier(point)} TEMPLATE {identifier(database)} OWNER {identifier(owner)} "
                "STRATEGY FILE_COPY",
                timeout=timeout,
                name=point,
            )

        _again(copy)
        # A copy has nobody's rights to the database as a whole: those are kept beside it, not in it.
        self.grant_alike(database, point)

    def grant_alike(self, database: str, other: str) -> None:
        """Who may do what with ``database`` as a whole may do the same with ``other``, and nobody else."""
        self.script(
            "postgres",
            f"REVOKE ALL ON DATABASE {identifier(other)} FROM PUBLIC;\n"
            f"SELECT format('GRANT %s ON DATABASE %I TO %s', x.privilege_type, {literal(other)},\n"
            "  CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END)\n"
            "FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x\n"
            f"WHERE d.datname = {literal(database)} \\gexec\n",
        )

    def prove_point(self, database: str, point: str, timeout: float) -> str:
        """Connect to the restore point and count every table's rows in both; what was found, in words.

        Raises:
            DatabaseError: they differ.
        """
        here, there = (self.ask(name, _COUNTS, timeout=timeout) for name in (database, point))
        if here != there:
            raise DatabaseError(f"restore point {point} is not what {database} is: {there} instead of {here}")
        return f"{len(json.loads(here))} tables, rows counted in both"

    def use_point(self, database: str, point: str) -> None:
        """Put the restore point in the database's place, in one transaction; what was there is dropped.

        Where there is no such point, it was used already: then nothing is done but the clearing up.
        """
        spoiled = f"spoiled_{point}"
        if point in self.points():
            self.change_places(database, point, spoiled)
        self.drop_point(spoiled)

    def change_places(self, database: str, other: str, kept: str) -> None:
        """``other`` becomes ``database``, which becomes ``kept``, in one transaction; sessions of both are ended."""

        def swap() -> None:
            for name in (database, other):
                self._end_sessions(name)
            self.script(
                "postgres",
                "BEGIN;\n"
                f"ALTER DATABASE {identifier(database)} RENAME TO {identifier(kept)};\n"
                f"ALTER DATABASE {identifier(other)} RENAME TO {identifier(database)};\n"
                "COMMIT;\n",
            )

        _again(swap)

    def beginning(self, prefix: str) -> list[str]:
        """Names of the databases that begin so."""
        pattern = literal(prefix.replace("_", r"\_") + "%")
        return self.ask(
            "postgres",
            f"SELECT datname FROM pg_database WHERE datname LIKE {pattern} ORDER BY 1",  # noqa: S608
        ).split()

    def drop_point(self, point: str) -> None:
        """Drop a restore point; a missing one is fine, and one that is still being made is no longer made.

        A copy goes on in the server when its client is gone, and is in nobody's sight until it is complete.
        """
        making = literal(point)
        self.ask(
            "postgres",
            f"SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = {making}",  # noqa: S608
        )
        self.ask("postgres", f"DROP DATABASE IF EXISTS {identifier(point)} WITH (FORCE)")

    def _end_sessions(self, database: str) -> None:
        ended = f"SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = {literal(database)}"  # noqa: E501, S608
        self.ask("postgres", ended)

    def ask(self, database: str, query: str, timeout: float = 60, name: str = "deploy") -> str:
        """What the superuser is answered, as text.

        Raises:
            DatabaseError: PostgreSQL is not there, or refuses.
        """
        return self._psql(f"dbname={database} application_name={name}", timeout, "-c", query)

    def script(self, database: str, text: str, timeout: float = 60) -> str:
        """Have psql run a script; what it printed.

        Raises:
            DatabaseError: PostgreSQL is not there, or a statement was refused.
        """
        return self._psql(f"dbname={database} application_name=deploy", timeout, stdin=text)

    def command(self, *argv: str) -> Command:
        """One of the server's own programs, such as ``pg_dump``, ready to be run; it reads standard input."""
        inside = ["docker", "exec", "--interactive", "--env=PGUSER=postgres", self.container, "nice"]
        return Command([*inside, *argv], {})

    def beside(self, *argv: str) -> Command:
        """As :meth:`command`, but the host's own program, at the server's socket.

        What it computes is not taken from the container's share of the processors, which is the queries': a limit of
        the container knows no priorities.

        Raises:
            DatabaseDown: the server does not run.
        """
        reached = self._at_socket()
        program, *arguments = argv
        return Command([*reached.argv, "nice", str(PROGRAMS / program), *arguments], reached.environment)

    def _at_socket(self, timeout: float = PATIENT) -> Command:
        """What has a program of the host's reach the server by its socket, as the server's own system user.

        Args:
            timeout: seconds that Docker may take to say where the server is.

        Raises:
            DatabaseDown: the server does not run.
        """
        try:
            state = self.docker.containers(self.container, timeout=timeout).get(self.container)
            if state is None or not state.pid:
                raise DatabaseDown(f"PostgreSQL: the container {self.container} does not run")
            process = Path(f"/proc/{state.pid}")
            # The server believes its own system user without a password, and knows it by the number.
            owner = process.stat()
        except (DockerError, OSError) as error:
            raise DatabaseDown(f"PostgreSQL cannot be asked: {error}") from error
        user = [
            "setpriv",
            f"--reuid={owner.st_uid}",
            f"--regid={owner.st_gid}",
            "--clear-groups",
            "--pdeathsig=KILL",
        ]
        return Command(user, {"PGHOST": str(process / "root/run/postgresql"), "PGUSER": "postgres"})

    def _psql(self, database: str, timeout: float, *arguments: str, stdin: str | None = None) -> str:
        """What psql prints.

        Raises:
            DatabaseDown: it could not ask; DatabaseError: a statement was refused, or took too long.
        """
        result = self._run(["psql", "-d", database, *PSQL, *arguments], timeout, stdin)
        if result.returncode < 0:
            raise DatabaseDown(f"PostgreSQL cannot be asked: psql was ended by signal {-result.returncode}")
        if result.returncode != 0:
            away = result.returncode in _NOT_ASKED or result.stderr.startswith(_DOCKER_SAYS)
            refused = DatabaseDown if away else DatabaseError
            raise refused(f"PostgreSQL: {last_words(result.stderr.strip() or result.stdout)}")
        return result.stdout.strip()

    def _run(self, argv: list[str], timeout: float, stdin: str | None) -> subprocess.CompletedProcess[str]:
        """A program that asks the server; the result is returned whatever its exit code.

        The host's own starts six times as fast as one in the container, and ends with whoever waited for it.

        Raises:
            DatabaseDown: it could not be run; DatabaseError: it took too long.
        """
        program, *arguments = argv
        begun = time.monotonic()
        try:
            if not ((PROGRAMS / program).exists() and _may_be_others()):
                # On a host that is only being set up the client comes behind the server; a unit in a sandbox may have
                # to stay who it is.
                asked = [program, "-U", "postgres", *arguments]
                return self.docker.exec_in(self.container, asked, timeout=timeout, stdin=stdin)
            reached = self._at_socket(min(timeout, PATIENT))
            asking = Command([*reached.argv, str(PROGRAMS / program), *arguments], reached.environment)
            return answer(asking, max(0.1, timeout - (time.monotonic() - begun)), stdin)
        except (DockerTimeout, subprocess.TimeoutExpired) as error:
            raise DatabaseError(
                f"PostgreSQL cannot be asked: {program} took longer than {timeout:.0f} s"
            ) from error
        except (DockerError, OSError) as error:
            raise DatabaseDown(f"PostgreSQL cannot be asked: {error}") from error


def _may_be_others() -> bool:
    """Whether this process may run a program as another user."""
    status = Path("/proc/self/status").read_text()
    held = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(held & _SETUID and held & _SETGID)


def _again(action: Callable[[], None]) -> None:
    for attempt in range(ATTEMPTS):
        try:
            action()
        except DatabaseError as error:
            if "being accessed by other users" not in str(error) or attempt == ATTEMPTS - 1:
                raise
        else:
            return


def point_of(release: str) -> str:
    """The restore point's name for a release."""
    return PREFIX + release.lower().replace("-", "_")
