"""The gate where PostgreSQL moves to a provider: nothing changes until it was moved, and is who it should be."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from marketplace_ledger import Ledger
from marketplace_paths import Paths
from marketplace_records import ReleaseRecord

from tests.support.minion import Droplet

NAME = "Ensure the settings are valid and written"


class Nobody(threading.Thread):
    """A server that speaks no TLS, whatever it is asked."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]

    def run(self) -> None:
        while True:
            try:
                peer, _ = self.listening.accept()
            except OSError:
                return
            with peer:
                peer.recv(8)
                peer.sendall(b"N")


@pytest.fixture
def nobody() -> Iterator[Nobody]:
    server = Nobody()
    server.start()
    yield server
    server.listening.close()


@pytest.fixture
def droplet(tmp_path: Path) -> Droplet:
    return Droplet(tmp_path)


def there(port: int) -> dict[str, object]:
    return {
        "postgres.managed": {"host": "127.0.0.1", "port": port, "ca": "system"},
        "secrets.postgres_app_password": {"value": "secret-of-the-provider"},
    }


def test_a_provider_without_tls_is_refused_before_anything_is_written(
    droplet: Droplet, nobody: Nobody
) -> None:
    droplet.say(changes=there(nobody.port))
    for test in (True, False):
        done = droplet.minion(test=test).run("settings.written", NAME)
        assert done.result is False
        assert f"PostgreSQL at 127.0.0.1:{nobody.port} does not take TLS" in done.comment
        assert "secret-of-the-provider" not in done.comment
    assert not (droplet.root / "etc/marketplace/settings.json").exists()


def converge(droplet: Droplet, volume: str = "postgres.img") -> None:
    assert droplet.minion().run("settings.written", NAME).result
    file = droplet.root / "var/lib/marketplace/volumes" / volume
    file.parent.mkdir(parents=True)
    file.touch()


# A block volume has no image, but the same mark.
@pytest.mark.parametrize("volume", ["postgres.img", "postgres.made"])
def test_a_converged_droplet_moves_only_when_it_is_said(
    droplet: Droplet, nobody: Nobody, volume: str
) -> None:
    converge(droplet, volume)
    before = (droplet.root / "etc/marketplace/settings.json").read_text()
    droplet.say(changes=there(nobody.port))
    done = droplet.minion().run("settings.written", NAME)
    assert done.result is False
    assert "moves PostgreSQL from this droplet to 127.0.0.1" in done.comment
    assert "data_moved" in done.comment
    # What was moved still has to be who it should be.
    droplet.say(changes={**there(nobody.port), "data_moved": True})
    assert "does not take TLS" in droplet.minion().run("settings.written", NAME).comment
    assert (droplet.root / "etc/marketplace/settings.json").read_text() == before


def test_a_move_that_is_half_done_keeps_the_edge_closed(droplet: Droplet, nobody: Nobody) -> None:
    converge(droplet)
    paths = Paths(droplet.root)
    live = ReleaseRecord(
        "20260101T000000Z", "1.0.0", "i@sha256:0", None, "live", "", "blue", {"before": None, "after": None},
        "alice", "abc", "2026-01-01T00:00:00+00:00", 1.0, "sha256:0",
    )  # fmt: skip
    Ledger(paths.ledger).append(live)
    made = json.loads(paths.settings.read_text())
    there = made["postgres"] | {"managed": {"host": "db.test"}, "address": "db.test", "port": 25060}
    file = paths.releases / live.release / "settings.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(made | {"postgres": there}))
    # Pillar and settings.json agree, and the live release is still where it was.
    for test in (True, False):
        done = droplet.minion(test=test).run("settings.written", NAME)
        assert done.result is False
        assert "move is half done" in done.comment
        assert "uses PostgreSQL at db.test:25060 and not at this droplet" in done.comment
    paths.maintenance_map.write_text("operator on\nrelease off\n")
    assert droplet.minion().run("settings.written", NAME).result is True
    paths.maintenance_map.unlink()
    file.write_text(json.dumps(made))
    assert droplet.minion().run("settings.written", NAME).result is True
