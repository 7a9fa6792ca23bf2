"""A release in a unit of its own: the ticket, the command for systemd, and what somebody who looks on is told."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import marketplace_launch
import pytest
from marketplace_launch import LaunchError, follow, launch, patience, unit_command
from marketplace_paths import Paths
from marketplace_progress import Progress
from marketplace_sandbox import ENGINE
from marketplace_ticket import KEPT, Reader, Recorder, Ticket

from tests.support.waiting import seconds_until

UTILS = Path(__file__).resolve().parents[2] / "salt/_utils"
ASKED = {"version": "1.1.0", "image": "", "by": "alice", "tree": "abc"}


class Heard(Progress):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def begin(self, step: str) -> None:
        self.events.append(("begin", step))

    def end(self, step: str, outcome: str, seconds: float, detail: str) -> None:
        self.events.append(("end", step, outcome, seconds, detail))

    def say(self, words: str) -> None:
        self.events.append(("say", words))


@pytest.fixture
def ticket(tmp_path: Path) -> Ticket:
    return Ticket.issue(tmp_path / "run/marketplace", {"root": str(tmp_path), "request": ASKED})


def command(directory: Path, name: str, body: str) -> None:
    """An executable of that name, in the place of the real one."""
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!{sys.executable}\n{body}")
    (directory / name).chmod(0o755)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand-ins for systemd-run, which starts the engine and forgets it, and systemctl, which knows whether it runs."""
    place = tmp_path / "bin"
    command(
        place,
        "systemd-run",
        f"import json, subprocess, sys\n"
        f"argv = sys.argv[1:]\n"
        f"json.dump(argv, open({str(tmp_path / 'argv')!r}, 'w'))\n"
        f"engine = argv[[i for i, word in enumerate(argv) if not word.startswith('--')][0]:]\n"
        f"started = subprocess.Popen(engine, start_new_session=True, stdin=-3, stdout=-3, stderr=-3)\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(started.pid))\n",
    )
    command(
        place,
        "systemctl",
        f"import os\n"
        f"pid = open({str(tmp_path / 'pid')!r}).read()\n"
        f"try: state = open(f'/proc/{{pid}}/stat').read().rsplit(')', 1)[1].split()[0]\n"
        f"except OSError: state = 'Z'\n"
        f"print('LoadState=not-found\\nActiveState=inactive' if state == 'Z' else "
        f"'LoadState=loaded\\nActiveState=active')\n",
    )
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setattr(marketplace_launch, "LOOK_SECONDS", 0.05)
    yield place
    pid = tmp_path / "pid"
    if pid.exists() and Path(f"/proc/{pid.read_text()}").exists():
        os.kill(int(pid.read_text()), signal.SIGKILL)


