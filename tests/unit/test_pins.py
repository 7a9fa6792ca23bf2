"""tools/pins.py against a registry that lives in the test."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tools import pins

OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "a" * 64
PILLAR = """\
# a comment with postgres: in it
postgres:
  image: {host}/library/postgres
  tag: "17.6"  # for people
  digest: {old}
  limits:
    memory: 1G

redis:
  image: {host}/redis
  tag: "8.2.1"
  digest: {old}
other:
  tag: "1"
"""


class Handler(BaseHTTPRequestHandler):
    """Two repositories; the second wants an anonymous token and pages its tags."""

    def do_GET(self):
        self._answer()

    def do_HEAD(self):
        self._answer()

    def _answer(self):
        host = self.headers["Host"]
        if self.path.startswith("/token"):
            assert "scope=repository%3Aredis%3Apull" in self.path
            return self._send(200, {"token": "pass"})
        if "/redis/" in self.path and self.headers.get("Authorization") != "Bearer pass":
            challenge = f'Bearer realm="http://{host}/token",service="here",scope="repository:redis:pull"'
            return self._send(401, {}, {"WWW-Authenticate": challenge})
        if self.path.startswith("/v2/library/postgres/tags/list"):
            return self._send(200, {"tags": ["17.6", "17.10", "17.9", "17.10-alpine", "18.1", "latest"]})
        if self.path == "/v2/redis/tags/list?n=1000":
            following = '</v2/redis/tags/list?n=1000&last=x>; rel="next"'
            return self._send(200, {"tags": ["8.2.1"]}, {"Link": following})
        if self.path == "/v2/redis/tags/list?n=1000&last=x":
            return self._send(200, {"tags": ["8.10.0", "8.9.9", "8.11"]})
        if self.path in ("/v2/library/postgres/manifests/17.10", "/v2/redis/manifests/8.10.0"):
            assert "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
            assert self.command == "HEAD"
            return self._send(200, {}, {"Docker-Content-Digest": NEW})
        return self._send(404, {})

    def _send(self, code, document, headers=None):
        body = json.dumps(document).encode()
        self.send_response(code)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_arguments):
        pass


@pytest.fixture
def registry():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def pillar(tmp_path, registry):
    file = tmp_path / "init.sls"
    file.write_text(PILLAR.format(host=registry, old=OLD))
    return file


def test_what_is_newer_is_shown_and_not_written(pillar, registry, capsys):
    before = pillar.read_text()
    assert pins.main(["--pillar", str(pillar)]) == 0
    shown = capsys.readouterr().out
    assert f"- {registry}/library/postgres:17.6@{OLD}" in shown
    assert f"+ {registry}/library/postgres:17.10@{NEW}" in shown
    assert f"+ {registry}/redis:8.10.0@{NEW}" in shown
    assert pillar.read_text() == before


def test_write_changes_the_pins_alone(pillar, registry):
    expected = pillar.read_text().replace("17.6", "17.10").replace("8.2.1", "8.10.0").replace(OLD, NEW)
    assert pins.main(["--pillar", str(pillar), "--write"]) == 0
    assert pillar.read_text() == expected
    assert pins.main(["--pillar", str(pillar), "--write"]) == 0
    assert pillar.read_text() == expected


def test_without_a_registry_it_says_so(tmp_path, capsys):
    file = tmp_path / "init.sls"
    file.write_text(PILLAR.format(host="127.0.0.1:1", old=OLD))
    assert pins.main(["--pillar", str(file), "--write"]) == 1
    said = capsys.readouterr().err
    assert "postgres: 127.0.0.1:1 can't be reached" in said
    assert "redis: 127.0.0.1:1 can't be reached" in said
    assert file.read_text() == PILLAR.format(host="127.0.0.1:1", old=OLD)


def test_an_image_that_is_not_there_is_named(pillar, registry, capsys):
    pillar.write_text(pillar.read_text().replace("library/postgres", "library/postgrs"))
    assert pins.main(["--pillar", str(pillar)]) == 1
    assert f"{registry} answered 404 for library/postgrs" in capsys.readouterr().err


def test_a_pillar_without_pins_is_named(tmp_path, capsys):
    file = tmp_path / "init.sls"
    file.write_text("postgres:\n  image: postgres\n")
    assert pins.main(["--pillar", str(file)]) == 1
    assert "postgres has no digest and no tag" in capsys.readouterr().err


def test_the_pillar_that_is_shipped_has_pins():
    text = Path(pins.PILLAR).read_text()
    found = {pin.service: pin for pin in pins.read_pins(text)}
    assert found["postgres"].tag.startswith("17.")
    assert found["redis"].tag.startswith("8.")
    assert pins.write_pins(text, list(found.values())) == text


@pytest.mark.parametrize(
    ("tag", "tags", "expected"),
    [
        ("17.6", ["17.10", "17.9"], "17.10"),
        ("17.6", ["18.0", "17"], "17.6"),
        ("17.6-trixie", ["17.7", "17.7-trixie", "17.8-bookworm"], "17.7-trixie"),
        ("8.4.0", ["8.4", "8.10.1", "8.9"], "8.10.1"),
        ("8", ["8", "9"], "8"),
        ("odd", ["1.0"], "odd"),
    ],
)
def test_the_newest_tag_of_the_same_form(tag, tags, expected):
    assert pins.newest(tag, tags) == expected


@pytest.mark.parametrize(
    ("image", "base"),
    [
        ("postgres", "https://registry-1.docker.io/v2/library/postgres"),
        ("team/bot", "https://registry-1.docker.io/v2/team/bot"),
        ("ghcr.io/team/bot", "https://ghcr.io/v2/team/bot"),
        ("registry.test:5000/postgres", "https://registry.test:5000/v2/postgres"),
        ("localhost:5000/postgres", "http://localhost:5000/v2/postgres"),
    ],
)
def test_where_an_image_comes_from(image, base):
    assert pins.Registry(image).base == base
