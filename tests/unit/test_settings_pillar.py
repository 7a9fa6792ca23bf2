"""The gate's own doings with pillar; merging is Salt's, as a stand-in here does it."""

import copy

import pytest
from marketplace_durable import digest
from marketplace_settings_gate import gate, no_pillar

from tests.support.pillars import DIGEST, ENVIRONMENTS, TOKEN, pillar


def merge(into, more):
    made = copy.deepcopy(into)
    for key, value in more.items():
        both = isinstance(made.get(key), dict) and isinstance(value, dict)
        made[key] = merge(made[key], value) if both else copy.deepcopy(value)
    return made


def through(said, minion_id="production"):
    return merge(said, gate(said, minion_id, ENVIRONMENTS))


SOURCES = ["10.1.0.0/16", "fd00::/8"]


def test_a_right_pillar_gets_settings_a_digest_and_the_formulas_pillar():
    made = through(pillar())
    assert made["settings_gate"] == {"checked": True, "source": "pillar", "digest": digest(made["settings"])}
    assert made["secrets_given"] == {"telegram_token": TOKEN}
    assert made["swap"]["size"] == made["settings"]["droplet"]["swap"]
    assert "_errors" not in made


def test_a_wrong_pillar_gets_its_problems_and_nothing_else():
    added = gate(pillar({"postgres.port": 1, "redis.disk": "1"}), "production", ENVIRONMENTS)
    assert set(added) == {"settings_gate", "_errors"}
    assert [error.split()[0] for error in added["_errors"]] == ["postgres.port", "redis.disk"]


def test_a_host_without_pillar_is_not_at_fault():
    assert no_pillar()["settings_gate"] == {"checked": True, "source": "none"}
    assert "converged from a controller" in no_pillar()["_errors"][0]


@pytest.mark.parametrize("changes", [{}, {"firewall": {"ssh_sources": SOURCES}}, {"allow_restart": True}])
def test_a_finished_pillar_goes_through_unchanged(changes):
    once = through(pillar(changes))
    assert through(once) == once


@pytest.mark.parametrize("changes", [{}, {"firewall": {"ssh_sources": SOURCES}}])
@pytest.mark.parametrize(
    "override", [{"postgres": {"disk": "10G"}}, {"firewall": {"ssh_sources": ["::1/128"]}}]
)
def test_an_override_over_a_finished_pillar_counts(changes, override):
    direct = through(merge(pillar(changes), override))
    assert through(merge(through(pillar(changes)), override))["settings"] == direct["settings"]


def test_files_rendered_anew_over_a_finished_pillar_count():
    said = pillar({"firewall": {"ssh_sources": SOURCES}})
    again = {**through(said), **pillar({"firewall": {"ssh_sources": ["::1/128"]}})}
    assert through(again)["settings"]["firewall"]["ssh_sources"] == ["::1/128"]


def test_a_wrong_override_over_a_finished_pillar_is_refused():
    added = gate(merge(through(pillar()), {"postgres": {"port": 1}}), "production", ENVIRONMENTS)
    assert [error.split()[0] for error in added["_errors"]] == ["postgres.port"]


@pytest.mark.parametrize("name", ["docker", "swap", "volumes", "haproxy", "settings_other"])
def test_nobody_can_speak_in_a_formulas_name(name):
    added = gate(pillar({name: {"x": 1}}), "production", ENVIRONMENTS)
    assert added["_errors"][0].startswith(f"{name} is not a known setting")


def test_settings_in_a_file_are_no_settings():
    forged = {
        "settings": {"postgres": {"digest": DIGEST}},
        "settings_gate": {"checked": True, "digest": "sha256:0"},
    }
    made = through(merge(pillar(), forged))
    assert made["settings_gate"]["digest"] != "sha256:0"
    assert through(pillar())["settings"]["postgres"] == made["settings"]["postgres"]
