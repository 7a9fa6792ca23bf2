"""The watchdog as a process: looks every few seconds, restarts what hangs, and has people told of what is wrong.

systemd runs it (marketplace-watch.service), and restarts it when it hangs itself. What it knows is kept, so that an end
and a new start change nothing for who is told.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import marketplace_survey_rules
import marketplace_watch_rules
from marketplace_alert_outbox import Letter
from marketplace_conditions import Condition, Finding, Tracker
from marketplace_container import DockerError
from marketplace_durable import DISK, make_directory, read_json, to_json
from marketplace_paths import Paths
from marketplace_postman import Postman
from marketplace_slo_budget import goal_of, query_seconds
from marketplace_slo_files import Record
from marketplace_slo_lines import ANSWERS, QUERIES, RESTARTS, UNREAD, named
from marketplace_slo_probe import Prober
from marketplace_slo_recorder import Recorder
from marketplace_slo_traces import gap, machine
from marketplace_spool import Spool
from marketplace_surveyor import Surveyor
from marketplace_watch_figures import figures
from marketplace_watch_heal import MOST, WITHIN, Budget, Cure, cures
from marketplace_watch_history import History
from marketplace_watch_look import Look
from marketplace_watch_seen import UNITS, Seen

EVERY = 3.0
# After a boot, services are not missed before all have come up, or have had this long to.
BOOT_SECONDS = 240.0
# A process that hangs gets so long to end in order.
GRACE_SECONDS = 1
_SHOWN_EVERY = 30.0
# The survey behind which the dead man's switch is told must not be older.
_BLIND_SECONDS = 300.0
# Files that were just changed may still be changing.
_SETTLED = 10.0
# How the edge answers while it is closed.
_CLOSED = 503


class Watch:
    """The watchdog of one droplet.

    Args:
        paths: its files.
    """

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.spool = Spool(paths.spool)
        self.look, self.history, self.surveyor = Look(paths), History(), Surveyor()
        kept = _kept(paths.watch)
        self.quick = Tracker(marketplace_watch_rules.timing, kept["quick"])
        self.thorough = Tracker(marketplace_survey_rules.timing, kept["thorough"])
        self.budget = Budget(kept["budget"])
        self.postman = Postman(paths, kept["letters"], kept["began"])
        # /run is empty after a boot.
        self.prober = Prober(paths)
        self._closed = False
        self.recorder = Recorder(Record(paths.slo), machine(paths.root), time.time())
        self.figures: dict[str, Any] = {}
        booting = not paths.watched.exists()
        self._booted = time.monotonic() if booting else -BOOT_SECONDS
        self._written, self._shown, self._unkept, self._ended = "", 0.0, False, False
        if booting and not kept["ended"]:
            words = "the droplet has come up, and was not shut down in order: power, kernel, or a reset"
            self.spool.try_emit("host.rebooted", "warning", words, {})

    def turn(self, settings: dict[str, Any]) -> None:
        """Look, act, tell."""
        seen = self.look.seen(settings)
        self.history.note(seen)
        self.probe(seen, settings)
        given_up = self.heal(seen)
        limits = settings["monitoring"]["thresholds"] | {"query": query_seconds(settings)}
        found = marketplace_watch_rules.findings(seen, self.history, limits, self.quick.active)
        spent = self.recorder.findings(seen.at, goal_of(settings))
        self.quick.update([*self._missed(found, seen), *given_up, *spent], seen.at)
        self.count(self.surveyor.turn(), seen.at)
        # Until the first survey has ended, nobody knows whether what was wrong before a restart still is.
        if self.surveyor.found or self.surveyor.errors:
            self.thorough.update(
                marketplace_survey_rules.findings(
                    self.surveyor.found, self.surveyor.errors, seen.at, bool(seen.closed)
                ),
                seen.at,
            )
        self.postman.turn(self.active, settings, seen.at)
        if time.monotonic() - self.surveyor.finished < _BLIND_SECONDS:
            self.postman.ping(settings, seen.at)
        self.figures = figures(seen, self.history, self.surveyor.found)
        self.keep(seen.at)

    def probe(self, seen: Seen, settings: dict[str, Any]) -> None:
        """Have the edge asked as the outside asks it, and write down what was seen."""
        # What a lost droplet or database takes is no planned maintenance, though the edge is closed for it.
        closed = bool(seen.closed) and not seen.restoring and not self.paths.rebuild.exists()
        probe = self.prober.turn(settings, seen.at)
        if probe is not None:
            # It was asked for at an earlier look.
            planned = (closed or self._closed) and probe.status == _CLOSED
            self.recorder.probed(probe, planned, partial(gap, self.paths))
        self._closed = closed
        restarts = self.history.restarts.latest
        self.recorder.note({f"{RESTARTS}.{service}": times for service, times in restarts.items()}, seen.at)
        self.recorder.turn(seen.at)

    def count(self, parts: list[str], at: float) -> None:
        """Take in what a survey has found of restarts, answers and queries."""
        if "restarts" in parts:
            # A survey may have looked before the watchdog itself did it.
            told = self.surveyor.found["restarts"].items()
            counts = {name: times for name, times in told if not self.budget.resting(name, at)}
            grown = self.history.restarts.note_units(counts, at)
            self.recorder.note({f"{RESTARTS}.{service}": times for service, times in grown.items()}, at)
        for part, prefix, late in (
            ("answers", ANSWERS, self.history.slow_answers),
            ("queries", QUERIES, self.history.slow_queries),
        ):
            if part not in parts:
                continue
            found = self.surveyor.found[part]
            if found is None:
                self.recorder.note({UNREAD: 1}, at)
                continue
            late.note(at, found["count"], found["slow"])
            kinds = {f"{prefix}.{kind}": number for kind, number in found.get("kinds", {}).items()}
            counts = {prefix: found["count"], f"{prefix}.slow": found["slow"], **kinds}
            self.recorder.note(counts | named(prefix, found["milliseconds"]), at)

    @property
    def active(self) -> list[Condition]:
        """What people have to hear of."""
        # Both may have seen the same thing; the quick look's is newer.
        return list((self.thorough.active | self.quick.active).values())

    def _missed(self, found: Iterator[Finding], seen: Seen) -> list[Finding]:
        young = time.monotonic() - self._booted < BOOT_SECONDS
        if young and all(one.status == "healthy" for one in marketplace_watch_rules.health(seen).values()):
            self._booted, young = -BOOT_SECONDS, False
        return [finding for finding in found if not (young and finding.name.startswith("service."))]

    def heal(self, seen: Seen) -> list[Finding]:
        """Restart what hangs, or was not started for want of room; what was restarted too often is said, and left."""
        given_up = []
        for cure in cures(seen, self.history):
            if self.budget.resting(cure.service, seen.at):
                continue
            if self.budget.used(cure.service, seen.at) >= MOST:
                often = f"was restarted {MOST} times within {WITHIN / 60:.0f} minutes"
                words = f"{cure.why}, and {often}: it is left to you"
                given_up.append(
                    Finding("service.given_up", cure.service, "critical", words, "", "salt-call health.check")
                )
                continue
            self.budget.spend(cure.service, seen.at)
            self.recorder.note({f"{RESTARTS}.{cure.service}": 1}, seen.at)
            words = f"{cure.why}: {self._restart(cure, seen)}"
            print(words, flush=True)
            self.spool.try_emit("watch.restarted", "warning", words, {"service": cure.service})
        return given_up

    def _restart(self, cure: Cure, seen: Seen) -> str:
        try:
            if cure.service == "edge":
                # systemd starts it again; it gets no answer to a polite word either.
                kill = ["systemctl", "kill", "--signal=KILL", UNITS["edge"]]
                subprocess.run(kill, capture_output=True, timeout=20, check=True)
                self.history.restarts.ours(cure.service)
            else:
                if cure.room:
                    make = ["systemctl", "start", "docker-reserve.service"]
                    subprocess.run(make, capture_output=True, timeout=20, check=True)
                self.look.docker.restart((seen.containers or {})[cure.service].name, GRACE_SECONDS)
        except (DockerError, OSError, subprocess.SubprocessError) as error:
            return f"it could not be restarted ({error})"
        return "it was restarted"

    def stop(self) -> None:
        """End what is on its way, and write down that this end is in order."""
        self.surveyor.stop()
        self.prober.stop()
        self.postman.stop()
        self.recorder.stop()
        self._ended, self._written = True, ""
        self.keep(time.time())

    def keep(self, now: float) -> None:
        """Write down what must outlive this process, and what health.check shows."""
        letters = [(letter.key, letter.ends, letter.taken, letter.told) for letter in self.postman.letters]
        keys = sorted(condition.finding.key for condition in self.active)
        mark = to_json([keys, letters, self.budget.spent, self.postman.began])
        if mark != self._written or now - self._shown >= _SHOWN_EVERY:
            shown = {"looked": now, "alerts": [condition.to_dict() for condition in self.active]}
            make_directory(self.paths.watched.parent)
            shown |= {"trouble": self.postman.trouble, "figures": self.figures}
            DISK.write(self.paths.watched, to_json(shown))
            self._shown = now
        # Who asks is answered from memory (/run), also while there is no room on the disk.
        if mark != self._written:
            state = {
                "quick": [condition.to_dict() for condition in self.quick.active.values()],
                "thorough": [condition.to_dict() for condition in self.thorough.active.values()],
                "letters": [letter.to_dict() for letter in self.postman.letters],
                "began": self.postman.began,
                "budget": self.budget.spent,
                "ended": self._ended,
            }
            self._keep(to_json(state), mark)

    def _keep(self, state: str, mark: str) -> None:
        try:
            make_directory(self.paths.watch.parent)
            DISK.write(self.paths.watch, state, mode=0o600)
        except OSError as error:
            if not self._unkept:
                print(f"what is known can't be kept, which a restart would lose: {error}", flush=True)
            self._unkept = True
            return
        self._written, self._unkept = mark, False


def _kept(file: Path) -> dict[str, Any]:
    """What an earlier process has written down; nothing where that can't be read, for it is found anew."""
    try:
        state = read_json(file) or {}
        return {
            "quick": [Condition.from_dict(raw) for raw in state.get("quick", [])],
            "thorough": [Condition.from_dict(raw) for raw in state.get("thorough", [])],
            "letters": [Letter(**raw) for raw in state.get("letters", [])],
            "began": str(state.get("began", "")),
            "budget": state.get("budget", []),
            # Whether it was told to stop, as it is at a shutdown in order; who has never run was not cut off.
            "ended": bool(state.get("ended", True)),
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        print(f"{file} can't be read, and is begun anew: {error}", flush=True)
        return {"quick": [], "thorough": [], "letters": [], "began": "", "budget": [], "ended": True}


def _notify(words: str) -> None:
    """Tell systemd how this process is."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.sendto(words.encode(), address.replace("@", "\0", 1))


def _newest() -> float:
    """When one of the files that this process runs was changed last; one that is missing is just being replaced."""
    files = (getattr(module, "__file__", None) or "" for module in list(sys.modules.values()))
    ours = {file for file in files if Path(file).name.startswith("marketplace_")}
    try:
        return max(Path(file).stat().st_mtime for file in ours)
    except FileNotFoundError:
        return time.time()


def run(paths: Paths) -> None:
    """Watch until systemd says to stop, or until there is a newer watchdog to be started in this one's place."""
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    begun = _newest()
    watch = Watch(paths)
    _notify("READY=1")
    while not stopped:
        turn = time.monotonic()
        try:
            settings = read_json(paths.settings)
            if settings is not None:
                watch.turn(settings)
        except Exception:  # one look that goes wrong must not be the last
            traceback.print_exc()
        _notify("WATCHDOG=1")
        newest = _newest()
        if newest != begun and time.time() - newest >= _SETTLED:
            print("the watchdog was changed: starting anew", flush=True)
            break
        while not stopped and (left := turn + EVERY - time.monotonic()) > 0:
            time.sleep(min(left, 0.5))
    watch.stop()


if __name__ == "__main__":
    run(Paths())
