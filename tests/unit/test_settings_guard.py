import pytest
from marketplace_durable import digest, to_json
from marketplace_paths import Paths
from marketplace_settings import parse, to_dict
from marketplace_settings_guard import refusal, settings_for_change

from tests.support.pillars import ENVIRONMENTS, pillar


@pytest.fixture
def settings():
    parsed, _ = parse(pillar(), "production", ENVIRONMENTS)
    return to_dict(parsed)


@pytest.fixture
def file(tmp_path, settings):
    path = tmp_path / "settings.json"
    path.write_text(to_json(settings))
    return path


def gated(settings):
    gate = {"checked": True, "source": "pillar", "digest": digest(settings)}
    return {**pillar(), "settings": settings, "settings_gate": gate}


def test_the_same_settings_are_fine(settings, file):
    assert refusal(gated(settings), file) is None


def test_without_a_pillar_the_droplets_own_settings_serve(file):
    assert refusal({}, file) is None
    none = {"settings_gate": {"checked": True, "source": "none"}, "_errors": ["this host has no pillar"]}
    assert refusal(none, file) is None


def test_changed_settings_are_named(settings, file):
    changed = {
        **settings,
        "redis": {**settings["redis"], "disk": 1 << 30},
        "firewall": {**settings["firewall"], "ssh_sources": ["::/0"]},
    }
    assert (
        refusal(gated(changed), file)
        == "settings have changed (firewall.ssh_sources, redis.disk): run state.apply"
    )


def test_what_only_follows_is_left_out(settings, file):
    parsed, _ = parse(pillar({"network": {"app": {"subnet": "10.1.0.0/24"}}}), "production", ENVIRONMENTS)
    assert (
        refusal(gated(to_dict(parsed)), file) == "settings have changed (network.app.subnet): run state.apply"
    )


def test_many_changes_are_counted(settings, file):
    users = {f"{service}.user": "70:70" for service in ("backend", "postgres", "redis")}
    waits = {f"{service}.stop_grace": 20 for service in ("backend", "postgres", "redis")}
    more = {"backend.keep_releases": 9, "droplet": {"swap": 0}, "edge.webhook_path": "/hook"}
    parsed, _ = parse(pillar({**users, **waits, **more}), "production", ENVIRONMENTS)
    assert " and 1 more): run state.apply" in refusal(gated(to_dict(parsed)), file)


def test_problems_are_listed(file):
    wrong = {
        **pillar(),
        "settings_gate": {"checked": True, "source": "pillar"},
        "_errors": ["a is wrong", "b too"],
    }
    assert refusal(wrong, file) == "the pillar has 2 problems:\n  - a is wrong\n  - b too"


def test_a_pillar_that_nobody_checked_is_refused(file):
    assert "settings gate did not run" in refusal(pillar(), file)


def test_run_options_alone_are_no_pillar(file):
    assert refusal({"allow_restart": True}, file) is None


def test_a_droplet_that_was_never_converged(tmp_path, settings):
    text = refusal(gated(settings), tmp_path / "settings.json")
    assert text.endswith("this droplet has not been converged, run state.apply first")


def test_broken_settings_are_named(file, settings):
    file.write_text("{")
    assert "is not valid JSON" in refusal(gated(settings), file)


@pytest.fixture
def converged(tmp_path, settings):
    """A droplet that a tree of the second 2000 has converged."""
    paths = Paths(tmp_path)
    paths.etc.mkdir(parents=True)
    paths.settings.write_text(to_json(settings))
    paths.tree.write_text(to_json({"revision": "b" * 40, "committed": 2000}))
    return paths


def of_tree(settings, committed):
    made = gated(settings)
    return made | {"settings_gate": made["settings_gate"] | {"revision": "a" * 40, "committed": committed}}


@pytest.mark.parametrize("committed", [2000, 2001, None])
def test_the_tree_of_the_converge_and_later_ones_may_change_things(settings, converged, committed):
    assert settings_for_change(of_tree(settings, committed), converged) == (settings, "")


def test_an_older_tree_changes_nothing(settings, converged):
    found, why = settings_for_change(of_tree(settings, 1999), converged)
    assert found is None
    assert "is older than the one that this droplet was converged with" in why
    converged.tree.write_text("{")
    assert "is not valid JSON" in settings_for_change(of_tree(settings, 1999), converged)[1]
    converged.tree.unlink()
    assert settings_for_change(of_tree(settings, 1999), converged) == (settings, "")


def test_what_a_controller_says_of_its_pillar_counts(settings, converged):
    gate = of_tree(settings, 2000)["settings_gate"]
    assert settings_for_change({"settings_gate": gate}, converged) == (settings, "")
    other = {"settings_gate": gate | {"digest": "sha256:0"}}
    assert settings_for_change(other, converged) == (None, "settings have changed: run state.apply")
