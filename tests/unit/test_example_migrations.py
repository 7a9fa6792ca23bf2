"""The example's migrations: what each version's image tells of them, and what it takes back."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from assemble import assemble
from marketplace_bot.revisions import Refused, beyond, pending, plan
from marketplace_migrations import Migration, parse_plan

EXAMPLE = Path(__file__).parents[2] / "examples" / "marketplace"
NEWEST = "1.4.0"


def scripts_of(directory: Path, version: str, variant: str = "") -> ScriptDirectory:
    assemble(EXAMPLE, directory, version, variant)
    return ScriptDirectory.from_config(Config(directory / "alembic.ini"))


def parsed(scripts: ScriptDirectory) -> dict[str, Migration]:
    return {migration.revision: migration for migration in parse_plan(json.dumps(plan(scripts)))}


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> ScriptDirectory:
    return scripts_of(tmp_path_factory.mktemp("app") / "app", NEWEST)


def test_the_command_prints_the_plan_without_a_database(tmp_path: Path) -> None:
    assemble(EXAMPLE, tmp_path / "app", "1.1.0")
    argv = [sys.executable, "-B", "-m", "marketplace_bot.migrate", "plan"]
    done = subprocess.run(argv, cwd=tmp_path / "app", env={}, capture_output=True, text=True, check=True)
    first, second = parse_plan(done.stdout)
    assert (first.revision, first.down, second.revision, second.down) == ("0001", (), "0002", ("0001",))
    assert second.summary.startswith("Likes. ")
    assert second.loses == "who likes what, and how many like a listing"


def test_each_kind_is_in_the_history(newest: ScriptDirectory) -> None:
    found = parsed(newest)
    assert list(found) == ["0001", "0002", "0003", "0004", "0005"]
    assert [revision for revision, item in found.items() if item.breaking] == ["0005"]
    assert [revision for revision, item in found.items() if not item.reversible] == ["0004"]
    assert found["0004"].loses == "the usernames of all users"
    assert all(item.transactional for item in found.values())
    assert (found["0003"].loses, found["0005"].loses) == ("", "")


def test_the_half_migration_says_what_it_is(tmp_path: Path) -> None:
    found = parsed(scripts_of(tmp_path / "app", "1.1.1", "migration-half"))
    assert [(item.revision, item.transactional) for item in found.values()] == [
        ("0001", True),
        ("0002", True),
        ("9005", False),
    ]


def test_what_an_upgrade_will_run(newest: ScriptDirectory) -> None:
    assert [script.revision for script in pending(newest, ["0003"])] == ["0004", "0005"]
    assert [script.revision for script in pending(newest, [])] == ["0001", "0002", "0003", "0004", "0005"]
    assert pending(newest, ["0005"]) == []


def test_what_is_taken_back(newest: ScriptDirectory) -> None:
    assert [script.revision for script in beyond(newest, ["0003"], ["0001"])] == ["0003", "0002"]
    assert [script.revision for script in beyond(newest, ["0002"], [])] == ["0002", "0001"]
    assert [script.revision for script in beyond(newest, ["0005"], ["0004"])] == ["0005"]
    assert beyond(newest, ["0004"], ["0004"]) == []


@pytest.mark.parametrize(
    ("current", "targets", "reason"),
    [
        (["0005"], ["0003"], "0004 is not reversible, it has lost the usernames of all users"),
        (["0007"], ["0003"], "the schema is at 0007, which this image does not have"),
        (["0002"], ["0003"], "the schema is at 0002, which does not contain 0003"),
        ([], ["0001"], "the schema is at nothing, which does not contain 0001"),
        (["0002"], ["nonsense"], "which does not contain nonsense"),
    ],
)
def test_what_is_not_taken_back(
    newest: ScriptDirectory, current: list[str], targets: list[str], reason: str
) -> None:
    with pytest.raises(Refused, match=reason):
        beyond(newest, current, targets)


def test_branches_are_followed(tmp_path: Path) -> None:
    scripts = scripts_of(tmp_path / "app", "1.0.0")
    text = "revision = {!r}\ndown_revision = {!r}\ndepends_on = {!r}\ndef upgrade(): pass\ndef downgrade(): pass\n"
    versions = tmp_path / "app" / "migrations" / "versions"
    for revision, down, needs in (
        ("left", "0001", None),
        ("right", "0001", None),
        ("more", "right", "left"),
        ("merged", ("left", "more"), None),
    ):
        (versions / f"{revision}.py").write_text(text.format(revision, down, needs))
    scripts = ScriptDirectory.from_config(Config(tmp_path / "app" / "alembic.ini"))
    found = parsed(scripts)
    assert found["more"].down == ("right", "left")
    assert found["merged"].down == ("left", "more")
    assert {script.revision for script in beyond(scripts, ["left", "right"], ["left"])} == {"right"}
    assert [script.revision for script in beyond(scripts, ["merged"], ["left", "right"])] == [
        "merged",
        "more",
    ]
