"""The secret store and what is made of it."""

import hashlib
import json
import re
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_secrets import Store, UnknownSecret, Wanted, docker_config, generate, names_in, render
from marketplace_settings_secrets import CATALOGUE

GENERATED = [name for name, secret in CATALOGUE.items() if not secret.given]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "etc/secrets")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_generated_secrets_are_what_a_given_one_would_have_to_be():
    for name in GENERATED:
        assert re.fullmatch(CATALOGUE[name].pattern, generate())
    assert len(generate()) == 43
    assert generate() != generate()


def test_a_secret_is_made_once_and_only_root_reads_it(store):
    assert store.ensure(["webhook_secret"], {}) == {"webhook_secret": "created"}
    value = store.read("webhook_secret")
    assert store.ensure(["webhook_secret"], {}) == {}
    assert store.read("webhook_secret") == value
    assert mode(store.path("webhook_secret")) == 0o600
    assert mode(store.directory) == 0o700


def test_a_given_value_wins_and_a_new_one_replaces_it(store):
    store.ensure(["telegram_token"], {"telegram_token": "one"})
    assert store.pending(["telegram_token"], {"telegram_token": "two"}) == {"telegram_token": "replaced"}
    assert store.read("telegram_token") == "one"
    assert store.ensure(["telegram_token"], {"telegram_token": "two"}) == {"telegram_token": "replaced"}
    assert store.read("telegram_token") == "two"


def test_a_secret_that_is_no_longer_given_stays(store):
    store.ensure(["webhook_secret"], {"webhook_secret": "given"})
    assert store.ensure(["webhook_secret"], {}) == {}
    assert store.read("webhook_secret") == "given"


def test_a_secret_that_follows_another_has_its_value_where_that_is_there_already(store):
    following = {"backend_webhook_secret": "webhook_secret"}
    names = ["backend_webhook_secret", "webhook_secret"]
    store.ensure(["webhook_secret"], {})
    store.ensure(names, {}, following)
    assert store.read("backend_webhook_secret") == store.read("webhook_secret")
    other = Store(store.directory.parent / "other")
    other.ensure(names, {}, following)
    assert other.read("backend_webhook_secret") != other.read("webhook_secret")


def test_an_open_file_is_closed_again(store):
    store.ensure(["webhook_secret"], {})
    value = store.read("webhook_secret")
    store.path("webhook_secret").chmod(0o644)
    assert store.ensure(["webhook_secret"], {}) == {"webhook_secret": "protected"}
    assert mode(store.path("webhook_secret")) == 0o600
    assert store.read("webhook_secret") == value


def test_an_empty_file_is_no_secret(store):
    store.write("webhook_secret", "")
    assert not store.has("webhook_secret")
    assert store.ensure(["webhook_secret"], {}) == {"webhook_secret": "created"}
    assert store.has("webhook_secret")


def test_pending_does_nothing(store):
    assert store.pending(GENERATED, {}) == dict.fromkeys(GENERATED, "created")
    assert not store.directory.exists()


def test_a_secret_that_is_not_there_is_named(store):
    with pytest.raises(UnknownSecret, match=r"secret webhook_secret is not in .*state\.apply"):
        store.read("webhook_secret")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "A", "a b", "/etc/shadow"])
def test_names_do_not_leave_the_store(store, name):
    with pytest.raises(ValueError, match="lower-case"):
        store.path(name)


def test_a_template_takes_values_and_digests():
    values = {"a": "alpha", "b": "beta"}
    text = render("x {secret:a} #{sha256:b} {other} {secret:} {{}}", values.__getitem__)
    assert text == f"x alpha #{hashlib.sha256(b'beta').hexdigest()} {{other}} {{secret:}} {{{{}}}}"
    assert names_in("{sha256:b}{secret:a}{secret:b}") == ["b", "a"]


def test_what_stands_there_while_a_secret_is_there(store):
    template = "a {secret:a}{while:a_before|\n  or #{sha256:a_before} {secret:a}} end"
    assert names_in(template) == ["a"]
    store.write("a", "A")
    assert render(template, store.read) == "a A end"
    store.write("a_before", "B")
    assert render(template, store.read) == f"a A\n  or #{hashlib.sha256(b'B').hexdigest()} A end"


@given(st.text())
def test_a_value_is_not_a_template(value):
    assert render("{secret:a}", lambda _name: value) == value


@given(st.text(st.characters(codec="utf-8", exclude_characters="{")))
def test_a_template_without_placeholders_stays_as_it_is(text):
    def read(name):
        raise AssertionError(name)

    assert render(text, read) == text


def test_docker_config():
    assert json.loads(docker_config("", "", "")) == {"auths": {}}
    assert json.loads(docker_config("ghcr.io", "robot", "pw")) == {
        "auths": {"ghcr.io": {"auth": "cm9ib3Q6cHc="}}
    }
    assert list(json.loads(docker_config("docker.io", "u", "p"))["auths"]) == ["https://index.docker.io/v1/"]


def test_a_wanted_file_says_what_is_to_be_done_and_hides_its_content(tmp_path):
    wanted = Wanted(tmp_path / "f", "top secret", 0o400, tmp_path.stat().st_uid, tmp_path.stat().st_gid)
    assert "top" not in repr(wanted)
    assert wanted.pending() == "created"
    wanted.apply()
    assert wanted.pending() is None
    (tmp_path / "f").chmod(0o644)
    assert wanted.pending() == "protected"
    wanted.apply()
    (tmp_path / "f").chmod(0o600)
    (tmp_path / "f").write_text("other")
    assert wanted.pending() == "replaced"
    wanted.apply()
    assert (tmp_path / "f").read_text() == "top secret"
    assert mode(tmp_path / "f") == 0o400
