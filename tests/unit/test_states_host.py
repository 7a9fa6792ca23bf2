"""States of the host: a firewall that goes back, kernel settings, packages that only people upgrade, SSH reloads."""

import json
import socketserver
import threading
from pathlib import Path

import pytest
from marketplace_admission import CannotVisit
from marketplace_container import DockerError

from tests.unit.test_states import load

OLD, NEW = "old rules\n", "new rules\n"


class Kernel:
    """nft, systemd and a file of rules: what is loaded, and whether somebody stands by to bring the old rules back."""

    def __init__(self, loaded=OLD):
        self.loaded, self.timer, self.history = loaded, False, []

    def run_all(self, command, **_):
        answer = {"retcode": 0, "stdout": "", "stderr": ""}
        words = " ".join(command)
        if command[0] == "unshare":
            return answer | {"stdout": self.listing(Path(command[6]).read_text())}
        if "--json" in command:
            return answer | {"stdout": self.listing(self.loaded)}
        if "--stateless" in command:
            return answer | {"stdout": self.loaded}
        if "is-active" in command:
            return answer | {
                "retcode": 0 if self.timer else 3,
                "stdout": "active" if self.timer else "inactive",
            }
        self.history.append(words)
        if command[0] == "systemd-run":
            self.timer = True
        elif "stop" in command:
            self.timer = False
        elif command[0] == "nft":
            self.loaded = Path(command[2]).read_text().rstrip().splitlines()[-1] + "\n"
        return answer

    @staticmethod
    def listing(rules):
        return json.dumps({"nftables": [{"rule": {"expr": [rules.strip()]}}]})


@pytest.fixture
def firewall(tmp_path, monkeypatch):
    """``firewall(kernel, refused, ...)`` runs the state; its files are in a directory."""
    (tmp_path / "wanted").write_text(NEW)
    (tmp_path / "boot").write_text(OLD)

    def run(kernel, refused=None, answers=True, test=False, caller=""):
        module = load("nft_table", __salt__={"cmd.run_all": kernel.run_all}, __opts__={"test": test})

        def turned_away(sources, _port):
            assert kernel.timer, "nobody stands by"
            assert kernel.loaded == NEW
            if isinstance(refused, Exception):
                raise refused
            return {source: "no answer" for source in sources if source in (refused or ())}

        monkeypatch.setattr(module, "turned_away", turned_away)
        monkeypatch.setattr(module, "answers", lambda _: answers)
        monkeypatch.setattr(module, "_caller", lambda: caller)
        monkeypatch.setattr(module, "which", lambda name: f"/usr/sbin/{name}")
        monkeypatch.setattr(module, "without_ipv6", lambda: True)
        return module.loaded(
            "host",
            str(tmp_path / "wanted"),
            boot=str(tmp_path / "boot"),
            ssh={"port": 22, "sources": ["192.0.2.0/24", "::/0"]},
            previous=str(tmp_path / "previous"),
        )

    return run


def test_rules_that_let_ssh_in_stay_and_are_loaded_at_boot(firewall, tmp_path):
    kernel = Kernel()
    done = firewall(kernel)
    assert done["result"] is True
    assert "SSH let 192.0.2.1 in" in done["comment"]
    assert (kernel.loaded, kernel.timer) == (NEW, False)
    assert (tmp_path / "boot").read_text() == NEW
    assert not (tmp_path / "previous").exists()
    assert firewall(kernel)["changes"] == {}


@pytest.mark.parametrize(
    "refused", [["192.0.2.1"], CannotVisit("no namespaces here")], ids=["refused", "not tried"]
)
def test_rules_that_do_not_go_back(firewall, tmp_path, refused):
    kernel = Kernel()
    done = firewall(kernel, refused)
    assert (done["result"], done["changes"]) == (False, {})
    assert done["comment"].startswith("The old rules are back")
    assert (kernel.loaded, kernel.timer) == (OLD, False)
    assert (tmp_path / "boot").read_text() == OLD


