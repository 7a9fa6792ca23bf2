"""deploy.* by Salt's own loaders, on a droplet that is a directory: arguments, exit codes, who asked."""

import ast
import importlib.util
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import marketplace_engine
import marketplace_launch
import marketplace_operate
import pytest
from marketplace_durable import make_directory, to_json, write_atomic
from marketplace_launch import LaunchError
from marketplace_lock import Lock
from marketplace_settings_gate import no_pillar
from marketplace_spool import Spool

from tests.support.admin_socket import AdminCommand, AdminSocket
from tests.support.pillars import REMOVED
from tests.support.salt_host import TREE, Host

Asked = list[Any]


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory, options: dict[str, Any]) -> Host:
    """One for all that are refused: it takes a second to make Salt's loaders."""
    return Host(tmp_path_factory.mktemp("untouched"), options)


@pytest.fixture
def converged(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    host.apply_settings()
    for name in ("SUDO_USER", "SSH_CONNECTION", "USER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "alice")
    return host


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the engine was asked for; each release comes out as its version says, ``live`` by default."""
    requests: Asked = []

    def perform(world: Any, settings: Any, request: Any, progress: Any) -> Any:
        requests.append(request)
        progress.begin("pull")
        progress.end("pull", "done", 0.1, "fetched")
        outcome = request.version if request.version.isalpha() else "live"
        record = {"outcome": outcome, "reason": "so", "version": request.version, "release": "r"}
        return SimpleNamespace(to_dict=lambda: record | {"colour": "blue", "seconds": 0.1})

    monkeypatch.setattr(marketplace_engine, "perform", perform)
    return requests


def test_status_before_and_after_the_first_converge(host: Host) -> None:
    status, code = host.call("deploy.status")
    assert code == 0
    assert status["live"] is None
    assert "run state.apply" in status["pending"][0]
    host.apply_settings()
    host.record(digest="sha256:of other settings")
    # Nothing of Docker is needed to say what the ledger knows, but health asks Docker: it is said what is missing.
    history, code = host.call("deploy.history")
    assert (code, history[0]["version"]) == (0, "1.0.0")


def test_a_damaged_record_of_a_backup_hides_no_release(converged: Host) -> None:
    damaged = converged.paths.backups / "records/postgres-x.json"
    make_directory(damaged.parent)
    damaged.write_text("")
    status, code = converged.call("deploy.status")
    assert code == 0
    assert "lock" in status
    (told,) = status["backups"]["trouble"]
    assert f"the backups cannot be told: {damaged} is no record of a backup" in told


@pytest.mark.parametrize(
    ("function", "arguments", "keywords", "words"),
    [
        ("release", (1.1,), {}, "loses digits"),
        ("release", ("a b",), {}, "expected an image's tag"),
        ("release", ("1.1.0",), {"sook": 5}, "did you mean soak?"),
        ("release", ("1.1.0",), {"soak": -1}, "expected seconds from 0 to 3600"),
        ("release", ("1.1.0",), {"soak": "long"}, "expected seconds"),
        ("release", ("1.1.0",), {"wait": True}, "expected seconds"),
        ("release", ("1.1.0",), {"maintenance": "later"}, "maintenance=True or maintenance=False"),
        ("release", (), {"image": 5}, "expected for example image="),
        ("rollback", (20260101,), {}, "see deploy.history"),
        ("rollback", (), {"force_schema": 1}, "force_schema=True"),
        ("rollback", (), {"version": "1.0.0"}, "version is not an option"),
        ("plan", ("1.1.0",), {"soak": 5}, "soak is not an option"),
        ("plan", ("1.1.0",), {"rollback": True}, "no version or image of its own"),
        ("maintenance", ("perhaps",), {}, "neither on nor off"),
        ("maintenance", (), {"on": True}, "on is not an option; there are: state"),
        ("exec", (), {}, "what shall run?"),
        ("exec", ("sleep", 5), {}, "5 arrived as no text"),
        ("exec", ("env",), {"A": "b"}, "deploy.exec 'env A=...'"),
        ("exec", ("sleep 5",), {"timeout": 0.5, "shell": True}, "shell=... was read as an option"),
        ("release", ("1.0.0",), {}, "run state.apply"),
        ("rollback", (), {}, "run state.apply"),
        ("plan", (), {}, "run state.apply"),
        ("exec", ("true",), {}, "nothing is live"),
        ("job", (), {}, "which job shall run?"),
        ("job", (5,), {}, "expected for example expire-listings"),
        ("job", ("expire",), {"wait": 5}, "wait is not an option; there are: name"),
        ("job", ("expire",), {}, "run state.apply"),
        ("history", (-1,), {}, "expected a whole number"),
        ("history", ("many",), {}, "expected a whole number"),
        ("history", (True,), {}, "expected a whole number"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_changes(
    untouched: Host, asked: Asked, function: str, arguments: Any, keywords: dict[str, Any], words: str
) -> None:
    answer, code = untouched.call(f"deploy.{function}", *arguments, **keywords)
    assert (code, answer["outcome"]) == (1, "refused")
    assert words in answer["reason"]
    assert asked == []
    paths = untouched.paths
    for path in (paths.journal, paths.ledger, paths.spool, paths.run):
        assert not path.exists()


def test_release_asks_for_what_was_said(converged: Host, asked: Asked) -> None:
    record, code = converged.call(
        "deploy.release", "1.1.0", maintenance=True, soak=0, wait=1.5, __pub_fun="deploy.release"
    )
    assert (code, record["outcome"]) == (0, "live")
    converged.call("deploy.release")
    converged.call("deploy.release", image="ghcr.io/other/bot:2")
    first, second, third = asked
    assert (first.kind, first.version, first.maintenance, first.soak, first.wait, first.by) == (
        "release", "1.1.0", True, 0, 1.5, "alice",
    )  # fmt: skip
    assert (second.version, second.image, second.soak, second.wait) == ("", "", None, 0.0)
    assert (third.version, third.image) == ("", "ghcr.io/other/bot:2")


def test_rollback_asks_for_what_was_said(converged: Host, asked: Asked) -> None:
    converged.call("deploy.rollback")
    converged.call("deploy.rollback", "20260101T000000Z", force_schema=True, maintenance=True, soak=5)
    first, second = asked
    assert (first.kind, first.target, first.force_schema, first.version) == ("rollback", "", False, "")
    assert (second.target, second.force_schema, second.maintenance, second.soak) == (
        "20260101T000000Z", True, True, 5,
    )  # fmt: skip


def test_exit_code_says_whether_it_is_live(converged: Host, asked: Asked) -> None:
    expected = {"live": 0, "unchanged": 0, "failed": 1, "refused": 1, "interrupted": 1}
    assert {outcome: converged.call("deploy.release", outcome)[1] for outcome in expected} == expected


def test_progress_goes_to_stderr(converged: Host, asked: Asked, capfd: pytest.CaptureFixture[str]) -> None:
    converged.call("deploy.release", "1.1.0")
    output = capfd.readouterr()
    assert output.err == "pull: fetched (0.1 s)\n"
    assert output.out == ""


def test_who_asked_is_a_person(converged: Host, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "root")
    monkeypatch.setenv("SSH_CONNECTION", "203.0.113.5 51234 192.0.2.1 22")
    converged.call("deploy.release", "1.1.0")
    monkeypatch.setenv("SUDO_USER", "bob")
    monkeypatch.delenv("SSH_CONNECTION")
    converged.call("deploy.rollback")
    assert [request.by for request in asked] == ["root@203.0.113.5", "bob"]


def test_release_is_refused_when_pillar_is_wrong_or_was_not_applied(
    tmp_path: Path, options: dict[str, Any], asked: Asked
) -> None:
    host = Host(tmp_path, options, {"secrets": REMOVED, "redis.disk": "tiny"})
    for function in ("release", "rollback", "plan"):
        record, code = host.call(f"deploy.{function}")
        assert (code, record["outcome"]) == (1, "refused")
        assert "secrets.telegram_token" in record["reason"]
        assert "redis.disk" in record["reason"]
    good = Host(tmp_path, options)
    good.apply_settings()
    changed = Host(tmp_path, options, {"backend.stop_grace": 45})
    record, code = changed.call("deploy.release", "1.0.0")
    assert (code, record["outcome"]) == (1, "refused")
    assert "backend.stop_grace" in record["reason"]
    assert asked == []


def test_droplet_converged_from_elsewhere_releases_without_pillar(
    tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    Host(tmp_path, options).apply_settings()
    host = Host(tmp_path, options, compiled=no_pillar())
    assert "deploy.release" in host.loaders(test=False).modules
    monkeypatch.setenv("PATH", str(tmp_path))  # nothing of this machine's Docker
    record, code = host.call("deploy.release", "1.0.0")
    assert code == 1
    assert "docker is not installed, or was stopped; run state.apply first" in record["reason"]


def test_plan_says_by_its_exit_code_whether_it_would_be_refused(
    converged: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = []

    def plan(world: Any, settings: Any, request: Any, progress: Any) -> dict[str, Any]:
        requests.append(request)
        return {"would": "refuse" if request.version == "9.9.9" else request.kind}

    monkeypatch.setattr(marketplace_operate, "plan", plan)
    assert converged.call("deploy.plan", "9.9.9") == ({"would": "refuse"}, 1)
    assert converged.call("deploy.plan") == ({"would": "release"}, 0)
    assert converged.call("deploy.plan", rollback=True) == ({"would": "rollback"}, 0)
    assert converged.call("deploy.plan", rollback="20260101T000000Z") == ({"would": "rollback"}, 0)
    assert [(request.version, request.target) for request in requests] == [
        ("9.9.9", ""), ("", ""), ("", ""), ("", "20260101T000000Z"),
    ]  # fmt: skip


@pytest.fixture
def launched(
    tmp_path: Path, options: dict[str, Any], converged: Host, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Host]:
    """A droplet whose releases are launched and followed by something else."""

    def make(launch: Callable[..., Any], follow: Callable[..., Any]) -> Host:
        monkeypatch.setattr(marketplace_launch, "launch", launch)
        monkeypatch.setattr(marketplace_launch, "follow", follow)
        return Host(tmp_path, options | {"marketplace_inline": False})

    return make


TICKET = Path("/run/marketplace/20260101T000000Z-abcdef")


def test_release_is_launched_and_followed(launched: Callable[..., Host]) -> None:
    calls = []

    def launch(paths: Any, request: Any, words: str, seconds: int) -> Path:
        # Whoever presses Ctrl-C now wants to stop looking, and not to leave half a unit behind.
        os.kill(os.getpid(), signal.SIGINT)
        calls.append((request["version"], request["kind"], words, seconds))
        return TICKET

    host = launched(launch, lambda ticket, progress: {"outcome": "failed", "reason": str(ticket)})
    answer, code = host.call("deploy.release", "1.1.0")
    assert (answer["reason"], code) == (str(TICKET), 1)
    assert calls == [("1.1.0", "release", "release of 1.1.0, asked by alice", calls[0][3])]


def test_release_that_could_not_be_launched_is_refused(launched: Callable[..., Host]) -> None:
    def launch(*arguments: Any) -> Path:
        raise LaunchError("no systemd here")

    answer, code = launched(launch, lambda *arguments: {}).call("deploy.release", "1.1.0")
    assert (answer, code) == ({"outcome": "refused", "reason": "no systemd here"}, 1)


def test_who_stops_looking_is_told_that_it_goes_on(launched: Callable[..., Host]) -> None:
    numbers = iter((signal.SIGINT, signal.SIGTERM, signal.SIGHUP))

    def follow(*arguments: Any) -> dict[str, Any]:
        os.kill(os.getpid(), next(numbers))
        return {"outcome": "live"}

    host = launched(lambda *arguments: TICKET, follow)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        answer, code = host.call("deploy.release", "1.1.0")
        assert (answer["outcome"], code) == ("running", 1)
        assert f"only the view ended ({name}); the release goes on" in answer["reason"]
        assert "deploy.status" in answer["reason"]
        assert f"marketplace-release-{TICKET.name}.service" in answer["reason"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


@pytest.fixture
def edge(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A droplet with an admin socket that keeps maps like HAProxy's."""
    monkeypatch.setenv("SUDO_USER", "alice")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    with tempfile.TemporaryDirectory(prefix="edge") as place:  # a socket's path may not be long
        host = Host(Path(place), options)
        host.apply_settings()
        host.paths.live_map.write_text("live blue\n")
        host.paths.maintenance_map.write_text("operator off\nrelease off\n")
        host.paths.admin_socket.parent.mkdir(parents=True)
        server = AdminSocket(str(host.paths.admin_socket), AdminCommand)
        server.maps = {
            str(host.paths.live_map): {"live": "blue"},
            str(host.paths.maintenance_map): {"operator": "off", "release": "off"},
        }
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield host
        server.shutdown()
        server.server_close()


def test_operator_closes_and_opens_the_edge(edge: Host) -> None:
    shown = {"closed": False, "operator": False, "release": False}
    assert edge.call("deploy.maintenance") == (shown, 0)
    # Salt's command line has turned "on" into True.
    assert edge.call("deploy.maintenance", True) == (shown | {"closed": True, "operator": True}, 0)
    assert edge.paths.maintenance_map.read_text() == "operator on\nrelease off\n"
    assert edge.call("deploy.maintenance", "on")[0]["closed"] is True
    assert edge.call("deploy.maintenance")[0]["closed"] is True
    assert edge.call("deploy.maintenance", "off") == (shown, 0)
    events = [event for event in Spool(edge.paths.spool).pending() if event.kind == "edge.maintenance"]
    assert [(event.severity, event.data) for event in events] == [
        ("warning", {"on": True, "by": "alice"}),
        ("info", {"on": False, "by": "alice"}),
    ]
    assert "alice closed the edge" in events[0].summary


def test_the_edge_stays_closed_while_a_move_is_half_done(edge: Host) -> None:
    edge.record()
    edge.call("deploy.maintenance", "on")
    settings = edge.pillar["settings"]
    elsewhere = settings["postgres"] | {"managed": {"host": "db.test"}, "address": "db.test", "port": 25060}
    file = edge.paths.releases / "20260101T000000Z/settings.json"
    make_directory(file.parent)
    write_atomic(file, to_json(settings | {"postgres": elsewhere}))
    refused, code = edge.call("deploy.maintenance", "off")
    assert (code, refused["outcome"]) == (1, "refused")
    assert "(1.0.0) uses PostgreSQL at db.test:25060 and not at this droplet" in refused["reason"]
    assert edge.call("deploy.maintenance")[0]["closed"] is True
    # A release there, or pillar back where it was.
    write_atomic(file, to_json(settings))
    assert edge.call("deploy.maintenance", "off")[0]["closed"] is False


def test_the_edge_stays_closed_while_data_are_replaced(edge: Host) -> None:
    edge.call("deploy.maintenance", "on")
    with Lock(edge.paths.lock).held("bob", "backup.restore to=live"):
        refused, code = edge.call("deploy.maintenance", "off")
        assert (code, refused["outcome"]) == (1, "refused")
        assert "backup.restore to=live by bob is putting other data" in refused["reason"]
    entry = {"id": "20261125T120000", "by": "bob", "started": "2026-11-25T12:00:00+00:00", "time": None}
    write_atomic(edge.paths.restore, to_json(entry))
    refused, _ = edge.call("deploy.maintenance", "off")
    assert "a restore that bob began" in refused["reason"]
    assert edge.call("deploy.maintenance")[0]["closed"] is True
    # A release is no reason: it keeps the edge closed by itself.
    edge.paths.restore.unlink()
    with Lock(edge.paths.lock).held("bob", "release of 1.1.0"):
        assert edge.call("deploy.maintenance", "off")[0]["closed"] is False


def test_operator_opens_only_what_the_operator_closed(edge: Host) -> None:
    edge.paths.maintenance_map.write_text("operator off\nrelease on\n")
    answer, code = edge.call("deploy.maintenance", "off")
    assert (answer, code) == ({"closed": True, "operator": False, "release": True}, 0)
    assert not edge.paths.spool.exists()


def test_edge_that_does_not_answer_is_said(converged: Host) -> None:
    converged.paths.maintenance_map.write_text("operator off\nrelease off\n")
    answer, code = converged.call("deploy.maintenance", "on")
    assert (code, answer["closed"], answer["operator"]) == (1, True, True)
    assert "in force as soon as HAProxy answers again" in answer["warning"]
    assert converged.paths.maintenance_map.read_text() == "operator on\nrelease off\n"
    assert "edge.maintenance" in " ".join(path.name for path in converged.paths.spool.iterdir())


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``docker`` that shows how it was called, and exits with 3."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "docker").write_text(
        "#!/usr/bin/env python3\nimport sys\nprint(sys.argv[1:])\nprint('oops', file=sys.stderr)\nsys.exit(3)\n"
    )
    (place / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return place


def test_command_runs_in_the_live_colour(converged: Host, docker: Path) -> None:
    converged.paths.live_map.write_text("live green\n")
    for words in (("echo 'a b' 010",), ("echo", "a b", "010"), (["echo", "a b", "010"],)):
        answer, code = converged.call("deploy.exec", *words)
        assert code == answer["retcode"] == 3
        assert ast.literal_eval(answer["stdout"]) == ["exec", "backend-green", "echo", "a b", "010"]
        assert (answer["stderr"], answer["container"]) == ("oops\n", "backend-green")


def test_command_that_takes_too_long_is_said(converged: Host, docker: Path) -> None:
    converged.paths.live_map.write_text("live green\n")
    (docker / "docker").write_text("#!/bin/sh\nexec sleep 60\n")
    answer, code = converged.call("deploy.exec", "sleep 60", timeout=0.2)
    assert (code, answer["outcome"], answer["container"]) == (1, "running", "backend-green")
    assert "goes on in backend-green, where docker top backend-green shows it" in answer["reason"]


def wrapper() -> tuple[Any, list[tuple[Any, ...]]]:
    """salt-ssh's side of deploy, and the calls that it makes on the droplet."""
    calls: list[tuple[Any, ...]] = []
    spec = importlib.util.spec_from_file_location("deploy_wrapper", TREE / "salt/_wrapper/deploy.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.__salt__ = {"droplet.call": lambda *words, **options: calls.append((words, options))}
    return module, calls


def test_same_functions_over_ssh(untouched: Host) -> None:
    module, _ = wrapper()
    defined = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
    modules = untouched.loaders(test=False).modules
    there = {name.removeprefix("deploy.") for name in modules if name.startswith("deploy.")}
    assert {module.__func_alias__.get(name, name) for name in defined} == there


def test_everything_said_over_ssh_reaches_the_droplet() -> None:
    module, calls = wrapper()
    module.release("1.1.0", maintenance=True, sook=3)
    module.rollback(force_schema=True)
    module.plan(rollback=True)
    module.maintenance("on")
    module.exec_("echo 'a # b'", timeout=5)
    module.exec_("echo", "a")
    module.exec_("echo 'a")
    assert calls == [
        (("deploy.release",), {"version": "1.1.0", "image": None, "maintenance": True, "sook": 3}),
        (("deploy.rollback",), {"release": None, "force_schema": True}),
        (("deploy.plan",), {"version": None, "image": None, "rollback": True}),
        (("deploy.maintenance",), {"state": "on"}),
        (("deploy.exec", ["echo", "a # b"]), {"timeout": 5}),
        (("deploy.exec", "echo", "a"), {}),
        (("deploy.exec", "echo 'a"), {}),
    ]
