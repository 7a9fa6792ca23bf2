"""States whose decisions show only in what they run, or say they would."""

import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from marketplace_clock import Clock
from marketplace_database import DatabaseError
from marketplace_drift import SETTLED, read
from marketplace_drift_record import document, write
from marketplace_ledger import Ledger
from marketplace_paths import Paths
from marketplace_records import ReleaseRecord

STATES = Path(__file__).parents[2] / "salt/_states"


def load(name, **dunders):
    """The state module as Salt's loader gives it its surroundings."""
    spec = importlib.util.spec_from_file_location(name, STATES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module).update(dunders)
    return module


class Apt:
    """An apt whose list lock somebody else holds for the first ``held`` updates."""

    def __init__(self, held=0, broken=False):
        self.held, self.broken, self.installed, self.updates = held, broken, False, 0

    def run_all(self, command, **_):
        answer = {"retcode": 0, "stdout": "", "stderr": ""}
        if command[0] == "dpkg-query":
            return answer | {"stdout": "installed jq" if self.installed else ""}
        if "update" in command:
            self.updates += 1
            if self.broken:
                return answer | {"retcode": 100, "stderr": "E: Failed to fetch"}
            if self.updates <= self.held:
                return answer | {"retcode": 100, "stderr": "E: Could not get lock /var/lib/apt/lists/lock."}
        else:
            self.installed = True
        return answer


@pytest.mark.parametrize(
    ("apt", "updates", "result"), [(Apt(), 1, True), (Apt(held=3), 4, True), (Apt(broken=True), 1, False)]
)
def test_the_lists_are_fetched_again_while_another_apt_holds_their_lock(monkeypatch, apt, updates, result):
    salt = {"cmd.run_all": apt.run_all}
    module = load("apt_package", __salt__=salt, __opts__={"test": False}, __context__={})
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    assert module.installed("Ensure jq", ["jq"])["result"] is result
    assert apt.updates == updates


@pytest.mark.parametrize("mendable", [True, False])
def test_what_a_dpkg_that_was_cut_off_has_left_is_finished_once(mendable):
    ran = []

    def run_all(command, **_):
        ran.append(command[0])
        finished = mendable and "dpkg" in ran
        if command[0] == "dpkg-query":
            return {"retcode": 0, "stdout": "installed jq" if finished else "", "stderr": ""}
        if command[0] == "apt-get" and not finished and "install" in command:
            return {
                "retcode": 100,
                "stdout": "",
                "stderr": "E: dpkg was interrupted, you must manually run ...",
            }
        return {"retcode": 0, "stdout": "", "stderr": ""}

    module = load("apt_package", __salt__={"cmd.run_all": run_all}, __opts__={"test": False}, __context__={})
    done = module.installed("Ensure jq", ["jq"])
    assert done["result"] is mendable
    assert ran.count("dpkg") == 1
    assert mendable or "dpkg was interrupted" in done["comment"]


@pytest.mark.parametrize(("restart", "predicted"), [(True, {"process"}), (False, {"definition"})])
def test_no_restart_is_predicted_where_none_is_made(restart, predicted):
    module = load("systemd_unit", __opts__={"test": True})
    assert set(module.mod_watch("x.service", restart=restart)["changes"]) == predicted


