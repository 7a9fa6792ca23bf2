"""What a rebuild refuses, and how it is taken up again."""

import json
import subprocess
from datetime import UTC, datetime
from types import SimpleNamespace

import marketplace_rebuild
import marketplace_salt
import pytest
from marketplace_backup_world import BackupError
from marketplace_backups import Catalogue
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_progress import Progress
from marketplace_rebuild import Rebuild
from marketplace_recovery import Target
from marketplace_salt import SaltCallError, apply
from marketplace_spool import Spool


class Fake(Rebuild):
    """A rebuild whose steps only say that they were done; ``broken`` names one that fails."""

    broken = ""

    def _actions(self):
        def action(name):
            def do():
                if name == self.broken:
                    raise SaltCallError("it is broken")
                self.log.append(name)
                return ""

            return do

        return tuple((name, action(name)) for name in ("archive", "ground", "open"))


def rebuild(root, log, broken="", place="s3:bucket/x", kind=Fake):
    paths = Paths(root)
    paths.state.mkdir(parents=True, exist_ok=True)
    world = SimpleNamespace(
        paths=paths,
        catalogue=Catalogue(paths.backups),
        spool=Spool(paths.spool),
        clock=SimpleNamespace(now=lambda: datetime(2026, 11, 25, 12, tzinfo=UTC), monotonic=lambda: 0.0),
    )
    made = kind(
        world, SimpleNamespace(target="s3:bucket/x", place=place), "production", Target(), Progress(), "root"
    )
    made.log, made.broken = log, broken
    return made


def test_what_was_done_is_not_done_again(tmp_path):
    log = []
    failed = rebuild(tmp_path, log, "ground").perform()
    assert (failed["outcome"], failed["reason"], log) == ("failed", "ground: it is broken", ["archive"])
    # As the archive has brought them: a droplet that was begun on is no converged one.
    Paths(tmp_path).etc.mkdir(parents=True)
    Paths(tmp_path).settings.write_text("{}")
    done = rebuild(tmp_path, log).perform()
    assert (done["outcome"], log) == ("rebuilt", ["archive", "ground", "open"])
    assert [event.kind for event in Spool(Paths(tmp_path).spool).pending()] == ["droplet.rebuilt"]
    with pytest.raises(BackupError, match="no fresh one"):
        rebuild(tmp_path, log).perform()


def test_a_file_system_that_was_too_small_grows_when_the_rebuild_is_taken_up(tmp_path):
    """While it is not finished state.apply refuses, so that nothing but its own ground can give it more."""
    log = []
    assert rebuild(tmp_path, log, "open").perform()["reason"] == "open: it is broken"
    assert rebuild(tmp_path, log, "ground").perform()["reason"] == "ground: it is broken"
    assert rebuild(tmp_path, log).perform()["outcome"] == "rebuilt"
    assert log == ["archive", "ground", "ground", "open"]


def test_what_was_begun_from_one_copy_does_not_go_on_from_another(tmp_path):
    log = []
    rebuild(tmp_path, log, "ground").perform()
    with pytest.raises(BackupError, match="a rebuild from s3:bucket/x was begun here"):
        rebuild(tmp_path, log, place="s3:other/x").perform()
    assert log == ["archive"]


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("killed", ["before its place", "behind it"])
def test_a_database_that_was_put_in_its_place_is_known_after_a_kill(tmp_path, monkeypatch, killed):
    restored = []

    class Restore:
        again = False

        def __init__(self, *_):
            self.is_needless = bool(restored)
            self.found = {"base": "20261125T023000", "rows": {"public.users": 3}}

        def perform(self, about_to_place):
            about_to_place()
            if killed == "behind it" or self.again:
                restored.append("the data")
            if not self.again:
                raise Killed
            return "restored"

    monkeypatch.setattr(marketplace_rebuild, "FirstRestore", Restore)
    monkeypatch.setattr(
        Rebuild, "_actions", lambda run: (("archive", lambda: ""), ("database", run.database))
    )
    here = {"postgres": {"managed": {"host": ""}, "reference": "p"}, "redis": {"managed": {"host": ""}}}
    monkeypatch.setattr(Rebuild, "_settings", lambda run: here)

    def perform():
        made = rebuild(tmp_path, [], kind=Rebuild)
        made.world.docker = SimpleNamespace(pull=lambda _: None)
        made.world.lock = Lock(made.world.paths.backup_lock)
        return made.perform()

    with pytest.raises(Killed):
        perform()
    Restore.again = True
    answer = perform()
    assert (answer["outcome"], answer["notes"]) == ("rebuilt", [])
    assert (answer["base"], answer["rows"]) == ("20261125T023000", {"public.users": 3})
    assert restored == ["the data"]


@pytest.mark.parametrize("there", ["etc/marketplace/settings.json", "var/lib/marketplace/live.map"])
def test_a_droplet_that_was_in_use_is_refused(tmp_path, there):
    (tmp_path / there).parent.mkdir(parents=True)
    (tmp_path / there).write_text("{}")
    log = []
    with pytest.raises(BackupError, match=there):
        rebuild(tmp_path, log).perform()
    assert log == []


def answer(monkeypatch, document, returncode=0):
    said = document if isinstance(document, str) else json.dumps({"local": document})
    seen = []

    def run(argv, **_):
        seen.append(argv)
        return subprocess.CompletedProcess(argv, returncode, said, "a warning\n")

    monkeypatch.setattr(marketplace_salt.subprocess, "run", run)
    return seen


def test_states_are_counted(monkeypatch):
    states = {
        "a": {"__id__": "Ensure a", "result": True, "changes": {"x": 1}, "comment": ""},
        "b": {"__id__": "Ensure b", "result": True, "changes": {}, "comment": ""},
    }
    seen = answer(monkeypatch, states)
    assert apply("role.base", "barman") == "2 states, 1 changed"
    assert seen[0][-2:] == ["state.apply", "role.base,barman"]
    apply()
    assert seen[1][-1] == "state.apply"


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (
            {
                "a": {"__id__": "Ensure a", "result": False, "changes": {}, "comment": "no disk"},
                "b": {"__id__": "Ensure b", "result": False, "changes": {}, "comment": "requisite"},
            },
            r"Ensure a: no disk \(and 1 more\)",
        ),
        (
            ["Pillar failed to render", "the pillar has 1 problem"],
            "refused: Pillar failed to render / the pillar",
        ),
        ("Traceback", r"no answer \(exit code 1\); it said: a warning"),
    ],
)
def test_states_that_fail_are_said(monkeypatch, document, says):
    answer(monkeypatch, document, 1)
    with pytest.raises(SaltCallError, match=says):
        apply()
