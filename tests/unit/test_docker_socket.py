"""Docker's answers on its socket."""

import http.server
import json
import socketserver
import threading
from typing import ClassVar

import pytest
from marketplace_container import DockerError
from marketplace_docker import Docker
from marketplace_docker_socket import DockerSocket

REDIS = {
    "Name": "/redis",
    "State": {
        "Status": "running",
        "ExitCode": 0,
        "OOMKilled": False,
        "StartedAt": "2026-11-25T19:43:06.123456789Z",
        "Pid": 42,
        "Health": {"Status": "healthy", "Log": [{"ExitCode": 0}, {"ExitCode": 1}]},
    },
    "Config": {"Image": "redis@sha256:abc", "Labels": None},
    "RestartCount": 2,
}


class Handler(http.server.BaseHTTPRequestHandler):
    answers: ClassVar[dict] = {}

    def do_GET(self):
        status, body = self.answers.get(self.path, (404, {"message": "No such container"}))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode() if body is not None else b"")

    do_POST = do_GET

    def log_message(self, *_):
        pass

    def address_string(self):
        return "local"


@pytest.fixture
def docker(tmp_path):
    Handler.answers = {"/containers/redis/json": (200, REDIS)}
    with socketserver.ThreadingUnixStreamServer(str(tmp_path / "docker.sock"), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield DockerSocket(tmp_path / "docker.sock")
        server.shutdown()


def test_states_of_those_that_are_there(docker):
    state = docker.containers("redis", "postgres")
    assert list(state) == ["redis"]
    redis = state["redis"]
    assert (redis.running, redis.restarts, redis.pid, redis.ailing) == (True, 2, 42, True)
    assert redis.begun.isoformat() == "2026-11-25T19:43:06+00:00"


def test_anything_else_is_no_answer(docker, tmp_path):
    Handler.answers["/containers/redis/json"] = (500, {"message": "out of order"})
    with pytest.raises(DockerError, match="out of order"):
        docker.containers("redis")
    with pytest.raises(DockerError, match="systemctl status docker"):
        DockerSocket(tmp_path / "nowhere.sock").containers("redis")


def test_the_engines_docker_asks_the_socket(docker, tmp_path):
    engine = Docker(tmp_path / "none", tmp_path / "docker.sock")
    assert list(engine.containers("redis", "postgres")) == ["redis"]
    Handler.answers["/containers/redis/json"] = (500, {"message": "out of order"})
    with pytest.raises(DockerError, match="out of order"):
        engine.containers("redis")
    with pytest.raises(DockerError, match="docker is not installed, or was stopped"):
        Docker(tmp_path / "none", tmp_path / "nowhere.sock").containers("redis")


def test_networks_and_projects(docker):
    filters = "%7B%22label%22%3A%20%5B%22com.docker.compose.project%3Ddata%22%5D%7D"
    Handler.answers |= {
        "/networks/app": (200, {"Name": "app"}),
        # One of them is removed before it is looked at.
        f"/containers/json?all=true&filters={filters}": (200, [{"Id": "redis"}, {"Id": "postgres"}]),
    }
    assert (docker.network("app"), docker.network("data")) == ({"Name": "app"}, None)
    assert docker.project("data") == [REDIS]


def test_a_restart(docker):
    Handler.answers["/containers/redis/restart?t=1"] = (204, None)
    docker.restart("redis", 1)
    with pytest.raises(DockerError, match="does not restart postgres"):
        docker.restart("postgres", 1)