class Systemd:
    """A systemd with units (name -> how it is active and how its file stands), counting what it is asked."""

    def __init__(self, **units):
        self.units = {f"{name}.service": list(state) for name, state in units.items()}
        self.asked, self.ran = 0, []

    def run_all(self, command, **_):
        verb, names = command[1], [word for word in command[2:] if not word.startswith("--")]
        answer = {"retcode": 0, "stdout": "", "stderr": ""}
        if verb == "show":
            self.asked += 1
            return answer | {"stdout": "\n\n".join(self.shown(name) for name in names)}
        if verb == "list-unit-files":
            lines = [f"{name} {self.units[name][1]} enabled" for name in names if name in self.units]
            return answer | {"stdout": "\n".join(lines)}
        self.ran.append(f"{verb} {names[0]}")
        state = self.units.setdefault(names[0], ["inactive", ""])
        if verb == "start" and state[1] == "masked":
            return answer | {"retcode": 1, "stderr": "Unit is masked."}
        words = {"start": (0, "active"), "stop": (0, "inactive"), "enable": (1, "enabled")}
        words |= {"disable": (1, "disabled"), "mask": (1, "masked")}
        state[words[verb][0]] = words[verb][1]
        return answer

    def shown(self, name):
        active, file = self.units.get(name, ("inactive", ""))
        load = {"": "not-found", "masked": "masked"}.get(file, "loaded")
        return f"LoadState={load}\nActiveState={active}\nNeedDaemonReload=no"

    def state(self, about=(), test=False):
        low = [{"state": "systemd_service", "fun": "running", "name": name} for name in about]
        around = {"__lowstate__": low, "__running__": {}, "__context__": {}}
        return load(
            "systemd_service", __salt__={"cmd.run_all": self.run_all}, __opts__={"test": test}, **around
        )


STOPPED = {"activity": {"old": "stopped", "new": "running"}}
OFF = {"boot": {"old": "not started", "new": "started"}}


