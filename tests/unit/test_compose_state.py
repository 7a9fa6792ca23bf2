"""What the state of a compose project does about another image, with a Docker that is a dictionary."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from marketplace_lock import Lock
from marketplace_paths import Paths
from marketplace_undisturbed import busy

from tests.unit.test_states import load

OLD, NEW, BAD = (f"postgres:17.{number}@sha256:{number * 32}" for number in ("10", "11", "12"))
BEGUN = {"by": "bob", "started": "2026-11-25T12:00:00+00:00", "time": None}
NEXT = "postgres:18.1@sha256:" + "18" * 32


class Project:
    """One service, ``postgres``. ``did`` is what was done to it, in order."""

    def __init__(self, directory: Path) -> None:
        self.file = directory / "compose.yaml"
        self.data = directory / "PG_VERSION"
        self.data.write_text("17\n")
        self.image, self.restarts, self.down, self.starved = OLD, 0, False, False
        self.here = {OLD}
        self.did: list[str] = []
        self.say(OLD)

    def say(self, image: str) -> None:
        """Write the compose file."""
        service = {"image": image, "container_name": "postgres"}
        self.file.write_text(yaml.safe_dump({"services": {"postgres": service}}))

    def retire(self) -> None:
        """Have it in the compose file no longer."""
        self.file.write_text(yaml.safe_dump({"services": {}}))

    def run_all(self, command: list[str], stdin: str | None = None, **_: Any) -> dict[str, Any]:
        code, said = self._run(command, stdin)
        return {"retcode": code, "stdout": said, "stderr": ""}

    def _run(self, command: list[str], stdin: str | None) -> tuple[int, str]:
        own_session = ["setsid", "--wait"]
        match (command[2:] if command[:2] == own_session else command)[1:]:
            case ["compose", *words] if "config" in words:
                return 0, f"postgres {yaml.safe_load(self.file.read_text())['services']['postgres']['image']}"
            case ["stop" | "rm" as what, "postgres"]:
                self.did.append(f"{what} postgres")
                self.here -= self.here if what == "rm" else set()
            case ["image", "inspect", *_, image]:
                return (0 if image in self.here else 1), ""
            case ["pull", *_, image]:
                self.did.append(f"pull {image}")
                self.here.add(image)
            case ["run", *words]:
                image = next(word for word in words if word.startswith("postgres:"))
                return 0, f"postgres (PostgreSQL) {image.partition(':')[2].partition('@')[0]} (Debian)"
            case ["start", "postgres"]:
                self.down = False
            case ["exec", "postgres", *words]:
                self.did.append(" ".join(words))
            case ["compose", *words] if "up" in words:
                assert command[:2] == own_session, "Ctrl-C would leave no container"
                said = yaml.safe_load(stdin or self.file.read_text())
                # Who had no room to start is taken for running.
                self.image, self.down = said["services"]["postgres"]["image"], self.down and self.starved
                self.did.append(f"up {self.image}")
            case ["logs", *_]:
                return 0, "FATAL: no"
            case other:
                raise AssertionError(other)
        return 0, ""

    def project(self, name: str) -> list[dict[str, Any]]:
        """What Docker's socket says of the project ``name``."""
        return [self._inspected()] if self.here else []

    def _inspected(self) -> dict[str, Any]:
        bad = self.image == BAD
        self.restarts = self.restarts + 3 if bad else 0
        state = {
            "Running": not bad and not self.down,
            "Health": {"Status": "healthy"},
            "StartedAt": "2026-01-01T00:00:00Z",
        }
        labels = {
            "com.docker.compose.service": "postgres",
            "com.docker.compose.config-hash": self.image,
        }
        return {
            "Name": "/postgres",
            "State": state,
            "RestartCount": self.restarts,
            "Config": {"Labels": labels, "Image": self.image},
        }

    def state(
        self,
        monkeypatch: pytest.MonkeyPatch,
        paths: Paths,
        allow: bool = True,
        test: bool = False,
        retired: list[str] | None = None,
    ) -> dict[str, Any]:
        """The state's verdict."""
        module = load("compose", __salt__={"cmd.run_all": self.run_all}, __opts__={"test": test})
        monkeypatch.setattr(module, "Paths", lambda: paths)
        monkeypatch.setattr(module, "which", lambda name: name)
        monkeypatch.setattr(module, "DockerSocket", lambda *_: self)
        monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
        # Of the jobs' containers: Docker's own command is not asked.
        monkeypatch.setattr("marketplace_undisturbed.containers", lambda world: {})
        found: dict[str, Any] = module.running(
            "data",
            str(self.file),
            versions={"postgres": {"command": ["postgres", "--version"], "file": str(self.data)}},
            prepare={"postgres": ["psql", "-c", "CHECKPOINT"]},
            retired=retired,
            allow_restart=allow,
        )
        return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "root")


