"""The pillar that is shipped: what it says, and that it says it once."""

from pathlib import Path

import pytest
import yaml
from marketplace_settings import parse, to_dict

from tests.support.pillars import ENVIRONMENTS, PEM, TOKEN

PILLAR = Path(__file__).parents[2] / "pillar"
OWN = {
    "backend": {"image": "ghcr.io/team/marketplace"},
    "edge": {"domains": ["bot.team.dev"]},
    "secrets": {"telegram_token": {"value": TOKEN}},
}


def merged(*layers):
    made = {}
    for layer in layers:
        for key, value in layer.items():
            both = isinstance(value, dict) and isinstance(made.get(key), dict)
            made[key] = merged(made[key], value) if both else value
    return made


def layer(name):
    return yaml.safe_load((PILLAR / name / "init.sls").read_text())


def test_these_are_the_environments():
    directories = {path.name for path in PILLAR.iterdir() if path.is_dir()}
    assert directories - {"local"} == {*ENVIRONMENTS, "base"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_with_what_is_ones_own_it_is_right(environment):
    own = merged(OWN, {"edge": {"root": PEM}}) if environment == "staging" else OWN
    parsed, problems = parse(merged(layer("base"), layer(environment), own), environment, ENVIRONMENTS)
    assert [str(problem) for problem in problems] == []
    made = to_dict(parsed)
    assert made["postgres"]["reference"].startswith("postgres:17.")
    assert made["redis"]["reference"].startswith("redis:8.")


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_as_shipped_it_is_refused_with_what_to_fill_in(environment):
    _, problems = parse(merged(layer("base"), layer(environment)), environment, ENVIRONMENTS)
    expected = {"secrets.telegram_token", "edge.domains", "backend.image"}
    assert {problem.path for problem in problems} == expected | (
        {"edge.root"} if environment == "staging" else set()
    )


def test_development_lacks_the_token_alone():
    _, problems = parse(merged(layer("base"), layer("development")), "development", ENVIRONMENTS)
    assert [problem.path for problem in problems] == ["secrets.telegram_token"]


def test_no_secret_is_in_the_tree():
    for file in PILLAR.rglob("*.sls"):
        if "local" not in file.parts:
            assert "secrets" not in yaml.safe_load(file.read_text().replace("{{", "").replace("}}", ""))


def test_environments_say_only_what_differs_from_base():
    def leaves(value, path=()):
        if isinstance(value, dict):
            return {leaf for key, item in value.items() for leaf in leaves(item, (*path, key))}
        return {(path, str(value))}

    for environment in ENVIRONMENTS:
        assert not leaves(layer("base")) & leaves(layer(environment))
