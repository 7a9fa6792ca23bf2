"""Redis's protocol and users, against a server that answers by script."""

import socket
import threading

import pytest
from marketplace_redis import (
    Connection,
    NobodyListens,
    RedisError,
    difference,
    directives,
    encode,
    reach,
    users,
)

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


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_a_port_that_is_not_open_yet_is_no_reason_to_give_up(tmp_path):
    address, received, thread = serve(b"+OK\r\n")
    reach("127.0.0.1", closed_port(), address[1], ("operator", "pass"), tmp_path / "none").close()
    thread.join(5)
    assert b"AUTH" in received[0]
    with pytest.raises(NobodyListens):
        reach("127.0.0.1", closed_port(), closed_port(), ("operator", "pass"), tmp_path / "none")


def test_no_password_goes_to_a_server_that_does_not_prove_itself(tmp_path):
    (tmp_path / "ca.pem").write_text("")
    address, received, _ = serve(b"")
    plain, plainly, _ = serve(b"+OK\r\n")
    with pytest.raises(RedisError, match="no TLS with Redis"):
        reach("127.0.0.1", address[1], plain[1], ("operator", "topsecret"), tmp_path / "ca.pem")
    assert plainly == []
    assert b"topsecret" not in b"".join(received)


def test_directives_are_spelled_as_the_server_spells_them():
    text = '# Written\n\nport 0\ntls-protocols "TLSv1.2 TLSv1.3"\n'
    assert directives(text) == {"port": "0", "tls-protocols": "TLSv1.2 TLSv1.3"}


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