def test_another_image_waits_until_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch, project: Project, paths: Paths
) -> None:
    project.say(NEW)
    found = project.state(monkeypatch, paths, allow=False)
    assert (found["result"], found["changes"], project.did) == (True, {}, [])
    assert (
        "image postgres:17.10@sha256:101010101010 -> postgres:17.11@sha256:111111111111" in found["comment"]
    )
    assert "salt-call state.apply pillar=" in found["comment"]
    assert len(json.loads(paths.pending.read_text())) == 1
    predicted = project.state(monkeypatch, paths, test=True)
    assert (predicted["result"], project.did) == (None, [])
    done = project.state(monkeypatch, paths)
    assert done["result"] is True
    assert done["changes"] == predicted["changes"]
    # Everything is there before anything stops.
    assert project.did == [f"pull {NEW}", "psql -c CHECKPOINT", f"up {NEW}"]
    assert json.loads(paths.pending.read_text()) == []
    assert project.state(monkeypatch, paths)["changes"] == {}
    # And back to the older minor version.
    project.say(OLD)
    assert project.state(monkeypatch, paths)["result"] is True
    assert project.image == OLD


def test_a_prediction_knows_the_image_that_is_not_written_yet(
    monkeypatch: pytest.MonkeyPatch, project: Project, paths: Paths
) -> None:
    module = load("compose", __salt__={"cmd.run_all": project.run_all}, __opts__={"test": True})
    monkeypatch.setattr(module, "Paths", lambda: paths)
    monkeypatch.setattr(module, "which", lambda name: name)
    monkeypatch.setattr(module, "DockerSocket", lambda *_: project)
    monkeypatch.setattr("marketplace_undisturbed.containers", lambda world: {})
    found = module.running("data", str(project.file), images={"postgres": NEW}, allow_restart=True)
    assert (found["result"], list(found["changes"])) == (None, ["postgres"])


@pytest.mark.parametrize("lock", ["lock", "backup_lock", "jobs_lock"])
@pytest.mark.parametrize("test", [True, False])
def test_what_is_at_work_is_not_disturbed(
    monkeypatch: pytest.MonkeyPatch, project: Project, paths: Paths, lock: str, test: bool
) -> None:
    project.say(NEW)
    monkeypatch.setattr("marketplace_undisturbed._MOMENT", 0.0)
    with Lock(getattr(paths, lock)).held("alice", "release of 1.2.0"):
        found = project.state(monkeypatch, paths, test=test)
    assert found["result"] is False
    assert "release of 1.2.0 by alice" in found["comment"]
    assert "apply again when that is over" in found["comment"]
    assert [word for word in project.did if not word.startswith("pull")] == []
    assert project.state(monkeypatch, paths)["result"] is True


def test_what_is_retired_goes_when_nothing_is_at_work(
    monkeypatch: pytest.MonkeyPatch, project: Project, paths: Paths
) -> None:
    project.retire()
    monkeypatch.setattr("marketplace_undisturbed._MOMENT", 0.0)
    with Lock(paths.jobs_lock).held("alice", "looking after jobs"):
        found = project.state(monkeypatch, paths, allow=False, retired=["postgres"])
    assert found["result"] is False
    assert "looking after jobs by alice" in found["comment"]
    assert project.did == []
    assert project.state(monkeypatch, paths, allow=False, retired=["postgres"])["result"] is True
    assert project.did == ["stop postgres", "rm postgres"]


def test_what_was_interrupted_is_settled_first(
    monkeypatch: pytest.MonkeyPatch, project: Project, paths: Paths
) -> None:
    project.say(NEW)
    paths.state.mkdir(parents=True)
    paths.restore.write_text(json.dumps(BEGUN | {"time": "2026-11-24T08:15:00+00:00", "came_up": True}))
    words = "backup.restore to=live time='2026-11-24T08:15:00+00:00' takes it up again"
    assert words in project.state(monkeypatch, paths)["comment"]
    paths.restore.unlink()
    paths.journal.mkdir()
    (paths.journal / "current.json").write_text('{"run": {"release": "r"}, "step": "migrate"}')
    assert (
        "release r was interrupted at migrate: first deploy.resume"
        in project.state(monkeypatch, paths)["comment"]
    )
    assert project.image == OLD


