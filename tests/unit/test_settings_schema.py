"""The JSON Schema that editors check pillar files with: it never refuses what the parser takes, and misses little."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from marketplace_settings import examine
from marketplace_settings_fields import Wrong, walk
from marketplace_settings_kinds import Boolean, Choice, Duration, Integer, Number, Size, Text, UserIds
from marketplace_settings_kinds_net import Domain, RegistryServer
from marketplace_settings_model import Settings
from marketplace_settings_secrets import CATALOGUE

from tests.support.pillars import DIGEST, ENVIRONMENTS, TOKEN, pillar
from tests.unit.test_settings_wrong import JSON, WRONG
from tools import settings_docs

PILLAR = Path(__file__).parents[2] / "pillar"
SCHEMA = json.loads(settings_docs.SCHEMA.read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
KINDS = {path: declared.kind for path, declared in walk(Settings)}
CHECKS = {path: jsonschema.Draft7Validator(kind.schema()) for path, kind in KINDS.items()}
# Of these the schema says everything. Of sizes and durations it can't tell how large a text with a unit is.
EXACT = (Boolean, Choice, Domain, Integer, Number, RegistryServer, Text, UserIds)
PGP = "-----BEGIN PGP MESSAGE-----\n\nhQEMA...\n-----END PGP MESSAGE-----\n"


def valid(document):
    return VALIDATOR.is_valid(document)


def reads(kind, value):
    try:
        kind.read(value)
    except Wrong:
        return False
    return True


def from_schema(schema):
    """Values that ``schema`` takes, for the parts of JSON Schema that kinds use."""
    if "anyOf" in schema:
        return st.one_of(*map(from_schema, schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "boolean":
            return st.booleans()
        case "integer":
            return st.integers(schema["minimum"], schema.get("maximum", 1 << 50))
        case "number":
            return st.floats(schema["minimum"], schema["maximum"])
        case "array":
            items = schema["items"]
            several = st.lists(st.nothing() if isinstance(items, list) else from_schema(items), max_size=3)
            return st.tuples(*map(from_schema, items)).map(list) if isinstance(items, list) else several
        case "object":
            return st.dictionaries(
                st.from_regex(schema["propertyNames"]["pattern"]), st.integers(), max_size=3
            )
        case _:
            return st.from_regex(schema["pattern"])


def near(kind):
    """Values that are right, or nearly so: what people write."""
    example = DIGEST if kind is KINDS["postgres.digest"] else yaml.safe_load(kind.example)
    slips = st.tuples(st.just(str(example)), st.integers(0, 40), st.integers(0, 2), st.text(max_size=2)).map(
        lambda slip: slip[0][: slip[1]] + slip[3] + slip[0][slip[1] + slip[2] :]
    )
    return st.one_of(
        st.just(example), slips, slips.map(lambda text: [text]), from_schema(kind.schema()), JSON
    )


VALUES = st.sampled_from(sorted(KINDS)).flatmap(lambda path: st.tuples(st.just(path), near(KINDS[path])))
RIGHT = st.sampled_from(sorted(path for path, kind in KINDS.items() if isinstance(kind, EXACT))).flatmap(
    lambda path: st.tuples(st.just(path), from_schema(KINDS[path].schema()))
)


def test_the_schema_is_one():
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", ["base", *ENVIRONMENTS])
def test_shipped_pillars_are_valid_and_point_editors_at_the_schema(name):
    file = PILLAR / name / "init.sls"
    VALIDATOR.validate(yaml.safe_load(file.read_text()))
    pointed = re.search(r"^# yaml-language-server: \$schema=(\S+)$", file.read_text(), re.MULTILINE)
    assert (file.parent / pointed[1]).resolve() == settings_docs.SCHEMA


def test_examples_and_defaults_are_valid():
    for path, declared in walk(Settings):
        if not path.endswith(".digest"):
            CHECKS[path].validate(yaml.safe_load(declared.kind.example))
        if reads(declared.kind, declared.default):
            CHECKS[path].validate(declared.default)


def test_a_whole_pillar_is_valid_and_so_is_nothing():
    assert valid(pillar())
    assert valid({})
    assert valid({"backend": None, "secrets": None, "allow_restart": True})


def test_most_mistakes_show_in_the_editor():
    # The others are rules between settings, or look at what a secret, a number or an address says.
    assert sum(not valid(pillar({path: value})) for path, value, *_ in WRONG) >= 105


@pytest.mark.parametrize(
    "document",
    [
        {"bakend": {}},
        {"backend": {"limits": {"cpu": 1}}},
        {"backend": {"limits": {"memory": None}}},
        {"postgres": {"port": 1}},
        {"edge": ["bot.team.dev"]},
        {"secrets": {"telegram_token": TOKEN}},
        {"secrets": {"telegram_token": {"value": "x", "file": "/y"}}},
        {"secrets": {"telegram_token": {"value": "short"}}},
        {"secrets": {"telegram_tokn": {"value": TOKEN}}},
    ],
)
def test_what_is_not_known_is_refused_at_every_level(document):
    assert not valid(document)


@pytest.mark.parametrize(
    "way", [{"value": PGP}, {"file": "/x"}, {"environment": "X"}, {"value": TOKEN + "\n"}]
)
def test_a_secret_may_be_given_in_each_way_and_encrypted(way):
    assert valid({"secrets": {"telegram_token": way}})


@given(VALUES)
@settings(max_examples=400)
def test_what_the_parser_takes_the_schema_takes(found):
    path, value = found
    if reads(KINDS[path], value):
        assert CHECKS[path].is_valid(value)


@given(RIGHT)
@settings(max_examples=300)
def test_what_the_schema_takes_the_parser_takes(found):
    path, value = found
    # JSON Schema calls 2.0 an integer; and its $ in Python stands before a last newline as well.
    assume(not str(value).endswith("\n"))
    assert reads(KINDS[path], value)


@given(
    st.sampled_from(sorted(path for path, kind in KINDS.items() if isinstance(kind, Duration | Size))), JSON
)
def test_sizes_and_durations_are_told_by_their_form(path, value):
    if not CHECKS[path].is_valid(value):
        assert not reads(KINDS[path], value)


@given(
    st.dictionaries(
        st.sampled_from(sorted(CATALOGUE)), st.dictionaries(st.text(max_size=9), JSON, max_size=2)
    )
)
def test_secrets_that_the_parser_takes_the_schema_takes(secrets):
    outcome = examine(pillar({"secrets": secrets}), "production", ENVIRONMENTS)
    if outcome.settings is not None:
        assert valid({"secrets": secrets})
