"""An nftables table that is in force as its file says, judged by what the kernel has loaded.

Rules that have not let a new SSH connection in do not stay: the ones before come back, by this state, or by a timer
where the run was killed. And only rules that stayed are loaded at boot.
"""

import os
from pathlib import Path
from typing import Any

from marketplace_admission import CannotVisit, answers, caller, turned_away, visitors, without_ipv6
from marketplace_durable import write_atomic
from marketplace_nft import difference, objects
from salt.utils.path import which

# Loaded into a network namespace of its own, the file is spelled exactly as the kernel spells the running table.
_SPELL = 'nft --file "$1" && nft --json list table "$2" "$3"'
# A run that is killed locks nobody out for longer. The visits take a few seconds.
RETURN_SECONDS = 60


class _Failure(Exception):
    pass


def loaded(
    name: str,
    file: str,
    family: str = "inet",
    boot: str = "",
    ssh: dict[str, Any] | None = None,
    previous: str = "/run/firewall-previous.nft",
) -> dict[str, Any]:
    """Ensure that the kernel's table equals the one in ``file``: one that was flushed or edited by hand is put back.

    Args:
        name: the table.
        file: an nft script that replaces the whole table in one transaction.
        family: the table's family.
        boot: gets a copy of ``file`` once its rules are known to be good.
        ssh: ``{port: 22, sources: [CIDR, ...]}``: from there, a new SSH connection must get in, or the rules go back.
        previous: where the rules that would come back are kept meanwhile.
    """
    ret: dict[str, Any] = {
        "name": name,
        "skip_watch": not __opts__["test"],
        "changes": {},
        "result": True,
        "comment": f"Table {family} {name} is in force",
    }
    would = {"result": None, "comment": f"Table {family} {name} would be loaded"}
    if __opts__["test"] and not (which("nft") and Path(file).exists()):
        return ret | would | {"changes": {"table": {"old": None, "new": name}}}
    table = _Table(name, family, file, boot, previous)
    try:
        changes = table.changes()
        if not changes:
            return ret
        if __opts__["test"]:
            return ret | would | {"changes": changes}
        proof = table.load(ssh)
        remaining = table.changes()
    except _Failure as error:
        return ret | {"result": False, "skip_watch": True, "comment": str(error)}
    if remaining:
        still = f"Table {family} {name} still differs from {file}"
        return ret | {"result": False, "changes": changes, "comment": still}
    return ret | {"changes": changes, "comment": f"Table {family} {name} was loaded from {file}{proof}"}


def absent(name: str, family: str = "inet") -> dict[str, Any]:
    """Ensure that the kernel has no such table. Connections that are open stay so: what it refused is let in.

    Args:
        name: the table.
        family: the table's family.
    """
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": f"There is no table {family} {name}",
    }
    listed = ("nft", "--json", "list", "table", family, name)
    if not which("nft") or not _try(*listed):
        return ret
    changes = {"table": {"old": name, "new": None}}
    if __opts__["test"]:
        return ret | {
            "result": None,
            "changes": changes,
            "comment": f"Table {family} {name} would be deleted",
        }
    try:
        _run("nft", "delete", "table", family, name)
    except _Failure as error:
        return ret | {"result": False, "comment": str(error)}
    if _try(*listed):
        return ret | {"result": False, "comment": f"Table {family} {name} is still there"}
    return ret | {"changes": changes, "comment": f"Table {family} {name} was deleted"}


def mod_watch(name: str, family: str = "inet", **_: Any) -> dict[str, Any]:
    """Predict, under test=True, what a file that is yet to be written causes; a real run has been judged already."""
    ret: dict[str, Any] = {
        "name": name,
        "changes": {},
        "result": True,
        "comment": f"Table {family} {name} is in force",
    }
    if __opts__["test"]:
        changes = {"table": {"old": "as loaded", "new": "as the new file says"}}
        return ret | {"result": None, "changes": changes, "comment": f"Table {family} {name} would be loaded"}
    return ret


