"""From a base backup and the log to a server that answers: choosing, unpacking, replaying, in a container of its own.

The server that replays is of the pinned image and knows no network. Its directory is mounted where the real server has
its own, so that the result can take that one's place. Source for the rules:
https://www.postgresql.org/docs/17/continuous-archiving.html#BACKUP-PITR-RECOVERY
"""

import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from marketplace_backup_room import refuse_below
from marketplace_backup_world import BackupError, BackupWorld
from marketplace_backups import Backup, log_below
from marketplace_barman import size_of
from marketplace_database import MAJOR, Database
from marketplace_docker import confined
from marketplace_last_words import last_words
from marketplace_progress import Progress
from marketplace_units import amount

INSIDE = f"/var/lib/postgresql/data/{MAJOR}"
# Replaying 5 GB takes minutes; whatever takes this long is stuck.
LONGEST_SECONDS = 4 * 3600.0
_OURS = "# Written for a restore, and taken out again behind it."
_SHORT = "recovery ended before configured recovery target was reached"
_RESTORED = re.compile(r'restored log file "([0-9A-F]{24})"')


@dataclass(frozen=True)
class Target:
    """Where replaying ends: at the log's end, before the first commit behind a time, or at a named point.

    At most one of the two is given.
    """

    time: datetime | None = None
    point: str = ""

    @property
    def words(self) -> str:
        if self.time is not None:
            return self.time.isoformat(timespec="seconds")
        return f"restore point {self.point}" if self.point else "the end of the log"


def choose(
    bases: Iterable[Backup], target: Target, histories: Mapping[int, Mapping[int, int]], now: datetime
) -> Backup:
    """The base backup to begin from: the newest good one that is not behind the target, on the way to today.

    Args:
        bases: every base backup.
        target: where to go.
        histories: by timeline, where its ancestors were left.
        now: the time.

    Raises:
        BackupError: there is none, or the time is not in the past.
    """
    good = sorted((base for base in bases if base.good), key=lambda base: base.taken)
    if not good:
        raise BackupError("there is no good base backup; backup.list shows what there is")
    if target.time is not None and target.time > now:
        raise BackupError(f"time is {target.words}, which is still to come")
    early = [base for base in good if target.time is None or base.taken <= target.time]
    if not early:
        raise BackupError(
            f"time is {target.words}, and the oldest good base backup is of "
            f"{good[0].taken.isoformat(timespec='seconds')}: nothing before that can be restored"
        )
    usable = [base for base in early if _on_the_way(base, histories)]
    if not usable:
        raise BackupError("no good base backup leads to the log of today; backup.create takes one that does")
    return usable[-1]


def choose_now(world: BackupWorld, target: Target, now: datetime) -> Backup:
    """:func:`choose` among the backups and the log that are there.

    Raises:
        BackupError: likewise.
    """
    histories = log_below(world.barman.directory).histories
    return choose(world.catalogue.of("postgres"), target, histories, now)


def _on_the_way(base: Backup, histories: Mapping[int, Mapping[int, int]]) -> bool:
    """Whether the newest timeline comes from the backup's, behind the backup."""
    begin = base.begin
    if begin is None or base.end is None:
        return False
    newest = max(histories, default=begin.timeline)
    if newest <= begin.timeline:
        return True
    left = histories[newest].get(begin.timeline)
    return left is not None and begin.number <= left


def recovery_settings(target: Target) -> str:
    """The lines that have a server replay the log as far as the target, and then open."""
    lines = [
        _OURS,
        f'restore_command = \'cp "{INSIDE}/barman_wal/%f" "%p"\'',
        "recovery_target_timeline = 'latest'",
    ]
    if target.time is not None:
        lines.append(f"recovery_target_time = '{target.time.isoformat(sep=' ')}'")
        # What was committed at that very moment is what somebody who names it does not want.
        lines.append("recovery_target_inclusive = off")
    if target.point:
        lines.append(f"recovery_target_name = '{target.point}'")
    if target.time is not None or target.point:
        lines.append("recovery_target_action = 'promote'")
    return "\n".join([*lines, ""])


def without_recovery(text: str) -> str:
    """``postgresql.auto.conf`` without what a restore put there."""
    return text.split(_OURS, 1)[0]