@pytest.mark.parametrize(
    ("function", "arguments", "before", "changes", "ran"),
    [
        ("running", {"enable": True}, ("active", "enabled"), {}, []),
        ("running", {"enable": True}, ("active", "static"), {}, []),
        ("running", {"enable": True}, ("inactive", "disabled"), STOPPED | OFF, ["enable x.service", "start x.service"]),
        ("running", {}, ("failed", "disabled"), STOPPED, ["start x.service"]),
        ("running", {"enable": False}, ("active", "enabled"), {"boot": {"old": "started", "new": "not started"}},
         ["disable x.service"]),
        ("dead", {"enable": False}, ("active", "disabled"), {"activity": {"old": "running", "new": "stopped"}},
         ["stop x.service"]),
        ("enabled", {}, ("inactive", "disabled"), OFF, ["enable x.service"]),
        ("masked", {}, ("active", "enabled"), {"mask": {"old": "not masked", "new": "masked"}}, ["mask x.service"]),
        ("masked", {}, ("inactive", "masked"), {}, []),
        ("disabled", {}, ("active", "enabled"), {"boot": {"old": "started", "new": "not started"}},
         ["disable x.service"]),
        ("disabled", {}, ("active", "disabled"), {}, []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("test", [True, False])
def test_a_service_becomes_what_it_should_be_and_test_tells_it(
    function, arguments, before, changes, ran, test
):
    systemd = Systemd(x=before)
    state = systemd.state(test=test)
    answer = getattr(state, function)("x", **arguments)
    assert answer["result"] is (None if test and changes else True)
    assert answer["changes"] == changes
    assert systemd.ran == ([] if test else ran)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (None, "systemd knows no such unit"),
        (("inactive", "masked"), "failed: Unit is masked. (journalctl -u x.service"),
    ],
)
def test_a_service_that_can_not_be_started_says_why(before, words):
    systemd = Systemd(**({"x": before} if before else {}))
    answer = systemd.state().running("x")
    assert answer["result"] is False
    assert words in answer["comment"]


def test_a_service_that_ends_as_soon_as_it_was_started_is_no_success(monkeypatch):
    systemd = Systemd(x=("inactive", "enabled"))
    answer = systemd.run_all
    monkeypatch.setattr(systemd, "run_all", lambda command, **_: answer(["systemctl", "stop", "x.service"]
                        if command[1] == "start" else command))  # fmt: skip
    assert (
        "x is still stopped; systemctl status x.service shows why" in systemd.state().running("x")["comment"]
    )


def test_a_service_that_is_about_to_start_is_waited_for(monkeypatch):
    systemd = Systemd(x=("activating", "enabled"))
    state = systemd.state()
    monkeypatch.setattr(
        state.time, "sleep", lambda _: systemd.units.update({"x.service": ["active", "enabled"]})
    )
    answer = state.running("x", enable=True)
    assert (answer["result"], answer["changes"], systemd.ran) == (True, {}, [])


def test_systemd_is_asked_once_for_all_until_the_run_changes_something():
    systemd = Systemd(x=("active", "enabled"), y=("active", "enabled"))
    state = systemd.state(about=["x", "y"])
    assert state.running("x")["changes"] == state.running("y")["changes"] == {}
    assert systemd.asked == 1
    systemd.units["y.service"][0] = "inactive"
    vars(state)["__running__"] = {"file": {"changes": {"diff": "+"}}}
    assert state.running("y")["changes"] == STOPPED


@pytest.mark.parametrize(
    ("test", "delivered", "predicted"),
    [(True, {"users.acl": "replaced"}, {"users"}), (True, {"server.pem": "replaced"}, set()),
     (False, {"users.acl": "replaced"}, set())],
)  # fmt: skip
def test_users_are_predicted_to_be_loaded_where_their_file_would_be_another(test, delivered, predicted):
    running = {"secret_|-Ensure Redis has its users": {"changes": delivered}}
    module = load("redis_server", __opts__={"test": test}, __running__=running)
    answer = module.mod_watch("/etc/marketplace/delivered/redis/users.acl", sfun="users_loaded")
    assert set(answer["changes"]) == predicted
    assert answer["result"] is (None if predicted else True)


def chunk(name, sls="marketplace.watch", **more):
    return {"state": "file", "fun": "managed", "name": str(name), "__sls__": sls} | more


@pytest.mark.parametrize("test", [True, False])
def test_what_states_wrote_is_roots_to_change(tmp_path, monkeypatch, test):
    tmp_path.chmod(0o755)
    names = ["loose", "tight", "theirs"]
    for name, mode in zip(names, (0o666, 0o644, 0o666), strict=True):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    chunks = [chunk(tmp_path / "loose"), chunk(tmp_path / "tight"), chunk(tmp_path / "theirs", mode="0666")]
    module = load("drift", __opts__={"test": test}, __lowstate__=[*chunks, chunk(tmp_path / "gone")])
    monkeypatch.setattr(module, "ROOT", (tmp_path.stat().st_uid, tmp_path.stat().st_gid))
    ret = module.protected("Ensure")
    assert ret["result"] is (None if test else True)
    assert list(ret["changes"]) == [str(tmp_path / "loose")]
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in names]
    assert modes == [0o666 if test else 0o644, 0o644, 0o666]
    if not test:
        assert module.protected("Ensure")["changes"] == {}


class Settled:
    """A droplet whose states have just been run."""

    def __init__(self, root):
        self.root = root
        self.accounts = {"root": "0"}

    def run(self, test=False, pillar=None, failed=False, sls="marketplace.watch"):
        return self._module(test, pillar, failed, sls).settled("Ensure", ["marketplace.watch"])

    def note(self, test=False, pillar=None):
        return self._module(test, pillar, False, "marketplace.drift").noted("Ensure")

    def _module(self, test, pillar, failed, sls):
        return load(
            "drift",
            __opts__={"test": test, "marketplace_root": str(self.root), "file_roots": {"base": []}},
            __pillar__=pillar or {"a": 1},
            __lowstate__=[chunk("/etc/x", sls)],
            __running__={"file_|-x": {"__id__": "Ensure x", "result": not failed}},
            __context__={},
            take=lambda world: ({"account": dict(self.accounts)}, []),
        )


