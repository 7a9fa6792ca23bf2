"""Rotation of secrets: whoever is cut off, and wherever, nobody is turned away, and another go ends it."""

import errno
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marketplace_rotation import DATABASE_LOGIN, WAYS, RotationError, refusal, rotate
from marketplace_secrets import Store, UnknownSecret, before_of, render
from marketplace_settings_secrets import CATALOGUE

KINDS = dict.fromkeys(WAYS, "generated")
# How states render whoever asks for a secret.
ASKED = "{secret:NAME}{while:NAME_before| {secret:NAME_before}}"


class Cut(BaseException):
    """The power goes."""


class Droplet:
    """Those who ask for secrets, those who show them, and a count of effects after which the power goes."""

    def __init__(self, directory, cut=-1):
        self.store = Store(directory)
        if not self.store.directory.exists():
            self.store.ensure(list(WAYS), {})
        self.left = cut
        self.names = []
        self.admitted = False
        self.released = []
        self.taken, self.shown = {}, {}
        self._states(tuple(state for way in WAYS.values() for state in way.states))
        self.backend = {name: self.store.read(name) for name, way in WAYS.items() if way.ships}

    def _effect(self):
        if self.left == 0:
            raise Cut
        self.left -= 1

    @contextmanager
    def alone(self):
        yield

    def note(self, names):
        self._effect()
        self.names = list(names)

    def noted(self):
        return self.names

    def admit(self):
        self._effect()
        self.admitted = True

    def readmit(self):
        self._effect()
        self.admitted = False

    def apply(self, states):
        self._effect()
        self._states(states)
        self.check()

    def _states(self, states):
        for name, way in WAYS.items():
            if set(way.states) <= set(states):
                asked = render(ASKED.replace("NAME", name), self.store.read).split()
                # A role of PostgreSQL has one password.
                self.taken[name] = asked[:1] if name.startswith("postgres") else asked
                self.shown[name] = asked[0]

    def ship(self):
        self._effect()
        self.check()
        self.backend = {name: self.store.read(name) for name in self.backend}
        self.released.append("release")
        return "release"

    def check(self):
        """Everybody who runs is let in."""
        for name, value in self.backend.items():
            assert value in self.taken[name] or (name == DATABASE_LOGIN and self.admitted), name
        for name, value in self.shown.items():
            assert value in self.taken[name], name

    def rotate(self, names):
        return rotate(names, self.store, self, lambda words: None)


def values(droplet):
    return {name: droplet.store.read(name) for name in WAYS}


def assert_done(droplet, before, names):
    after = values(droplet)
    assert {name for name in WAYS if after[name] != before[name]} == set(names)
    assert not list(droplet.store.directory.glob("*_before"))
    assert droplet.taken == {name: [value] for name, value in after.items()}
    assert droplet.backend == {name: after[name] for name in droplet.backend}
    assert (droplet.names, droplet.admitted) == ([], False)


@pytest.mark.parametrize("name", list(WAYS))
def test_a_secret_is_replaced_and_the_one_before_no_longer_taken(tmp_path, name):
    droplet = Droplet(tmp_path / "secrets")
    before = values(droplet)
    assert droplet.rotate([name])["secrets"] == [name]
    assert_done(droplet, before, [name])
    assert bool(droplet.released) is WAYS[name].ships


def test_all_are_replaced_with_one_release(tmp_path):
    droplet = Droplet(tmp_path / "secrets")
    before = values(droplet)
    assert droplet.rotate(list(WAYS))["release"] == "release"
    assert_done(droplet, before, WAYS)
    assert droplet.released == ["release"]


@given(
    st.lists(st.sampled_from(list(WAYS)), min_size=1, max_size=4, unique=True),
    st.lists(st.integers(0, 9), max_size=4),
)
@settings(max_examples=60)
def test_cut_off_anywhere_however_often_it_is_gone_on_with(tmp_path_factory, names, cuts):
    droplet = Droplet(tmp_path_factory.mktemp("rotation") / "secrets")
    before = values(droplet)
    for cut in cuts:
        droplet.left = cut
        try:
            droplet.rotate(names)
        except Cut:
            droplet.check()
    droplet.left = -1
    droplet.rotate(names)
    assert_done(droplet, before, names)