class _Table:
    """One table: what it should be, and how it gets there and back."""

    def __init__(self, name: str, family: str, file: str, boot: str, previous: str) -> None:
        self.name, self.family, self.file = name, family, file
        self.boot = Path(boot) if boot else None
        self.previous = Path(previous)
        self.timer = f"firewall-return-{name}"

    def changes(self) -> dict[str, Any]:
        """How the kernel's table, or the one that is loaded at boot, differs from the file."""
        running = _try("nft", "--json", "list", "table", self.family, self.name)
        wanted = _run("unshare", "--net", "sh", "-c", _SPELL, "sh", self.file, self.family, self.name)
        found = difference(objects(running), objects(wanted))
        if self._returns():
            found["proof"] = {"old": "cut short by the end of its run", "new": "given"}
        if self.boot and not (self.boot.exists() and self.boot.read_bytes() == Path(self.file).read_bytes()):
            found["at boot"] = {"old": "other rules" if self.boot.exists() else None, "new": "these rules"}
        return found

    def load(self, ssh: dict[str, Any] | None) -> str:
        """Load the file for good; returns what was proven, for people.

        Raises:
            _Failure: the rules are what they were before, and the message says why.
        """
        if not ssh:
            _run("nft", "--file", self.file)
            self._keep()
            return ""
        port = int(ssh["port"])
        if not answers(port):
            raise _Failure(
                f"No SSH server answers on port {port}, so new rules cannot be shown to let anybody in, and the "
                "old ones stay. Start it (systemctl enable --now ssh), then apply again"
            )
        self._arm()
        try:
            _run("nft", "--file", self.file)
            sources = visitors(
                [net for net in ssh["sources"] if ":" not in net or not without_ipv6()], _caller()
            )
            refused = turned_away(sources, port)
        except (_Failure, CannotVisit, OSError) as error:
            self._go_back()
            raise _Failure(f"The old rules are back: the new ones could not be tried ({error})") from error
        if refused or not sources:
            self._go_back()
            raise _Failure(_why(refused, _caller()))
        self._disarm()
        self._keep()
        return f"; SSH let {' and '.join(sources)} in"

    def _keep(self) -> None:
        if self.boot:
            write_atomic(self.boot, Path(self.file).read_bytes(), 0o640)

    def _returns(self) -> bool:
        """Whether a timer is about to bring rules back: the run that loaded these ended before they were proven.

        Whoever has no more need of the timer removes those rules behind it.
        """
        return (
            self.previous.exists()
            and _try("systemctl", "is-active", f"{self.timer}.timer").strip() == "active"
        )

    def _arm(self) -> None:
        """Have systemd bring the rules of now back in a minute, whatever becomes of this run."""
        if self._returns():
            # What is loaded now is what another run left unproven: the rules before that are still the ones to keep.
            _run("systemctl", "stop", f"{self.timer}.timer")
        else:
            listed = _try("nft", "--stateless", "list", "table", self.family, self.name)
            table = f"table {self.family} {self.name}"
            write_atomic(self.previous, f"{table}\ndelete {table}\n{listed}\n".encode(), 0o600)
        _try("systemctl", "reset-failed", f"{self.timer}.service")
        _run(
            "systemd-run",
            "--quiet",
            "--collect",
            f"--unit={self.timer}",
            # Whoever starts it by hand has the old rules when that command returns.
            "--service-type=oneshot",
            f"--on-active={RETURN_SECONDS}",
            "--timer-property=AccuracySec=1s",
            which("nft") or "/usr/sbin/nft",
            "--file",
            str(self.previous),
        )

    def _disarm(self) -> None:
        _run("systemctl", "stop", f"{self.timer}.timer")
        self.previous.unlink(missing_ok=True)

    def _go_back(self) -> None:
        _run("nft", "--file", str(self.previous))
        self._disarm()


def _caller() -> str:
    return caller(os.getpid(), os.environ.get("SSH_CONNECTION"))


def _why(refused: dict[str, str], own: str) -> str:
    if not refused:
        return "The old rules are back: the new ones let nobody in over SSH. Name networks in firewall:ssh_sources"
    said = ", ".join(f"{source}: {answer}" for source, answer in refused.items())
    hint = "look at firewall:ssh_sources"
    if own in refused:
        hint = f"this run was started over SSH from {own}: add it to firewall:ssh_sources, or come from elsewhere"
    return f"The old rules are back: the new ones let no new SSH connection in ({said}); {hint}"


def _run(*command: str) -> str:
    result = __salt__["cmd.run_all"](list(command), python_shell=False)
    if result["retcode"]:
        raise _Failure(f"{command[0]} failed: {result['stderr'] or result['stdout']}")
    return str(result["stdout"])


def _try(*command: str) -> str:
    """What a command prints, or nothing where it fails."""
    result = __salt__["cmd.run_all"](list(command), python_shell=False, ignore_retcode=True)
    return "" if result["retcode"] else str(result["stdout"])