def test_what_was_applied_is_on_record_once_all_went_well(tmp_path):
    droplet = Settled(tmp_path)
    assert droplet.run(test=True)["result"] is None
    assert droplet.run(failed=True)["changes"] == {}
    assert droplet.run(sls="other")["changes"] == {}
    assert not (tmp_path / "var/lib/marketplace/applied.json").exists()
    assert set(droplet.run()["changes"]) == {"applied", "inventory"}
    assert json.loads((tmp_path / "var/lib/marketplace/inventory.json").read_text()) == {
        "account": {"root": "0"}
    }
    assert droplet.run()["changes"] == {}
    assert set(droplet.run(test=True, pillar={"a": 2})["changes"]) == {"pillar"}
    assert droplet.run(test=True, pillar={"a": 1, "allow_restart": True})["changes"] == {}


def test_an_apply_that_went_well_is_the_end_of_the_drift_that_it_owns(tmp_path):
    droplet = Settled(tmp_path)
    droplet.run()
    file = tmp_path / "var/lib/marketplace/drift.json"
    rows = [{"owned": True, "name": "/etc/x"}, {"owned": False, "name": "eve"}]
    file.write_text(json.dumps({"differences": rows, "pending": [], "trouble": []}))
    assert droplet.run(failed=True)["changes"] == {}
    plan = droplet.run(test=True)
    assert (plan["result"], plan["changes"]) == (None, {"drift": "put right"})
    assert droplet.run()["changes"] == {"drift": "put right"}
    assert json.loads(file.read_text())["differences"] == rows[1:]
    assert droplet.run()["changes"] == {}


def test_what_was_changed_by_hand_is_found_by_every_look_until_it_is_put_right(tmp_path):
    droplet = Settled(tmp_path)
    droplet.run()
    file = tmp_path / "var/lib/marketplace/drift.json"
    edited = {"__id__": "Ensure x", "name": "/etc/x", "result": None, "changes": {"diff": "-by hand"}}

    def look(**applied):
        said = {"__id__": SETTLED, "name": "Ensure", **droplet.run(test=True, **applied)}
        answer = read(
            {"file_|-Ensure x_|-/etc/x_|-managed": edited, f"drift_|-{SETTLED}_|-x_|-settled": said}
        )
        kept = json.loads(file.read_text()) if file.exists() else None
        write(file, document(kept, answer.differences, answer.pending, [], datetime.now(UTC), 1))
        return json.loads(file.read_text())

    first = look()
    assert [row["name"] for row in first["differences"]] == ["/etc/x"]
    again = look()
    assert (again["differences"], again["pending"]) == (first["differences"], [])
    # What waits to be applied hides it, and only until that is applied, or is no more.
    assert look(pillar={"a": 2})["differences"] == []
    assert [row["name"] for row in look()["differences"]] == ["/etc/x"]


def test_what_states_bring_with_them_is_no_drift_and_what_others_did_is(tmp_path):
    droplet, state = Settled(tmp_path), tmp_path / "var/lib/marketplace"
    droplet.run()
    droplet.accounts["eve"] = "0"
    other = {"a": 2}
    # Nothing new is applied, or nothing is applied at all.
    assert droplet.note()["changes"] == droplet.note(test=True, pillar=other)["changes"] == {}
    assert not (state / "inventory-before.json").exists()
    (state / "inventory-before.json").write_text("{}")
    droplet.note()
    assert not (state / "inventory-before.json").exists()
    assert droplet.note(pillar=other)["result"] is True
    droplet.accounts["prometheus"] = "1"
    # One that failed is gone on with: what it brought is not taken for somebody's.
    assert droplet.run(pillar=other, failed=True)["changes"] == {}
    droplet.note(pillar=other)
    done = droplet.run(pillar=other)
    assert done["comment"].endswith("has brought with it: account prometheus was added (1)")
    assert json.loads((state / "inventory.json").read_text()) == {"account": {"root": "0", "prometheus": "1"}}
    assert not (state / "inventory-before.json").exists()


