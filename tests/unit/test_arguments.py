"""What people type behind deploy.*: what is understood, and what they are told where it is not."""

from typing import Any

import pytest
from marketplace_arguments import (
    Unusable,
    caller,
    command,
    flag,
    nothing_else,
    seconds,
    switch,
    text,
    version,
)


@pytest.mark.parametrize("value", ["1.4.2", "v1", "2026-11-24_a"])
def test_version_is_a_tag(value: str) -> None:
    assert version(value) == value


@pytest.mark.parametrize("value", [None, ""])
def test_version_may_be_left_out(value: Any) -> None:
    assert version(value) == ""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.1, "loses digits"),
        (2, "loses digits"),
        (True, "tag"),
        ("a b", "tag"),
        ("-x", "tag"),
        (["1"], "tag"),
    ],
)
def test_version_that_is_none_is_refused(value: Any, words: str) -> None:
    with pytest.raises(Unusable, match=words):
        version(value)


def test_unknown_options_are_named_with_a_guess() -> None:
    nothing_else({"__pub_fun": "deploy.release", "__pub_jid": "1"}, ("soak",))
    with pytest.raises(Unusable, match=r"sook is not an option; did you mean soak\?"):
        nothing_else({"sook": 1, "__pub_fun": ""}, ("soak", "wait"))
    with pytest.raises(Unusable, match="colour is not an option; there are: soak, wait"):
        nothing_else({"colour": 1}, ("soak", "wait"))


@pytest.mark.parametrize("value", ["yes", 1, None, "on"])
def test_flag_is_a_boolean(value: Any) -> None:
    assert flag("maintenance", True) is True
    with pytest.raises(Unusable, match="expected maintenance=True"):
        flag("maintenance", value)


@pytest.mark.parametrize("value", [-1, 3601, True, "5", None, float("nan")])
def test_seconds_have_bounds(value: Any) -> None:
    assert (seconds("soak", 0, 3600), seconds("soak", 3600, 3600), seconds("wait", 0.5, 60)) == (0, 3600, 0.5)
    with pytest.raises(Unusable, match="expected seconds from 0 to 3600"):
        seconds("soak", value, 3600)


@pytest.mark.parametrize(
    ("value", "means"), [("on", True), ("OFF", False), (True, True), (False, False), (None, None)]
)
def test_switch_is_on_off_or_nothing(value: Any, means: Any) -> None:
    assert switch(value) is means


@pytest.mark.parametrize("value", ["maybe", 1, "", ["on"]])
def test_switch_is_nothing_else(value: Any) -> None:
    with pytest.raises(Unusable, match="neither on nor off"):
        switch(value)


def test_text_is_one_word() -> None:
    assert text("image", None, "x") == ""
    assert text("image", "ghcr.io/a/b:1", "x") == "ghcr.io/a/b:1"
    for wrong in (5, "a b", "a\nb", ["a"]):
        with pytest.raises(Unusable, match=r"image is .*, expected for example ghcr"):
            text("image", wrong, "ghcr.io/a/b:1")


@pytest.mark.parametrize(
    ("words", "argv"),
    [
        (("python -m bot --days 7",), ["python", "-m", "bot", "--days", "7"]),
        (("echo 'a  b' \"c\"",), ["echo", "a  b", "c"]),
        (("ls", "-l", "a b"), ["ls", "-l", "a b"]),
        ((["echo", "a b"],), ["echo", "a b"]),
    ],
)
def test_command_is_a_text_words_or_a_list(words: tuple[Any, ...], argv: list[str]) -> None:
    assert command(words) == argv


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "what shall run"),
        (("  ",), "what shall run"),
        (([],), "what shall run"),
        (("sleep", 10), "10 arrived as no text"),
        (("echo", True), "True arrived as no text"),
        ((5,), "5 arrived as no text"),
        (("echo 'a",), "cannot be split"),
    ],
)
def test_command_that_is_none_is_refused(words: tuple[Any, ...], says: str) -> None:
    with pytest.raises(Unusable, match=says):
        command(words)


@pytest.mark.parametrize(
    ("environment", "who"),
    [
        ({}, "root"),
        ({"USER": "alice"}, "alice"),
        ({"LOGNAME": "alice", "USER": "bob"}, "alice"),
        ({"SUDO_USER": "alice", "LOGNAME": "root"}, "alice"),
        ({"LOGNAME": "root", "SSH_CONNECTION": "203.0.113.5 51234 10.0.0.1 22"}, "root@203.0.113.5"),
        ({"SUDO_USER": "alice", "SSH_CONNECTION": "2001:db8::5 1 ::1 22"}, "alice@2001:db8::5"),
        ({"LOGNAME": "root", "SSH_CONNECTION": "fe80::1%eth0 1 ::1 22"}, "root@fe80::1%eth0"),
        ({"LOGNAME": "root", "SSH_CONNECTION": "$(reboot) 1"}, "root"),
        ({"LOGNAME": "root", "SSH_CONNECTION": ""}, "root"),
    ],
)
def test_caller_is_a_person_and_where_they_came_from(environment: dict[str, str], who: str) -> None:
    assert caller(environment) == who