def test_whoever_applies_them_over_ssh_must_get_in_again(firewall):
    kernel = Kernel()
    done = firewall(kernel, ["198.51.100.4"], caller="198.51.100.4")
    assert "started over SSH from 198.51.100.4" in done["comment"]
    assert kernel.loaded == OLD


def test_without_an_ssh_server_nothing_is_loaded(firewall):
    kernel = Kernel()
    done = firewall(kernel, answers=False)
    assert "No SSH server answers on port 22" in done["comment"]
    assert (kernel.loaded, kernel.history) == (OLD, [])


def test_what_a_killed_run_left_is_proven_before_it_counts(firewall, tmp_path):
    kernel = Kernel(loaded=NEW)
    kernel.timer = True
    (tmp_path / "boot").write_text(NEW)
    (tmp_path / "previous").write_text(OLD)
    assert set(firewall(kernel, test=True)["changes"]) == {"proof"}
    # The rules to go back to are those before the killed run, and not the unproven ones of now.
    assert firewall(kernel, ["192.0.2.1"])["result"] is False
    assert kernel.loaded == OLD


def test_nothing_is_tried_in_a_plan(firewall):
    kernel = Kernel()
    planned = firewall(kernel, test=True)
    assert (planned["result"], kernel.history) == (None, [])
    assert set(planned["changes"]) == {"rules", "at boot"}


@pytest.fixture
def kernel_settings(tmp_path):
    """``kernel_settings({name: value})`` against a kernel of files."""
    proc = tmp_path / "proc"
    (proc / "net/ipv4").mkdir(parents=True)
    (proc / "net/ipv4/tcp_syncookies").write_text("0\n")
    (proc / "net/ipv4/tcp_rmem").write_text("1\t2\t3\n")

    def run(settings, test=False):
        module = load("kernel_settings", __opts__={"test": test})
        return module.applied(str(tmp_path / "sysctl.d/60-host.conf"), settings, str(proc))

    return run


def test_kernel_settings_are_compared_with_the_kernel(kernel_settings, tmp_path):
    wanted = {"net.ipv4.tcp_syncookies": 1, "net.ipv4.tcp_rmem": "1 2 3", "kernel.not_here": 1}
    planned = kernel_settings(wanted, test=True)
    assert planned["result"] is None
    assert (tmp_path / "proc/net/ipv4/tcp_syncookies").read_text() == "0\n"
    done = kernel_settings(wanted)
    assert done["result"] is True
    assert done["changes"] == planned["changes"]
    assert done["changes"]["net.ipv4.tcp_syncookies"] == {"old": "0", "new": "1"}
    assert "not this host's to set: kernel.not_here" in done["comment"]
    # For the next boot, where it may be there.
    assert "-kernel.not_here = 1\n" in (tmp_path / "sysctl.d/60-host.conf").read_text()
    again = kernel_settings(wanted)
    assert (again["result"], again["changes"]) == (True, {})
    (tmp_path / "proc/net/ipv4/tcp_syncookies").write_text("0\n")
    assert set(kernel_settings(wanted)["changes"]) == {"net.ipv4.tcp_syncookies"}


def test_a_value_that_the_kernel_refuses_is_told_from_one_that_is_not_ours(monkeypatch):
    module = load("kernel_settings", __opts__={"test": False})
    monkeypatch.setattr(
        "pathlib.Path.write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(22, "Invalid argument"))
    )
    assert module._write(module.Path("/proc/sys/x"), 7) == "Invalid argument"
    monkeypatch.setattr(
        "pathlib.Path.write_text", lambda *_, **__: (_ for _ in ()).throw(OSError(30, "Read-only"))
    )
    assert module._write(module.Path("/proc/sys/x"), 7) == ""


