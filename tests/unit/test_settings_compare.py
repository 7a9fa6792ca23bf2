"""What two environments differ in, and how that and ``settings.show`` look."""

import pytest
from marketplace_settings_compare import Side, compare
from marketplace_settings_origin import origin, origins
from marketplace_settings_table import diff_text, is_diff, is_show, show_text

from tests.support.pillars import DIGEST, REMOVED, TOKEN, pillar

BASE, MINE = "pillar/base/init.sls", "pillar/mine/init.sls"


def side(changes=None, own=()):
    """An environment whose base is a pillar with ``changes``; the paths in ``own`` stand in its own file."""
    merged = pillar(changes)
    layer = {}
    for path in own:
        section, name = path.split(".")
        layer.setdefault(section, {})[name] = merged[section][name]
    return Side(merged, {BASE: pillar(), MINE: layer})


def differing(ours, theirs):
    return compare({"ours": ours, "theirs": theirs})


def test_the_same_is_no_difference():
    assert differing(side(), side()) == {}


def test_a_difference_has_both_values_and_where_they_come_from():
    changed = side({"redis.disk": "3G", "edge.domains": ["b.team.dev"]}, own=["redis.disk", "edge.domains"])
    assert differing(side(), changed) == {
        "redis.disk": {
            "ours": {"value": 2 << 30, "origin": "default"},
            "theirs": {"value": 3 << 30, "origin": MINE},
        },
        "edge.domains": {
            "ours": {"value": ["bot.team.dev"], "origin": BASE},
            "theirs": {"value": ["b.team.dev"], "origin": MINE},
        },
    }


def test_the_same_written_differently_is_no_difference():
    assert differing(side({"redis.disk": "2048M"}), side({"redis.disk": "2G"})) == {}


def test_what_is_missing_on_both_sides_is_no_difference_and_on_one_is():
    missing = side({"backend.image": REMOVED})
    assert differing(missing, missing) == {}
    found = differing(missing, side())
    assert found["backend.image"]["ours"]["problem"] == "is missing"
    assert found["backend.image"]["theirs"]["value"] == "ghcr.io/team/marketplace"


def test_a_section_that_is_wrong_does_not_hide_the_others():
    found = differing(side({"redis": ["x"], "backend.port": 8081}), side())
    assert found["redis.disk"]["ours"]["problem"] == "is in a section that is wrong"
    assert found["backend.port"]["ours"]["value"] == 8081


def test_of_secrets_it_only_shows_whether_they_are_given():
    given = side(
        {"secrets.webhook_secret": {"value": "A-secret-0123456789"}, "secrets.telegram_token": REMOVED}
    )
    found = differing(given, side())
    assert found == {
        "secrets.webhook_secret": {
            "ours": {"value": "given", "origin": "not here"},
            "theirs": {"value": "generated", "origin": "generated"},
        }
    }
    assert "0123456789" not in str(found)


def test_a_secret_that_only_one_side_needs_is_told():
    registry = side({"registry": {"server": "ghcr.io", "username": "robot"}})
    found = differing(registry, side())
    assert found["secrets.registry_password"]["ours"] == {"value": "given", "origin": "not here"}
    assert found["secrets.registry_password"]["theirs"] == {"value": None, "origin": "not used"}


def test_a_secret_in_a_wrong_place_is_not_shown():
    found = differing(side({"backend.environment": {"A": TOKEN}, "backend.version": TOKEN}), side())
    assert TOKEN not in str(found)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("redis.disk", "two"),
        ("redis.tag", "one"),
        ("redis.save", "default"),
        ("redis.maxmemory", "derived"),
        ("secrets.telegram_token", "one"),
        ("secrets.webhook_secret", "generated"),
    ],
)
def test_the_last_file_that_says_a_value_is_its_origin(path, expected):
    layers = {
        "one": {"redis": {"disk": 1, "tag": 2}, "secrets": {"telegram_token": {}}},
        "two": {"redis": {"disk": 3}},
    }
    assert origin(path, layers) == expected


def test_origins_are_told_of_every_setting():
    settings = {"redis": {"disk": 1, "maxmemory": 2}, "backend": {"environment": {"A": "b"}}}
    assert list(origins(settings, {})) == ["redis.disk", "redis.maxmemory", "backend.environment"]


ROWS = {
    "redis.disk": {"value": 3 << 30, "origin": MINE},
    "backend.stop_grace": {"value": 90, "origin": "default"},
    "backend.environment": {"value": {"A": "b", "C": "d"}, "origin": BASE},
    "edge.domains": {"value": ["a.dev", "b.dev"], "origin": BASE},
    "edge.email": {"value": "", "origin": "default"},
    "edge.root": {"value": "one\ntwo\nthree\n", "origin": "default"},
    "updates.reboot": {"value": True, "origin": "default"},
    "redis.digest": {"value": DIGEST, "origin": BASE},
}


def test_settings_are_a_line_each_as_people_write_them():
    lines = [line.split(None, 2) for line in show_text(ROWS, colour=False).splitlines()]
    assert [line[0] for line in lines] == list(ROWS)
    assert [line[2] for line in lines] == [
        "3G",
        "90s",
        "A=b, C=d",
        "a.dev, b.dev",
        "-",
        "one (and 2 more lines)",
        "true",
        DIGEST,
    ]
    assert len({line.index(row["origin"]) for line, row in zip(show_text(ROWS, False).splitlines(), ROWS.values(),
                                                               strict=True)}) == 1  # fmt: skip


def test_a_terminal_gets_colours_and_no_codes_of_a_values_own():
    rows = {"backend.image": {"value": "a\x1b[31mb", "origin": "default"}}
    assert show_text(rows, colour=False) == "backend.image  default  ab"
    assert show_text(rows, colour=True) == "backend.image  \x1b[2mdefault\x1b[0m  ab"


def test_a_difference_is_a_path_and_a_line_an_environment():
    answer = {
        "redis.disk": {
            "staging": {"value": 1 << 30, "origin": BASE},
            "production": {"value": None, "origin": "default", "problem": "is missing"},
        }
    }
    assert diff_text(answer, colour=False).splitlines() == [
        "redis.disk",
        f"    staging     1G  ({BASE})",
        "    production  is missing  (default)",
    ]
    assert diff_text({}, colour=False) == "no difference"


def test_answers_are_told_apart():
    assert is_show(ROWS)
    assert not is_diff(ROWS)
    assert is_diff({"redis.disk": ROWS})
    assert is_diff({})
    for other in ({"problems": ["x"]}, "text", ["a"], None):
        assert not is_show(other)
        assert not is_diff(other)
