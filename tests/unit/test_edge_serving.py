"""Handing HAProxy a certificate, and telling which one it has; its admin socket is played by a dictionary."""

import subprocess
from pathlib import Path

import pytest
from marketplace_certificate import request
from marketplace_edge import Edge, EdgeError
from marketplace_edge_serving import certificates, commit, fingerprint, install, loaded

FILE = Path("/etc/haproxy/certs/bot.test.pem")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A certificate and its key, by openssl."""
    made = tmp_path_factory.mktemp("pair")
    key, certificate = made / "key", made / "certificate"
    subprocess.run(request(["bot.test"], 1, str(key), str(certificate)), check=True, capture_output=True)
    return certificate.read_text(), key.read_text()


class Socket(Edge):
    """HAProxy's admin socket: one certificate file, and what was said to it."""

    def __init__(self, file: Path, pem: str | None, takes: bool = True) -> None:
        super().__init__(Path("/none"), Path("/none"), Path("/none"))
        self.file, self.pem, self.takes = file, pem, takes
        self.pending = ""
        self.said: list[str] = []

    def command(self, command: str) -> str:
        head, _, body = command.partition("\n")
        self.said.append(head)
        words = head.split()
        if words[-1] == "<<":
            self.pending = body
            return (
                "Transaction created for certificate x!\n" if self.takes else "unable to load certificate\n"
            )
        if words[0] == "commit":
            self.pem = self.pending
            return "Committing x.\nSuccess!\n"
        if self.pem is None or words[-1] != str(self.file):
            return "Can't display the certificate: Not found\n"
        return f"Filename: x\nStatus: Used\nSHA1 FingerPrint: {fingerprint(self.pem).upper()}\n"


def test_fingerprint_is_openssls(pair, tmp_path):
    (tmp_path / "c").write_text(pair[0])
    shown = subprocess.run(
        ["openssl", "x509", "-in", tmp_path / "c", "-noout", "-fingerprint", "-sha1"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert fingerprint(pair[0] + pair[1]) == shown.partition("=")[2].strip().replace(":", "").lower()
    with pytest.raises(ValueError, match="no certificate"):
        fingerprint(pair[1])


def test_certificates_are_told_from_keys(pair):
    assert certificates(pair[0] + pair[1]) == pair[0]
    assert "PRIVATE" not in certificates(pair[1] + pair[0])


def test_what_is_loaded(pair):
    assert loaded(Socket(FILE, pair[0]), FILE) == fingerprint(pair[0])
    assert loaded(Socket(FILE, None), FILE) is None


def test_one_that_is_not_taken_is_an_error_and_nothing_is_committed(pair):
    socket = Socket(FILE, pair[0], takes=False)
    with pytest.raises(EdgeError, match="unable to load certificate"):
        commit(socket, FILE, "nonsense")
    assert not any(said.startswith("commit") for said in socket.said)


def test_installed_in_file_and_worker_and_then_left_alone(pair, tmp_path):
    file, public = tmp_path / "certs/bot.pem", tmp_path / "tls/bot.crt"
    other = tmp_path / "other"
    subprocess.run(request(["old.test"], 1, str(tmp_path / "k"), str(other)), check=True, capture_output=True)
    socket = Socket(file, other.read_text())
    assert install(socket, file, public, *pair) is True
    assert file.read_text() == pair[0] + pair[1]
    assert file.stat().st_mode & 0o777 == 0o600
    assert public.read_text() == pair[0]
    assert loaded(socket, file) == fingerprint(pair[0])
    assert "\n\n" not in socket.pending  # an empty line would end it
    said = len(socket.said)
    assert install(socket, file, public, *pair) is False
    assert all(word.startswith("show") for word in socket.said[said:])


def test_a_worker_that_missed_it_is_given_it(pair, tmp_path):
    file, public = tmp_path / "certs/bot.pem", tmp_path / "tls/bot.crt"
    other = tmp_path / "other"
    subprocess.run(request(["old.test"], 1, str(tmp_path / "k"), str(other)), check=True, capture_output=True)
    install(Socket(file, None), file, public, *pair)
    socket = Socket(file, other.read_text())
    assert install(socket, file, public, *pair) is True
    assert loaded(socket, file) == fingerprint(pair[0])