@pytest.mark.parametrize("test", [True, False])
@pytest.mark.parametrize("answers", [True, False])
def test_a_docker_that_does_not_answer_is_not_taken_for_one_without_networks(monkeypatch, test, answers):
    ran = []

    class Socket:
        def __init__(self, *_):
            pass

        def network(self, name):
            if not answers:
                raise DockerError("Docker does not answer")

    def run_all(command, **_):
        ran.append(command[:3])
        return {"retcode": 0, "stdout": "", "stderr": ""}

    module = load("docker_network", __salt__={"cmd.run_all": run_all}, __opts__={"test": test})
    monkeypatch.setattr(module, "which", lambda _: "/usr/bin/docker")
    monkeypatch.setattr(module, "DockerSocket", Socket)
    done = module.present("app", "br-app", "10.0.0.0/24", "10.0.0.1")
    assert bool(done["changes"]) is answers
    assert (["docker", "network", "create"] in ran) is (answers and not test)
    if not answers:
        assert (done["result"], done["comment"]) == (False, "Docker does not answer")


SIMULATED = """Reading package lists...
Inst runc [1.1.15+ds1-2] (1.3.0 Debian-Security:13/stable-security [amd64])
Conf runc (1.3.0 Debian-Security:13/stable-security [amd64])
"""


@pytest.mark.parametrize("test", [True, False])
def test_held_packages_are_upgraded_where_they_are_installed(test):
    ran = []

    def run_all(command, **_):
        if command[0] == "dpkg-query":
            return {"retcode": 0, "stdout": "installed runc\n", "stderr": ""}
        ran.append(command)
        upgraded = any("--simulate" not in one and "install" in one for one in ran)
        newer = "--simulate" in command and not upgraded
        return {"retcode": 0, "stdout": SIMULATED if newer else "", "stderr": ""}

    module = load("apt_package", __salt__={"cmd.run_all": run_all}, __opts__={"test": test}, __context__={})
    done = module.upgraded("Ensure they are new", ["runc", "haproxy"])
    assert done["changes"] == {"runc": {"old": "1.1.15+ds1-2", "new": "1.3.0"}}
    assert done["result"] is (None if test else True)
    changing = [command for command in ran if "--simulate" not in command]
    assert bool(changing) is not test
    assert all("haproxy" not in command for command in ran)


@pytest.mark.parametrize("test", [True, False])
def test_an_apt_that_cannot_tell_what_is_newer_is_not_taken_for_nothing_to_do(test):
    def run_all(command, **_):
        if command[0] == "dpkg-query":
            return {"retcode": 0, "stdout": "installed runc\n", "stderr": ""}
        if "--simulate" in command:
            return {"retcode": 100, "stdout": "", "stderr": "E: Unable to correct problems"}
        return {"retcode": 0, "stdout": "", "stderr": ""}

    module = load("apt_package", __salt__={"cmd.run_all": run_all}, __opts__={"test": test}, __context__={})
    done = module.upgraded("Ensure they are new", ["runc"])
    assert done["result"] is False
    assert "Unable to correct problems" in done["comment"]


@pytest.mark.parametrize("test", [True, False])
def test_only_packages_that_are_there_are_removed(test):
    there = {"prometheus"}

    def run_all(command, **_):
        if command[0] == "dpkg-query":
            names = ("prometheus", "promtool")
            lines = (f"{'installed' if name in there else 'config-files'} {name}\n" for name in names)
            return {"retcode": 0, "stdout": "".join(lines), "stderr": ""}
        assert command[-2:] == ["remove", "prometheus"]
        there.clear()
        return {"retcode": 0, "stdout": "", "stderr": ""}

    module = load("apt_package", __salt__={"cmd.run_all": run_all}, __opts__={"test": test}, __context__={})
    done = module.removed("Ensure they are gone", ["prometheus", "promtool"])
    assert done["changes"] == {"prometheus": {"old": "installed", "new": None}}
    assert done["result"] is (None if test else True)
    assert bool(there) is test
    if not test:
        assert module.removed("Ensure they are gone", ["prometheus"])["changes"] == {}


