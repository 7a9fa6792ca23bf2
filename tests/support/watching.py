"""A watchdog that sees what a test says, and what it did: over looks and probes that are made up."""

import time
from types import SimpleNamespace

import pytest
from marketplace_container import DockerError
from marketplace_paths import Paths
from marketplace_slo_files import Record
from marketplace_slo_probe import Probe
from marketplace_watch import Watch

from tests.support.looks import LIMITS, NOW, look

SETTINGS = {
    "environment": "production",
    "monitoring": {"thresholds": LIMITS, "uptime": 99.5},
    "alerts": {"telegram": {"chat": ""}, "email": {"to": ""}, "webhook": False, "dead_man": False},
}


class Eyes:
    """What the watchdog sees, as a test says; and what it does to containers."""

    def __init__(self):
        self.next, self.restarted, self.broken = look(), [], False
        self.docker = SimpleNamespace(restart=self._restart)

    def seen(self, _):
        return self.next

    def _restart(self, name, grace):
        if self.broken:
            raise DockerError("no such mount")
        self.restarted.append((name, grace))


class Asleep:
    """A surveyor that never has anything to say."""

    def __init__(self):
        self.found, self.errors, self.finished = {}, {}, time.monotonic()

    def turn(self):
        return []

    def stop(self):
        pass


class Probes:
    """A prober that brings what a test says."""

    def __init__(self):
        self.next = None

    def turn(self, _, now):
        found, self.next = self.next, None
        return found

    def stop(self):
        pass


@pytest.fixture(name="paths")
def watched_paths(tmp_path):
    made = Paths(tmp_path)
    made.watched.parent.mkdir(parents=True)
    made.watched.write_text("{}")  # it is not just booting
    return made


def watching(paths):
    watch = Watch(paths)
    watch.look, watch.surveyor, watch.prober = Eyes(), Asleep(), Probes()
    return watch


def lines(paths):
    return Record(paths.slo).lines(NOW - 86400)


def probed(watch, at, status=200, **changes):
    """A look at which a probe that was begun then has ended."""
    watch.look.next, watch.prober.next = look(at=at, **changes), Probe(at, status)
    watch.turn(SETTINGS)
