"""The pillar that is shipped: what it says, and that it says it once."""

import shutil
import subprocess
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


def test_bootstrap_offers_what_can_be_chosen_and_nothing_else(tmp_path):
    """What is behind the first dash of an id is no part of the environment's name."""
    for name in ("base", "local", "production", "staging2", "with-dash", "Upper"):
        (tmp_path / "pillar" / name).mkdir(parents=True)
    script = shutil.copy(PILLAR.parent / "bootstrap.sh", tmp_path)
    said = subprocess.run([script, "with-dash"], capture_output=True, text=True, check=False)
    assert said.returncode != 0
    assert "unknown environment 'with' (from minion id 'with-dash')" in said.stderr
    assert "Expected one of: production staging2 . A new one" in said.stderr


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