@pytest.mark.parametrize(
    ("record", "goes"),
    [
        ('{"packages": ["bash"]}', ["prometheus", "promtool"]),
        ('{"packages": ["prometheus"]}', ["promtool"]),
        ('{"packages": null}', ["prometheus", "promtool"]),  # an earlier tree has removed what there was
        (None, []),  # nothing was converged here yet
    ],
)
def test_a_package_that_was_there_before_is_not_removed(tmp_path, record, goes):
    there, before = {"prometheus", "promtool"}, tmp_path / "before.json"
    if record:
        before.write_text(record)

    def run_all(command, **_):
        if command[0] == "dpkg-query":
            names = ("prometheus", "promtool")
            lines = (f"{'installed' if name in there else 'config-files'} {name}\n" for name in names)
            return {"retcode": 0, "stdout": "".join(lines), "stderr": ""}
        there.difference_update(command[command.index("remove") + 1 :])
        return {"retcode": 0, "stdout": "", "stderr": ""}

    module = load("apt_package", __salt__={"cmd.run_all": run_all}, __opts__={"test": False}, __context__={})
    done = module.removed("Ensure they are gone", ["prometheus", "promtool"], str(before))
    assert (done["result"], sorted(done["changes"])) == (True, goes)
    assert there == {"prometheus", "promtool"}.difference(goes)


def test_a_package_that_stays_is_a_failure():
    listed = (
        "installed prometheus\nnot-installed prometheus\nnot-installed jq\n"  # the first of two architectures
    )
    answers = {"dpkg-query": {"retcode": 0, "stdout": listed, "stderr": ""}}
    module = load(
        "apt_package",
        __salt__={"cmd.run_all": lambda command, **_: answers.get(command[0], {"retcode": 0, "stderr": ""})},
        __opts__={"test": False},
        __context__={},
    )
    done = module.removed("Ensure it is gone", ["prometheus"])
    assert (done["result"], done["comment"]) == (False, "Still installed: prometheus")


SHOWN = "LoadState=loaded\nActiveState={}\nNeedDaemonReload=no\nStateChangeTimestampMonotonic={}\nReloadResult={}\n"


@pytest.mark.parametrize(
    ("service", "changed", "result", "socket", "stale"),
    [
        ("active", 2e6, "success", "inactive", {"configuration"}),
        ("active", 9e15, "success", "inactive", set()),
        # A reload that failed is a change of the unit as well.
        ("active", 9e15, "exit-code", "inactive", {"configuration"}),
        # Under socket activation the next server reads the files anyway.
        ("inactive", 0, "success", "active", set()),
        ("inactive", 0, "success", "inactive", {"service"}),
    ],
)
def test_an_ssh_server_is_judged_by_when_it_read_its_configuration(
    tmp_path, service, changed, result, socket, stale
):
    def run_all(command, **_):
        states = {"ssh.service": service, "ssh.socket": socket}
        return {"retcode": 0, "stdout": SHOWN.format(states[command[2]], int(changed), result)}

    file = tmp_path / "00-host.conf"
    file.write_text("X")
    module = load("sshd", __salt__={"cmd.run_all": run_all}, __opts__={"test": True})
    assert set(module._stale([file])) == stale


def test_what_is_no_use_to_log_in_leaves_passwords_on(monkeypatch):
    module = load("sshd", __salt__={}, __opts__={"test": False})
    monkeypatch.setattr(module, "which", lambda _: None)
    monkeypatch.setattr(module, "with_keys", lambda people, files: [])
    with pytest.raises(module._Failure, match="Passwords stay on: none of root"):
        module._refuse_lockout({"PasswordAuthentication": "no"})
    module._refuse_lockout({"PasswordAuthentication": "yes"})