@pytest.mark.parametrize(
    ("register", "worker", "change"),
    [
        (True, "running", None),
        (True, "exited", None),
        (True, "missing", "worker-blue running"),
        (False, "missing", None),
        (False, "running", "worker-blue missing"),
    ],
)
def test_the_worker_follows_which_host_serves_the_bot(tmp_path, monkeypatch, register, worker, change):
    ret = live_release(tmp_path, monkeypatch, worker, register).live("Ensure the backend is released")
    assert ret["changes"] == ({"worker": {"old": f"worker-blue {worker}", "new": change}} if change else {})
    assert ret["result"] is (None if change else True)


@pytest.mark.parametrize("test", [True, False])
def test_nothing_is_started_while_nobody_knows_which_data_are_live(tmp_path, monkeypatch, test):
    module = live_release(tmp_path, monkeypatch, "exited", backend="exited", test=test)
    begun, asked = Paths(tmp_path).restore, []
    monkeypatch.setattr(module, "_engine", lambda *words: asked.append(words) or ({"ready": True}, ""))
    for text, says in (
        (json.dumps({"by": "bob", "started": "today", "time": None}), "a restore that bob began at today"),
        ("{", "restore.json is not valid JSON"),
    ):
        begun.write_text(text)
        ret = module.live("Ensure the backend is released")
        assert (ret["result"], ret["changes"], asked) == (False, {}, [])
        assert says in ret["comment"]
    begun.write_text(json.dumps({"by": "bob", "started": "today", "time": None, "came_up": True}))
    assert module.live("Ensure the backend is released")["changes"]
    assert len(asked) == int(not test)


def live_release(tmp_path, monkeypatch, worker, register=True, backend="running", test=True):
    """The state module where a release with a worker is live, whose containers are so."""
    paths, release = Paths(tmp_path), "20260101T000000Z"
    Ledger(paths.ledger).append(
        ReleaseRecord(
            release, "1.0.0", "i@sha256:0", None, "live", "", "blue", {}, "alice", "", "", 1.0, "sha256:0"
        )
    )
    contract = paths.releases / release / "contract.json"
    contract.parent.mkdir(parents=True)
    contract.write_text(json.dumps({"worker": ["work"]}))

    class Socket:
        def __init__(self, *_):
            pass

        def containers(self, name):
            status = worker if name == "worker-blue" else backend
            return {} if status == "missing" else {name: SimpleNamespace(status=status)}

    module = load(
        "release",
        __opts__={"marketplace_root": str(tmp_path), "test": test},
        __pillar__={
            "settings": {
                "backend": {"version": "1.0.0", "follow_pillar": False},
                "telegram": {"register": register},
            }
        },
    )
    monkeypatch.setattr(module, "release_digest", lambda *_: "sha256:0")
    monkeypatch.setattr(module, "DockerSocket", Socket)
    return module


@pytest.mark.parametrize(("answers", "result"), [([False, None, None, True], True), ([False, None], False)])
def test_a_database_that_is_away_while_its_receiver_starts_is_asked_again(
    monkeypatch, tmp_path, answers, result
):
    """``None`` is no answer, and the last one stays."""
    left = list(answers)

    def look():
        said = left.pop(0) if len(left) > 1 else left[0]
        if said is None:
            raise DatabaseError("the database system is starting up")
        return SimpleNamespace(active=said)

    done = {"retcode": 0, "stdout": "", "stderr": ""}
    module = load("backup", __opts__={"test": False}, __salt__={"cmd.run_all": lambda *_, **__: done})
    monkeypatch.setattr(module, "_SECONDS", 0.5)
    receiver = SimpleNamespace(look=look, is_replaced=lambda: False)
    world = SimpleNamespace(receiver=receiver, clock=Clock(), paths=Paths(tmp_path))
    monkeypatch.setattr(module, "_world", lambda: world)
    found = module.received("postgres")
    assert found["result"] is result
    assert found["changes"] == {"received": {"old": False, "new": True}}
    assert result or "Nobody receives the log of postgres" in found["comment"]