def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Another engine in the place of the real one; it has ``ticket`` and ``progress``."""
    file = tmp_path / "engine.py"
    file.write_text(
        f"import sys, time\nsys.path.insert(0, {str(UTILS)!r})\n"
        "from pathlib import Path\nfrom marketplace_progress import Progress\n"
        "from marketplace_ticket import Recorder, Ticket\n"
        "ticket = Ticket(Path(sys.argv[-1])); progress = Recorder(ticket, Progress())\n" + body
    )
    monkeypatch.setattr(marketplace_launch, "ENGINE", file)
    monkeypatch.setattr(marketplace_launch, "PYTHON", Path(sys.executable))


def test_ticket_is_private_and_says_what_is_asked(ticket: Ticket, tmp_path: Path) -> None:
    assert stat.S_IMODE(ticket.directory.stat().st_mode) == 0o700
    assert ticket.request() == {"root": str(tmp_path), "request": ASKED}
    assert ticket.result() is None
    assert ticket.id.startswith(ticket.issued)


def test_tickets_are_never_the_same_and_old_ones_are_thrown_away(tmp_path: Path) -> None:
    made = []
    for number in range(KEPT + 10):
        made.append(Ticket.issue(tmp_path, {"number": number}))
        made[-1].answer({"outcome": "live"})
    assert len({ticket.id for ticket in made}) == KEPT + 10
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == KEPT
    assert made[-1].id in left


def test_ticket_that_may_be_at_work_is_kept(tmp_path: Path) -> None:
    at_work, abandoned = (tmp_path / f"20200101T00000{number}Z-abcdef" for number in (1, 2))
    at_work.mkdir()
    abandoned.mkdir()
    os.utime(abandoned, (0, 0))
    (tmp_path / "pause").write_text("somebody else's")
    for _ in range(KEPT + 1):
        Ticket.issue(tmp_path, {}).answer({})
    assert at_work.exists()
    assert not abandoned.exists()
    assert (tmp_path / "pause").exists()


def test_progress_is_read_as_it_grows_and_no_half_lines(ticket: Ticket) -> None:
    heard, reader = Heard(), Reader(ticket)
    reader.hand_on(heard)
    writes = Recorder(ticket, Progress())
    writes.begin("pull")
    reader.hand_on(heard)
    assert heard.events == [("begin", "pull")]
    writes.end("pull", "done", 1.25, "ghcr.io/team/märket\nplace")
    with (ticket.directory / "progress.jsonl").open("a") as file:
        file.write('{"event": "say", "wor')
        file.flush()
        reader.hand_on(heard)
        file.write('ds": "so"}\n')
    reader.hand_on(heard)
    assert heard.events[1:] == [("end", "pull", "done", 1.25, "ghcr.io/team/märket\nplace"), ("say", "so")]


def test_recording_never_raises(ticket: Ticket) -> None:
    heard = Heard()
    ticket.directory.chmod(0o000)
    gone = Ticket(ticket.directory / "nowhere")
    Recorder(gone, heard).say("something")
    ticket.directory.chmod(0o700)
    assert heard.events == [("say", "something")]


def test_unit_outlives_its_caller_and_stops_before_what_it_works_with(ticket: Ticket) -> None:
    words = unit_command(ticket, "release of 1.1.0, asked by alice", 300)
    assert words[0] == "systemd-run"
    for option in (
        "--no-block",
        "--collect",
        f"--unit=marketplace-release-{ticket.id}.service",
        "--property=KillMode=mixed",
        "--property=TimeoutStopSec=300",
    ):
        assert option in words
    after = next(word for word in words if word.startswith("--property=After="))
    for unit in ("docker", "marketplace-data", "marketplace-backend", "haproxy"):
        assert f"{unit}.service" in after
    assert words[-2:] == [str(UTILS / "marketplace_engine.py"), str(ticket.directory)]
    settle = next(word for word in words if word.startswith("--property=ExecStopPost="))
    assert settle.endswith(f'"--settle" "{ticket.directory}"')
    assert {f"--property={line}" for line in ENGINE} <= set(words)


def test_paths_in_a_unit_are_taken_as_they_are(tmp_path: Path) -> None:
    words = unit_command(Ticket(tmp_path / 'a $b %c "d" \\e'), "release", 1)
    settle = next(word for word in words if word.startswith("--property=ExecStopPost="))
    assert settle.endswith('/a $$b %%c \\"d\\" \\\\e"')


def test_patience_covers_what_taking_back_may_need() -> None:
    backend = {"stop_grace": 30, "ready_timeout": 60, "migration_timeout": 300}
    assert patience({"backend": backend}) >= 2 * 30 + 60 + 300
    assert patience({"backend": backend | {"soak": 600}}) == patience({"backend": backend}) + 600


def test_caller_is_told_everything_and_gets_the_answer(
    tmp_path: Path, systemd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(
        tmp_path,
        monkeypatch,
        "progress.begin('pull'); progress.end('pull', 'done', 0.5, 'fetched')\n"
        "version = ticket.request()['request']['version']\n"
        "ticket.answer({'outcome': 'live', 'version': version})\n",
    )
    directory = launch(Paths(tmp_path), ASKED, "release of 1.1.0", 60)
    heard = Heard()
    assert follow(directory, heard) == {"outcome": "live", "version": "1.1.0"}
    assert heard.events == [("begin", "pull"), ("end", "pull", "done", 0.5, "fetched")]
    assert json.loads((tmp_path / "argv").read_text())[-1] == str(directory)


def test_progress_arrives_while_it_goes_on(
    tmp_path: Path, systemd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = tmp_path / "gate"
    engine(
        tmp_path,
        monkeypatch,
        f"progress.begin('pull')\nwhile not Path({str(gate)!r}).exists(): time.sleep(0.01)\n"
        "ticket.answer({'outcome': 'live'})\n",
    )
    directory = launch(Paths(tmp_path), ASKED, "release", 60)
    heard = Heard()
    answers: list[dict[str, Any]] = []
    looking = threading.Thread(target=lambda: answers.append(follow(directory, heard)))
    looking.start()
    seconds_until(lambda: heard.events == [("begin", "pull")], 10)
    assert answers == []
    gate.touch()
    looking.join(10)
    assert answers == [{"outcome": "live"}]


def test_killed_release_is_no_endless_wait(
    tmp_path: Path, systemd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine(tmp_path, monkeypatch, "progress.begin('migrate'); time.sleep(600)\n")
    directory = launch(Paths(tmp_path), ASKED, "release", 60)
    seconds_until(lambda: (directory / "progress.jsonl").exists(), 10)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    heard = Heard()
    answer = follow(directory, heard)
    assert answer["outcome"] == "interrupted"
    assert "deploy.resume finishes or undoes it" in answer["reason"]
    assert f"journalctl -u {Ticket(directory).unit}" in answer["reason"]
    assert heard.events == [("begin", "migrate")]


@pytest.mark.parametrize(
    ("settled", "outcome", "words"),
    [
        ({"record": {"outcome": "failed", "reason": "killed"}, "resumed": "undone"}, "failed", "killed"),
        ({"record": None, "resumed": None}, "interrupted", "it had changed nothing"),
        (
            {"record": None, "error": "Docker is away"},
            "interrupted",
            "Docker is away. deploy.resume finishes",
        ),
    ],
)
def test_settled_release_says_what_became_of_it(
    ticket: Ticket, tmp_path: Path, systemd: Path, settled: dict[str, Any], outcome: str, words: str
) -> None:
    (tmp_path / "pid").write_text("gone")
    ticket.settle(settled)
    answer = follow(ticket.directory, Progress())
    assert answer["outcome"] == outcome
    assert words in answer["reason"]


@pytest.mark.parametrize(
    ("shown", "there"),
    [
        ("LoadState=loaded\nActiveState=inactive\nJob=71", True),  # it waits for others to start
        ("LoadState=loaded\nActiveState=activating\nJob=71", True),
        ("LoadState=loaded\nActiveState=deactivating\nJob=0", True),  # it is being settled
        ("LoadState=loaded\nActiveState=failed", False),
        ("LoadState=not-found\nActiveState=inactive", False),
    ],
)
def test_unit_is_there_until_it_is_over(systemd: Path, shown: str, there: bool) -> None:
    command(systemd, "systemctl", f"print({shown!r})\n")
    assert marketplace_launch._there("marketplace-release-x.service") is there


def test_systemd_that_does_not_answer_is_no_end(systemd: Path) -> None:
    command(systemd, "systemctl", "raise SystemExit(1)\n")
    assert marketplace_launch._there("marketplace-release-x.service")


def test_what_systemd_refuses_is_said(tmp_path: Path, systemd: Path) -> None:
    command(systemd, "systemd-run", "import sys; sys.exit('Failed to connect to bus')\n")
    with pytest.raises(LaunchError, match="Failed to connect to bus"):
        launch(Paths(tmp_path), ASKED, "release", 60)


def test_machine_without_systemd_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match="systemd-run could not start"):
        launch(Paths(tmp_path), ASKED, "release", 60)
    (tmp_path / "file").touch()
    with pytest.raises(LaunchError, match="no ticket could be written"):
        launch(Paths(tmp_path / "file"), ASKED, "release", 60)


def process(ticket: Ticket, setup: str, call: str, **environment: str) -> subprocess.Popen[str]:
    """The engine as a process, with something else in the place of what it calls."""
    code = (
        f"import os, signal, sys, time; sys.path.insert(0, {str(UTILS)!r})\n"
        "from types import SimpleNamespace\nimport marketplace_engine as engine\n"
        "from marketplace_ticket import Ticket\nfrom pathlib import Path\n"
        f"ticket = Ticket(Path({str(ticket.directory)!r}))\n{setup}\n{call}\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=-1, stderr=-1, text=True, env={**os.environ, **environment}
    )


PERFORM = """
def perform(world, settings, request, progress):
    progress.begin('wait')
    %s
    return SimpleNamespace(to_dict=lambda: {'outcome': outcome, 'version': request.version})