@pytest.mark.parametrize(
    ("answer", "changes"),
    [
        ("Name: HAProxy\nStart_time_sec: {later}\n", {}),
        (
            "Name: HAProxy\nStart_time_sec: {written}\n",
            {"old": "older than its configuration", "new": "reloaded"},
        ),
        ("", {"old": "does not answer on {socket}", "new": "serving"}),
        (None, {"old": "does not answer on {socket}", "new": "serving"}),
    ],
)
def test_a_worker_is_judged_by_when_it_started(tmp_path, answer, changes):
    file, where = tmp_path / "haproxy.cfg", tmp_path / "admin.sock"
    file.touch()
    written = int(file.stat().st_mtime)

    class Answer(socketserver.StreamRequestHandler):
        def handle(self):
            assert self.rfile.readline() == b"show info\n"
            self.wfile.write(answer.format(later=written + 1, written=written).encode())

    module = load("haproxy", __opts__={"test": True})
    module._SOCKET = str(where)
    if answer is None:
        done = module.current(str(file))
    else:
        with socketserver.UnixStreamServer(str(where), Answer) as server:
            threading.Thread(target=server.handle_request, daemon=True).start()
            done = module.current(str(file))
    expected = {key: words.format(socket=where) for key, words in changes.items()}
    assert done["changes"] == ({"worker": expected} if changes else {})


@pytest.mark.parametrize("test", [True, False])
def test_one_keyword_of_a_packages_file_is_changed(tmp_path, test):
    file = tmp_path / "login.defs"
    file.write_text("# UMASK 022\nUMASK\t\t022\nLOG_OK no\n")
    file.chmod(0o640)
    module = load("keyword_file", __opts__={"test": test})
    done = module.says(str(file), {"UMASK": "027", "LOG_OK": "no", "NEW": "1"})
    assert set(done["changes"]) == {"UMASK", "NEW"}
    if test:
        assert (done["result"], file.read_text().count("022")) == (None, 2)
        return
    assert file.read_text() == "# UMASK 022\nLOG_OK no\nUMASK 027\nNEW 1\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert module.says(str(file), {"UMASK": "027", "LOG_OK": "no", "NEW": "1"})["changes"] == {}


def test_a_file_that_is_missing_is_a_failure_but_not_in_a_plan(tmp_path):
    values = {"CRON_CHECK": "weekly"}
    planned = load("keyword_file", __opts__={"test": True}).says(str(tmp_path / "debsums"), values, "=")
    assert planned["changes"] == {"CRON_CHECK": {"old": None, "new": "CRON_CHECK=weekly"}}
    failed = load("keyword_file", __opts__={"test": False}).says(str(tmp_path / "debsums"), values, "=")
    assert (failed["result"], "package" in failed["comment"]) == (False, True)


@pytest.fixture
def reserve():
    return load("reserve", __opts__={"test": False})


def test_room_is_kept_back_once(reserve, tmp_path):
    file = tmp_path / "reserve"
    reserve.__opts__["test"] = True
    assert reserve.kept(str(file), 1 << 20)["result"] is None
    assert not file.exists()
    reserve.__opts__["test"] = False
    assert reserve.kept(str(file), 1 << 20)["changes"] == {"bytes": {"old": 0, "new": 1 << 20}}
    assert file.stat().st_blocks * 512 >= 1 << 20
    again = reserve.kept(str(file), 1 << 20)
    assert (again["result"], again["changes"]) == (True, {})


@pytest.mark.parametrize("test", [True, False])
def test_a_disk_without_room_is_no_failure_of_what_waits_for_room(reserve, tmp_path, test):
    reserve.__opts__["test"] = test
    found = reserve.kept(str(tmp_path / "reserve"), 1 << 60)
    assert (found["result"], found["changes"]) == (True, {})
    assert "Nothing is kept back for now" in found["comment"]
    assert list(tmp_path.iterdir()) == []
