"""Redis's protocol and users, against a server that answers by script."""

import socket
import threading

import pytest
from marketplace_redis import Connection, RedisError, difference, encode, users

LOADED = [
    "user default off sanitize-payload resetchannels -@all",
    "user shop on sanitize-payload #aa11 ~* &* +@all -@admin -@dangerous",
    "user health on nopass sanitize-payload resetchannels -@all +ping",
]
FILE = [
    "user default off",
    "user shop on #aa11 ~* &* +@all -@admin -@dangerous",
    "user health on nopass -@all +ping",
]


def serve(*answers):
    """A server on loopback for one connection; returns its address and what it will have been sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    received: list[bytes] = []

    def talk():
        connection, _ = listener.accept()
        with connection, listener:
            for answer in answers:
                received.append(connection.recv(4096))
                connection.sendall(answer)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    return listener.getsockname(), received, thread


def test_commands_are_bulk_strings():
    assert encode(("AUTH", "é")) == b"*2\r\n$4\r\nAUTH\r\n$2\r\n\xc3\xa9\r\n"


def test_replies_of_every_kind():
    address, received, thread = serve(b"+OK\r\n", b"*3\r\n$2\r\nab\r\n:7\r\n$-1\r\n")
    with Connection(address, "operator", "secret") as connection:
        assert connection.command("ACL", "LIST") == ["ab", 7, None]
    thread.join(5)
    assert received[0] == encode(("AUTH", "operator", "secret"))


def test_a_refused_login_names_the_user_and_not_the_password():
    address, _, _ = serve(b"-WRONGPASS invalid username-password pair\r\n")
    with pytest.raises(RedisError, match="refuses user operator: WRONGPASS") as refused:
        Connection(address, "operator", "top-secret")
    assert "top-secret" not in str(refused.value)


def test_a_server_that_hangs_up_or_is_not_there_is_an_error():
    address, _, thread = serve(b"+OK\r\n", b"")
    with Connection(address, "operator", "x") as connection, pytest.raises(RedisError, match="closed"):
        connection.command("PING")
    thread.join(5)
    with pytest.raises(RedisError, match="does not answer"):
        Connection(address, "operator", "x")


def test_what_the_server_adds_makes_no_difference():
    assert difference(LOADED, FILE) == {}


@pytest.mark.parametrize(
    ("line", "changes"),
    [
        ("user shop on #bb22 ~* &* +@all -@admin -@dangerous", {"shop": "as loaded"}),
        ("user shop on #aa11 ~* &* +@all", {"shop": "as loaded"}),
        ("user extra on nopass", {"extra": "missing", "shop": "as loaded"}),
    ],
)
def test_users_that_differ_are_named_without_digests(line, changes):
    found = difference(LOADED, [FILE[0], line, FILE[2]])
    assert {name: change["old"] for name, change in found.items()} == changes
    assert "aa11" not in str(found)
    assert "bb22" not in str(found)


def test_lines_that_are_no_users_are_ignored():
    assert users(["# comment", "", "user"]) == {}