def test_what_was_cut_off_goes_on_with_another_one_and_is_not_replaced_twice(tmp_path):
    droplet = Droplet(tmp_path / "secrets", cut=2)
    with pytest.raises(Cut):
        droplet.rotate(["redis_app_password"])
    new = droplet.store.read("redis_app_password")
    assert droplet.names == ["redis_app_password"]
    droplet.left = -1
    assert droplet.rotate(["webhook_secret"])["secrets"] == ["redis_app_password", "webhook_secret"]
    assert droplet.store.read("redis_app_password") == new


@pytest.mark.parametrize("cut", range(1, 7))
def test_what_was_cut_off_is_ended_without_naming_it(tmp_path, cut):
    droplet = Droplet(tmp_path / "secrets", cut=cut)
    before = values(droplet)
    with pytest.raises(Cut):
        droplet.rotate(["redis_app_password", "postgres_app_password"])
    droplet.left = -1
    droplet.rotate([])
    assert_done(droplet, before, ["redis_app_password", "postgres_app_password"])


def test_a_release_that_fails_leaves_both_taken(tmp_path):
    droplet = Droplet(tmp_path / "secrets")

    def fail():
        raise RotationError("no")

    ship, droplet.ship = droplet.ship, fail
    before = values(droplet)
    with pytest.raises(RotationError):
        droplet.rotate(["redis_app_password"])
    droplet.check()
    assert len(droplet.taken["redis_app_password"]) == 2
    droplet.ship = ship
    droplet.rotate([])
    assert_done(droplet, before, ["redis_app_password"])


@pytest.mark.parametrize("doing", ["write", "forget"])
def test_a_full_disk_leaves_both_taken(tmp_path, monkeypatch, doing):
    droplet = Droplet(tmp_path / "secrets")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    before = values(droplet)
    with monkeypatch.context() as patched:
        patched.setattr(Store, doing, full)
        with pytest.raises(RotationError, match="No space left"):
            droplet.rotate(["redis_app_password"])
    droplet.check()
    droplet.rotate([])
    assert_done(droplet, before, ["redis_app_password"])


def test_what_is_not_generated_here_is_refused():
    assert refusal(list(WAYS), KINDS) is None
    given = refusal(["webhook_secret"], KINDS | {"webhook_secret": "given"})
    assert "pillar gives webhook_secret: take it out there, state.apply, then settings.rotate" in given
    assert "telegram_token can't be replaced like this" in refusal(["telegram_token"], KINDS)


def test_each_is_a_secret_that_the_droplet_generates_and_of_the_others_it_is_said_why_they_are_not():
    assert [name for name in WAYS if CATALOGUE[name].given] == []
    others = [name for name, secret in CATALOGUE.items() if not secret.given and name not in WAYS]
    assert sorted(others) == ["backend_webhook_secret", "backup_key"]
    assert "deploy.maintenance on" in refusal(["backend_webhook_secret"], KINDS)
    assert "need it to stay" in refusal(["backup_key"], KINDS)


def test_a_droplet_that_was_never_converged(tmp_path):
    droplet = Droplet(tmp_path / "secrets")
    droplet.store.path("webhook_secret").unlink()
    with pytest.raises(RotationError, match=r"run state\.apply"):
        droplet.rotate(["webhook_secret"])


def test_the_value_before_is_in_a_file_that_only_root_reads(tmp_path):
    store = Store(tmp_path / "secrets")
    store.ensure(["a"], {})
    old = store.read("a")
    assert store.replace("a")
    assert store.has(before_of("a"))
    assert store.read(before_of("a")) == old != store.read("a")
    assert not store.replace("a")
    store.forget("a")
    store.forget("a")
    with pytest.raises(UnknownSecret):
        store.read(before_of("a"))
