"""The services' authority as its states make it, with the real openssl."""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import ssl
import subprocess
import threading
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from marketplace_ledger import Ledger
from marketplace_paths import Paths
from marketplace_records import ReleaseRecord
from marketplace_service_authority import authority_request, certificate_request, certificates
from marketplace_service_served import served, stored

STATE = Path(__file__).parents[2] / "salt/_states/service_authority.py"
NAMES, ADDRESSES = ["redis"], ["127.0.0.1"]


class Tls:
    """The states of one directory, as an SLS strings them together."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = Paths(root)
        self.asked: list[str] = []
        self.directory = root / "services"
        self.bundle = root / "services.pem"
        self.leaf = self.directory / "redis.pem"
        self.days_later = 0
        self.kept: dict[str, Any] = {}

    def run(self, test: bool = False) -> dict[str, Any]:
        spec = importlib.util.spec_from_file_location("service_authority", STATE)
        assert spec is not None
        assert spec.loader is not None
        state: Any = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(state)
        vars(state).update(
            __opts__={"test": test, "marketplace_root": str(self.root)},
            __salt__={"cmd.run_all": self.command},
            __context__=self.kept,
            datetime=SimpleNamespace(now=lambda zone: datetime.now(zone) + timedelta(self.days_later)),
        )
        place = str(self.directory)
        return {
            "present": state.present(place),
            "trusted": state.trusted(str(self.bundle), place),
            "certified": state.certified(str(self.leaf), place, NAMES, ADDRESSES),
        }

    def command(self, words: list[str], **options: Any) -> dict[str, Any]:
        """Salt's cmd.run_all, as far as it goes here; what it may log is remembered."""
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if options.get("output_loglevel") != "quiet":
            self.asked.append(done.stdout + done.stderr)
        return {"retcode": done.returncode, "stdout": done.stdout.strip(), "stderr": done.stderr.strip()}

    def release(self) -> None:
        """A live release, begun in 2026."""
        Ledger(self.paths.ledger).append(
            ReleaseRecord(
                "20260101T000000Z", "1.0", "i@sha256:0", None, "live", "", "blue", {"before": None, "after": None},
                "alice", "abc", "2026-01-01T00:00:00+00:00", 1.0, "sha256:0",
            )
        )  # fmt: skip

    def changed(self, test: bool = False) -> dict[str, list[str]]:
        results = self.run(test)
        wrong = {name: found["comment"] for name, found in results.items() if found["result"] is False}
        assert wrong == {}
        assert all(
            found["result"] is (None if found["changes"] and test else True) for found in results.values()
        )
        return {name: list(found["changes"]) for name, found in results.items() if found["changes"]}

    def current(self) -> Path:
        index = json.loads((self.directory / "authorities.json").read_text())
        return self.directory / f"authority-{index['current']}.pem"

    def replace_authority(self, days: int) -> None:
        """The authority as it is when it has ``days`` left; what it had signed is signed by the new one as well."""
        self.made(authority_request("old", *self.scratch(), days=days), self.current())
        files = dict(zip(("key", "certificate"), self.scratch(), strict=True))
        self.made(certificate_request(str(self.current()), NAMES, ADDRESSES, days, files), self.leaf)

    def scratch(self) -> tuple[str, str]:
        return str(self.directory / "k"), str(self.directory / "c")

    def made(self, command: list[str], target: Path) -> None:
        subprocess.run(command, check=True, capture_output=True)
        key, certificate = (Path(name) for name in self.scratch())
        target.write_text(certificate.read_text() + key.read_text())
        key.unlink()
        certificate.unlink()

    def deliver(self) -> None:
        """What a later state does with the bundle."""
        target = self.paths.delivered / "backend/ca.pem"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(self.bundle.read_text())


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path)


def test_all_is_made_once_and_predicted_before(tls: Tls) -> None:
    everything = {"present": ["create"], "trusted": ["authorities"], "certified": ["certificate"]}
    assert tls.changed(test=True) == everything
    assert not tls.directory.exists()
    assert tls.changed() == everything
    assert tls.changed(test=True) == tls.changed() == {}
    assert tls.directory.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in tls.directory.iterdir()} == {0o600}
    assert "PRIVATE" not in tls.bundle.read_text()


def test_the_certificate_holds_for_a_strict_client(tls: Tls) -> None:
    tls.run()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tls.leaf)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection, server.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(1)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        address = listener.getsockname()
        context = ssl.create_default_context(cafile=str(tls.bundle))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        with (
            socket.create_connection(address) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1"),
        ):
            pass
        assert served(address) == stored(tls.leaf)
        thread.join(10)


def test_a_certificate_without_its_key_is_made_again(tls: Tls) -> None:
    tls.run()
    tls.leaf.write_text("".join(certificates(tls.leaf.read_text())))
    assert tls.changed(test=True) == tls.changed() == {"certified": ["certificate"]}
    assert tls.changed() == {}


def test_what_the_date_asks_for_is_told_from_what_somebody_did(tls: Tls) -> None:
    tls.run()
    tls.days_later = 300
    assert tls.changed(test=True) == {"certified": ["renewal"]}
    tls.leaf.unlink()
    assert tls.changed(test=True) == {"certified": ["certificate"]}


def test_an_authority_is_succeeded_without_a_client_that_does_not_know_it(tls: Tls) -> None:
    tls.run()
    tls.release()
    tls.replace_authority(days=300)
    # First it is trusted, and nothing else happens.
    assert set(tls.changed(test=True)) == {"present", "trusted"}
    assert tls.changed() == {"present": ["prepare"], "trusted": ["authorities"]}
    assert len(certificates(tls.bundle.read_text())) == 2
    tls.deliver()
    assert tls.changed() == {}
    # The live release began before it was delivered, until it did not.
    delivered = tls.paths.delivered / "backend/ca.pem"
    os.utime(delivered, (0, 0))
    before, bundle = tls.current(), tls.bundle.read_text()
    assert tls.changed(test=True) == {"present": ["promote"], "certified": ["certificate"]}
    assert tls.changed() == {"present": ["promote"], "certified": ["certificate"]}
    assert tls.changed() == {}
    assert tls.bundle.read_text() == bundle
    assert tls.current() != before
    assert "PRIVATE" not in before.read_text()


def test_an_authority_near_its_end_still_waits_for_the_live_release(tls: Tls) -> None:
    tls.run()
    tls.release()
    tls.replace_authority(days=1)
    index = json.loads((tls.directory / "authorities.json").read_text())
    assert tls.changed()["present"] == ["prepare"]
    assert json.loads((tls.directory / "authorities.json").read_text())["current"] == index["current"]


def test_without_a_live_release_nobody_is_waited_for(tls: Tls) -> None:
    tls.run()
    tls.replace_authority(days=300)
    assert tls.changed(test=True)["present"] == ["prepare", "promote"]
    assert tls.changed() == {
        "present": ["prepare", "promote"],
        "trusted": ["authorities"],
        "certified": ["certificate"],
    }
    assert tls.changed() == {}


def test_no_key_is_in_a_result_or_in_what_may_be_logged(tls: Tls) -> None:
    shown = repr(tls.run())
    key = tls.leaf.read_text().split("PRIVATE KEY-----")[1].split()[0]
    assert len(key) > 40
    assert key not in shown
    assert key not in "".join(tls.asked)
