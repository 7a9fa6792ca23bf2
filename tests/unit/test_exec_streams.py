"""What a command in a container says reaches the test, however early it says it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from tests.support.droplet.streams import collect, talk

HEAD = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"


def frame(kind: int, data: bytes) -> bytes:
    """As the engine sends it: 1 is what the command wrote to its standard output, 2 what to its standard error."""
    return struct.pack(">BxxxL", kind, len(data)) + data


@contextmanager
def engine(place: Path, answer: Callable[[socket.socket], None]) -> Iterator[docker.APIClient]:
    """An engine at which one exec is started, which ``answer`` answers."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place / "engine"))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            asked = b""
            while b"\r\n\r\n" not in asked or not asked.endswith(b"}"):
                asked += connection.recv(4096)
            answer(connection)

    served = threading.Thread(target=serve)
    served.start()
    client = docker.APIClient(base_url=f"unix://{place}/engine", version="1.41", timeout=10)
    try:
        yield client
    finally:
        client.close()
        served.join(10)
        listener.close()


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_what_comes_together_with_the_head_is_not_missed(tmp_path: Path, pieces: int) -> None:
    whole = HEAD + frame(1, b"at once\n") + frame(2, b"trouble\n") + frame(1, b"later\n")

    def answer(connection: socket.socket) -> None:
        length = -(-len(whole) // pieces)
        for start in range(0, len(whole), length):
            connection.sendall(whole[start : start + length])

    lines: list[str] = []
    with engine(tmp_path, answer) as client:
        found = collect(talk(client.exec_start("x", socket=True), None), lines.append)
    assert found == (b"at once\nlater\n", b"trouble\n")
    assert lines == ["at once", "trouble", "later"]


def test_a_command_answers_while_it_reads(tmp_path: Path) -> None:
    data = b"n" * (4 << 20)

    def answer(connection: socket.socket) -> None:
        connection.sendall(HEAD)
        while part := connection.recv(1 << 16):
            connection.sendall(frame(1, part))

    with engine(tmp_path, answer) as client:
        assert collect(talk(client.exec_start("x", socket=True), data), None) == (data, b"")


def test_a_command_that_ends_without_reading_is_heard(tmp_path: Path) -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(HEAD + frame(2, b"no\n"))

    with engine(tmp_path, answer) as client:
        assert collect(talk(client.exec_start("x", socket=True), b"n" * (4 << 20)), None) == (b"", b"no\n")