class Recovery:
    """One restore of the database into a directory.

    Args:
        world: what backups touch.
        settings: the effective settings.
        directory: the data directory to be; on a file system with room for it.
        user: uid and gid that own it at the end, and run the server.
        name: of the container.
        durable: whether it is to be relied on, or only looked at.
    """

    def __init__(
        self,
        world: BackupWorld,
        settings: dict[str, Any],
        directory: Path,
        *,
        user: str,
        name: str,
        durable: bool,
    ) -> None:
        self.world, self.settings, self.directory = world, settings, directory
        self.user, self.name, self.durable = user, name, durable
        self.database = Database(world.docker, name)
        self.notes: list[str] = []

    @property
    def configuration(self) -> Path:
        return self.directory.parent / f"{self.directory.name}.conf"

    def room(self, base: Backup, passing: bool = False) -> None:
        """Refuse where the files and their log have no room, or Barman's copy of the packed ones has none meanwhile.

        Args:
            base: the backup.
            passing: whether it is thrown away again within minutes.

        Raises:
            BackupError: there is not enough.
        """
        place, needed = self.directory.parent, round(self._size(base) * 1.05)
        backups, advice = self.world.paths.backups, ": give it more (backup:disk)"
        if place.is_relative_to(backups):
            refuse_below(self.world, place, needed + base.bytes, advice, passing)
        else:
            # Nobody is let in meanwhile, so next to no log comes: the reserve for it is free to be used.
            refuse_below(self.world, backups, base.bytes, advice, passing=True)
            refuse_below(self.world, place, needed, ": make room, or give it more (postgres:disk)")

    def unpack(self, base: Backup, progress: Progress) -> str:
        """The files of the base backup and all of the log behind it, that which is just being received included."""
        world, begun = self.world, time.monotonic()
        self.discard()
        self.directory.mkdir(mode=0o700)
        shutil.chown(self.directory, "backup", "backup")
        size = max(1, int(base.facts.get("cluster", 0)) or base.bytes)

        def look() -> None:
            done = size_of(self.directory)
            rate = amount(done / (time.monotonic() - begun))
            progress.update(f"{amount(done)} of {amount(size)}, {rate}/s")

        world.barman.restore(base.id, self.directory, look)
        # What Barman has put there for a server that reads them; ours is told on its command line.
        for origin in self.directory.glob("*.origin"):
            origin.replace(origin.with_suffix(""))
        received = self._received()
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, *self._owner, follow_symlinks=False)
        total = size_of(self.directory)
        rate = amount(total / max(0.1, time.monotonic() - begun))
        return f"{amount(total)}, {rate}/s{received}"

    def start(self, target: Target) -> None:
        """Have a server replay the log.

        Raises:
            BackupError: the server does not start.
        """
        self._configure(target)
        self.world.docker.remove(self.name)
        done = self.world.docker.run_once(
            [
                "--detach", f"--name={self.name}", f"--hostname={self.name}", *self._confined(),
                f"--volume={self.configuration}:/etc/restore:ro", "--entrypoint=postgres",
                self.settings["postgres"]["reference"], "-D", INSIDE, "-c", "config_file=/etc/restore/postgresql.conf",
                "-c", "hba_file=/etc/restore/pg_hba.conf",
            ],
            timeout=120,
        )  # fmt: skip
        if done.returncode != 0:
            raise BackupError(f"the server that replays the log does not start: {done.stderr.strip()[-500:]}")

    def _confined(self) -> list[str]:
        """Arguments of ``docker run`` that keep a server to itself, with its data where a server has them."""
        uid, gid = self._owner
        return [
            *confined(self.user, 64), "--cpu-shares=256", f"--memory={self.settings['backup']['limits']['memory']}",
            f"--cpus={self.settings['postgres']['limits']['cpus']}", "--shm-size=64m",
            "--log-driver=json-file", "--log-opt=max-size=1m", "--tmpfs=/tmp:size=16m,mode=1777,noexec,nosuid,nodev",
            f"--tmpfs=/var/run/postgresql:size=1m,mode=0775,noexec,nosuid,nodev,uid={uid},gid={gid}",
            f"--volume={self.directory}:{INSIDE}",
        ]  # fmt: skip

    def wait_open(self, target: Target, progress: Progress) -> str:
        """Until the log is replayed and the server takes questions.

        A log that ends before the target is replayed to its end: so far everything is known.

        Raises:
            BackupError: the server gave up, a restore point is not in the log, or it took over ``LONGEST_SECONDS``.
        """
        begun = time.monotonic()
        replayed: set[str] = set()
        while True:
            state = self.world.docker.containers(self.name).get(self.name)
            said = self.world.docker.logs(self.name, 400)
            # Of a long log only the last of it is seen at a time.
            replayed.update(_RESTORED.findall(said))
            if state is None or not state.running:
                if _SHORT not in said:
                    raise BackupError(f"the server that replays the log gave up: {_last_words(said)}")
                if not target.time:
                    raise BackupError(f"{target.words} is not in the log")
                self.notes.append(f"the log ends before {target.words}, so it was replayed to its end")
                target = Target()
                self.start(target)
            elif self._is_open():
                return f"{len(replayed)} log segments replayed" if replayed else "replayed"
            if time.monotonic() - begun > LONGEST_SECONDS:
                raise BackupError(f"the log is not replayed after {LONGEST_SECONDS / 3600:.0f} h")
            progress.update(f"{len(replayed)} log segments so far")
            time.sleep(0.2)

    def finish(self) -> None:
        """Stop the server cleanly, and leave a data directory like any other."""
        self.world.docker.stop(self.name, grace=self.settings["postgres"]["stop_grace"])
        self.world.docker.remove(self.name)
        shutil.rmtree(self.directory / "barman_wal", ignore_errors=True)
        for leftover in (*self.directory.glob("backup_manifest*"), self.directory / ".barman-recover.info"):
            leftover.unlink(missing_ok=True)
        self._write_auto(without_recovery(self._auto()))

    def exists(self) -> bool:
        """Whether anything is left of it."""
        return self.directory.exists() or bool(self.world.docker.containers(self.name))

    def discard(self) -> None:
        """Throw away container and files, whatever state they are in; harmless where there are none."""
        self.world.docker.remove(self.name)
        for path in (self.directory, self.configuration):
            if path.exists():
                shutil.rmtree(path)

    @property
    def _owner(self) -> tuple[int, int]:
        uid, gid = self.user.split(":")
        return int(uid), int(gid)

    def _size(self, base: Backup) -> int:
        """Bytes of the files and of the log from the backup on, unpacked."""
        log = log_below(self.world.barman.directory)
        begin = base.begin
        segments = sum(1 for segment in log.files if begin and segment.number >= begin.number)
        return int(base.facts.get("cluster", 0) or base.bytes * 10) + (segments + 2) * 16 * 1024 * 1024

    def _received(self) -> str:
        """Take along what the receiver has of segments that are not put away yet, or the last seconds are lost."""
        wal = self.directory / "barman_wal"
        wal.mkdir(exist_ok=True)
        count = 0
        for file in sorted((self.world.barman.directory / "streaming").glob("0*")):
            target = wal / file.name.removesuffix(".partial")
            if not target.exists() and not (self.directory / "pg_wal" / target.name).exists():
                shutil.copyfile(file, target)
                count += 1
        return f" and {count} segments from the receiver" if count else ""

    def _configure(self, target: Target) -> None:
        auto = without_recovery(self._auto()) + recovery_settings(target)
        self._write_auto(auto)
        signal = self.directory / "recovery.signal"
        signal.touch()
        os.chown(signal, *self._owner)
        self.configuration.mkdir(mode=0o755, exist_ok=True)
        memory = self.settings["backup"]["limits"]["memory"] // 4 // 1024 // 1024
        lines = {
            "listen_addresses": "",
            "unix_socket_directories": "/var/run/postgresql",
            # Nobody looks before it is open, so it needn't allow as much as the server that wrote the log.
            "hot_standby": "off",
            "max_wal_senders": "0",
            "autovacuum": "off",
            "shared_buffers": f"{memory}MB",
            "maintenance_work_mem": "32MB",
            "max_wal_size": "512MB",
            "log_destination": "stderr",
            "fsync": "on" if self.durable else "off",
            "full_page_writes": "on" if self.durable else "off",
        }
        text = "".join(f"{name} = '{value}'\n" for name, value in lines.items())
        for name, content in (("postgresql.conf", text), ("pg_hba.conf", "local all all trust\n")):
            (self.configuration / name).write_text(content)

    def _auto(self) -> str:
        file = self.directory / "postgresql.auto.conf"
        return file.read_text() if file.exists() else ""

    def _write_auto(self, text: str) -> None:
        self.world.catalogue.disk.write(
            self.directory / "postgresql.auto.conf", text, 0o600, uid=self._owner[0], gid=self._owner[1]
        )

    def _is_open(self) -> bool:
        asked = ["psql", "-U", "postgres", "-qAtX", "-c", "SELECT pg_is_in_recovery()"]
        done = self.world.docker.exec_in(self.name, asked, timeout=30)
        return done.returncode == 0 and done.stdout.strip() == "f"


def _last_words(said: str) -> str:
    lines = [
        line
        for line in said.splitlines()
        if any(word in line for word in ("FATAL", "PANIC", "ERROR", "HINT"))
    ]
    return last_words("\n".join(lines) or said)