engine.perform = perform
"""


@pytest.fixture
def converged(tmp_path: Path) -> Path:
    settings = Paths(tmp_path).settings
    settings.parent.mkdir(parents=True)
    settings.write_text("{}")
    return tmp_path


def test_engine_answers_its_ticket(ticket: Ticket, converged: Path) -> None:
    done = process(ticket, PERFORM % "outcome = 'live'", "engine.release(ticket)")
    assert done.wait(20) == 0
    assert ticket.result() == {"outcome": "live", "version": "1.1.0"}


def test_engine_on_a_droplet_that_is_not_converged(ticket: Ticket) -> None:
    done = process(ticket, PERFORM % "outcome = 'live'", "engine.release(ticket)")
    assert done.wait(20) == 0
    answer = ticket.result()
    assert answer is not None
    assert (answer["outcome"], "run state.apply" in answer["reason"]) == ("refused", True)


def test_engine_that_is_told_to_stop_undoes_and_answers(ticket: Ticket, converged: Path) -> None:
    body = "\n    ".join(["try: time.sleep(600)", "except KeyboardInterrupt: outcome = 'failed'"])
    done = process(ticket, PERFORM % body, "engine.release(ticket)")
    seconds_until(lambda: (ticket.directory / "progress.jsonl").exists(), 20)
    done.terminate()
    assert done.wait(20) == 0
    assert ticket.result() == {"outcome": "failed", "version": "1.1.0"}


def test_engine_that_is_told_to_stop_once_it_is_done_exits_well(ticket: Ticket, converged: Path) -> None:
    setup = PERFORM % "outcome = 'live'" + (
        "answer = Ticket.answer\n"
        "def late(self, result): os.kill(os.getpid(), signal.SIGTERM); answer(self, result)\n"
        "Ticket.answer = late"
    )
    done = process(ticket, setup, "engine.release(ticket)")
    assert done.wait(20) == 0
    assert ticket.result() is not None


def test_engine_that_fails_by_a_mistake_claims_nothing(ticket: Ticket, converged: Path) -> None:
    done = process(ticket, PERFORM % "raise RuntimeError('a bug')", "engine.release(ticket)")
    assert done.wait(20) != 0
    assert "a bug" in done.communicate()[1]
    assert ticket.result() is None


RESUME = """
def resume(world, settings, by, progress):
    %s
    return {'live': 'blue', 'ready': True, 'resumed': 'undone'}