@pytest.mark.parametrize("test", [True, False])
def test_what_a_restore_has_stopped_is_not_started(
    monkeypatch: pytest.MonkeyPatch, project: Project, paths: Paths, test: bool
) -> None:
    project.down = True
    with Lock(paths.lock).held("bob", "backup.restore to=live"):
        found = project.state(monkeypatch, paths, allow=False, test=test)
    assert (found["result"], project.did) == (False, [])
    assert "backup.restore to=live by bob is putting other data in the live ones' place" in found["comment"]
    paths.restore.write_text(json.dumps(BEGUN))
    found = project.state(monkeypatch, paths, allow=False, test=test)
    assert (found["result"], project.did) == (False, [])
    assert "backup.restore undo=True gives it up" in found["comment"]
    # What has come up on the restored data stays.
    paths.restore.write_text(json.dumps(BEGUN | {"came_up": True}))
    assert project.state(monkeypatch, paths, allow=False)["result"] is True
    assert project.did == [f"up {OLD}"]


def test_what_is_down_is_started_whatever_else_is_at_work(
    monkeypatch: pytest.MonkeyPatch, project: Project, paths: Paths
) -> None:
    """A release, a job or a backup may be what waits for it."""
    project.down = True
    paths.journal.mkdir(parents=True)
    (paths.journal / "current.json").write_text('{"run": {"release": "r"}, "step": "migrate"}')
    with (
        Lock(paths.lock).held("alice", "release of 1.2.0"),
        Lock(paths.backup_lock).held("root", "backup.create"),
        Lock(paths.jobs_lock).held("root", "looking after jobs"),
    ):
        assert project.state(monkeypatch, paths, allow=False)["result"] is True
    assert project.did == [f"up {OLD}"]


def test_no_restore_begins_while_something_is_being_started(
    monkeypatch: pytest.MonkeyPatch, project: Project, paths: Paths
) -> None:
    project.down, seen = True, []
    run_all = project.run_all

    def looking(command: list[str], **options: Any) -> dict[str, Any]:
        if "up" in command:
            seen.append(Lock(paths.lock).holder())
        return run_all(command, **options)

    monkeypatch.setattr(project, "run_all", looking)
    assert project.state(monkeypatch, paths, allow=False)["result"] is True
    assert [holder and holder["doing"] for holder in seen] == ["starting the data services"]


def test_a_job_that_runs_is_named(monkeypatch: pytest.MonkeyPatch, paths: Paths) -> None:
    state = type("State", (), {"running": True})()
    monkeypatch.setattr("marketplace_undisturbed.containers", lambda world: {"expire": state})
    assert "job expire runs" in str(busy(paths))


def test_another_major_version_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, project: Project, paths: Paths
) -> None:
    project.say(NEXT)
    found = project.state(monkeypatch, paths)
    assert found["result"] is False
    assert "is postgres 18, and its data are of 17" in found["comment"]
    assert "docs/backups.md" in found["comment"]
    assert (project.image, project.did) == (OLD, [f"pull {NEXT}"])


def test_an_image_that_does_not_come_up_is_taken_back(
    monkeypatch: pytest.MonkeyPatch, project: Project, paths: Paths
) -> None:
    project.say(BAD)
    found = project.state(monkeypatch, paths)
    assert found["result"] is False
    assert "FATAL: no" in found["comment"]
    assert "It was taken back: postgres:17.10@sha256:101010101010 runs" in found["comment"]
    assert project.image == OLD
    # It is pending still, and nothing restarts for it by itself.
    assert "Pending restart" in project.state(monkeypatch, paths, allow=False)["comment"]
    assert project.image == OLD


def test_what_docker_had_no_room_to_start_is_started_though_its_list_says_that_it_runs(
    monkeypatch: pytest.MonkeyPatch, project: Project, paths: Paths
) -> None:
    project.down = project.starved = True
    found = project.state(monkeypatch, paths, allow=False)
    assert (found["result"], project.down) == (True, False)
