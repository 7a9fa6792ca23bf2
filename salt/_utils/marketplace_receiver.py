"""The receiver of the database's log: whether it keeps up, and how to set it going again when the log ran away."""

import contextlib
import json
import subprocess
from dataclasses import dataclass

from marketplace_barman import Barman, BarmanError
from marketplace_database import Database
from marketplace_postgres import literal

SLOT = "barman"
# The server still has all that the receiver needs; of unreserved it deletes some at its next checkpoint, unless the
# receiver has caught up by then. Source: https://www.postgresql.org/docs/17/view-pg-replication-slots.html
_KEPT, _AT_RISK = ("reserved", "extended", "unreserved"), "unreserved"

# How the log is received, as JSON; null where there is no slot.
RECEPTION = f"""SELECT coalesce((SELECT json_build_object('active', s.active, 'status', s.wal_status,
  'behind', pg_wal_lsn_diff(pg_current_wal_flush_lsn(), coalesce(r.write_lsn, s.restart_lsn))::bigint)
FROM pg_replication_slots s LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
WHERE s.slot_name = '{SLOT}'), 'null')"""  # noqa: S608


@dataclass(frozen=True)
class Reception:
    """How the log is received.

    Attributes:
        active: whether a receiver is connected.
        behind: bytes that the server has written and the receiver has not; None where nobody knows.
        lost: whether the server no longer has what the receiver needs: what follows is worth nothing without a new
            base backup.
        at_risk: whether the server is about to delete what the receiver needs.
    """

    active: bool
    behind: int | None
    lost: bool
    at_risk: bool = False


class Receiver:
    """The unit that receives the log, and its slot in the server."""

    def __init__(self, database: Database, barman: Barman) -> None:
        self.database = database
        self.barman = barman

    @property
    def unit(self) -> str:
        return f"barman-receive-wal@{self.barman.server}.service"

    def look(self) -> Reception:
        """How it is.

        Raises:
            DatabaseError: PostgreSQL is not there to be asked.
        """
        found = json.loads(self.database.ask("postgres", RECEPTION))
        if found is None:
            return Reception(False, None, False)
        behind = None if found["behind"] is None else max(0, found["behind"])
        status = found["status"]
        return Reception(bool(found["active"]), behind, status not in _KEPT, status == _AT_RISK)

    def is_replaced(self) -> bool:
        """Whether the server knows nothing of a receiver that has received: it was restored, and is another now.

        Raises:
            DatabaseError: PostgreSQL is not there to be asked.
        """
        return any((self.barman.directory / "streaming").glob("0*")) and not self._has_slot()

    def finish_segment(self) -> None:
        """Have the server finish its segment, and the receiver let go of it.

        Barman takes a segment for finished when the next has begun, which on an idle server takes up to 15 seconds.
        """
        self.barman.switch()
        self.database.ask("postgres", "SELECT pg_create_restore_point('segment_finished')")

    def end_with(self, name: str) -> str:
        """Write a restore point as the log's last word; the file of the log that it is in.

        Raises:
            DatabaseError: PostgreSQL is not there to be asked.
        """
        return self.database.ask(
            "postgres",
            f"SELECT pg_walfile_name(pg_create_restore_point({literal(name)}))",
        )

    def has(self, file: str, name: str) -> bool:
        """Whether the restore point ``name`` has arrived, and all the log before it, which is received in order.

        Args:
            file: where :meth:`end_with` has put it. It is looked for by its bytes until the file is complete: on a
                busy server, the receiver may be many files further by then, or have put this one away.
        """
        streaming, whole = (
            self.barman.directory / "streaming",
            self.barman.directory / "wals" / file[:16] / file,
        )
        with contextlib.suppress(FileNotFoundError):  # It loses this name once it is complete.
            return name.encode() in (streaming / f"{file}.partial").read_bytes()
        return (streaming / file).exists() or whole.exists()

    def start_over(self) -> None:
        """Set a receiver going that has lost the log, or whose server is another now; then take a base backup.

        What it had received stays, as far as it goes.
        """
        self.stop()
        if self._has_slot():
            self.barman.run("receive-wal", "--drop-slot", self.barman.server)
        self.barman.run("receive-wal", "--create-slot", self.barman.server)
        self.barman.run("receive-wal", "--reset", self.barman.server)
        self.start()

    def stop(self) -> None:
        """Receive nothing until :meth:`start` or :meth:`start_over`, or the next boot.

        Raises:
            BarmanError: systemd says no, like :meth:`start`.
        """
        self._systemctl("stop")

    def start(self) -> None:
        """Go on receiving where it was stopped."""
        self._systemctl("start")

    def _has_slot(self) -> bool:
        slots = f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{SLOT}'"  # noqa: S608
        return self.database.ask("postgres", slots) != "0"

    def _systemctl(self, verb: str) -> None:
        command = ["systemctl", verb, self.unit]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise BarmanError(f"{' '.join(command)} failed: {done.stderr.strip()}")