engine.resume = resume
"""


def settle(ticket: Ticket, body: str = "pass", running: str = "running", **environment: str) -> str:
    """Settle as systemd has it done; what was written to the journal."""
    place = ticket.directory.parent / "bin"
    command(place, "systemctl", f"print({running!r})\n")
    environment["PATH"] = f"{place}:{os.environ['PATH']}"
    done = process(ticket, RESUME % body, "engine.settle(ticket)", **environment)
    output = "".join(done.communicate(timeout=20))
    assert done.returncode == 0, output
    return output


def test_killed_release_is_settled(ticket: Ticket, converged: Path) -> None:
    settle(ticket, "progress.say('looking')", SERVICE_RESULT="signal")
    assert ticket.settled() == {"error": None, "resumed": "undone", "record": None}
    heard = Heard()
    Reader(ticket).hand_on(heard)
    assert heard.events == [("say", "looking")]


def test_what_cannot_be_settled_is_said(ticket: Ticket, converged: Path) -> None:
    assert "Docker is away" in settle(ticket, "raise OSError('Docker is away')", SERVICE_RESULT="signal")
    assert ticket.settled() == {"error": "Docker is away", "resumed": None, "record": None}


@pytest.mark.parametrize(
    ("result", "running", "answered"),
    [("success", "running", False), ("signal", "stopping", False), ("signal", "running", True)],
)
def test_nothing_is_settled_that_is_done_or_left_to_the_next_boot(
    ticket: Ticket, converged: Path, result: str, running: str, answered: bool
) -> None:
    if answered:
        ticket.answer({"outcome": "live"})
    settle(ticket, "raise AssertionError", running, SERVICE_RESULT=result)
    assert ticket.settled() is None


def test_settled_release_is_found_in_the_ledger(ticket: Ticket, converged: Path) -> None:
    found = process(
        ticket,
        "from marketplace_flight import Request\nfrom marketplace_records import ReleaseRecord\n"
        "from marketplace_world import World\nfrom marketplace_paths import Paths\n"
        f"world = World.of(Paths(Path({str(converged)!r})))\n"
        "def record(release, by): world.ledger.append(ReleaseRecord(release, '1', 'i', None, 'failed', 'killed',\n"
        "    'blue', {'before': None, 'after': None}, by, 't', '2026-01-01T00:00:00+00:00', 1.0, 'd'))\n"
        "request = Request(**ticket.request()['request'])\n",
        "record('20200101T000000Z', 'alice'); print(engine._record(world, ticket, request, None))\n"
        "record('29990101T000000Z', 'bob'); print(engine._record(world, ticket, request, None))\n"
        "record('29990101T000000Z-a', 'alice'); print(engine._record(world, ticket, request, None)['release'])\n",
    )
    output, errors = found.communicate(timeout=20)
    assert output.splitlines() == ["None", "None", "29990101T000000Z-a"], errors
