"""A deployment is taken off its host: what was there before comes back, what others need stays, nothing is guessed."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from marketplace_backups import KINDS, Backup
from marketplace_before import UNKNOWN, differences, keep, put_back, written
from marketplace_durable import read_json, to_json
from marketplace_lock import Lock
from marketplace_metrics import EXPORTERS
from marketplace_paths import Paths
from marketplace_removal import engine_is_needed, left, unconfirmed
from marketplace_settings import parse, to_dict

from tests.support.pillars import ENVIRONMENTS, pillar
from tests.unit.test_states import load

TREE = Path(__file__).parents[2]
# What SSH, Salt and the data's file systems need.
NEEDED = {
    "ca-certificates",
    "e2fsprogs",
    "mount",
    "openssh-server",
    "openssh-sftp-server",
    "python3-venv",
    "systemd",
}
# What is left beside the data, for a state.apply that brings all of it back.
LEFT = {"before.json", "ledger", "live.map", "maintenance.map", "rebuild.json", "releases"}
LEFT |= {"restore.json", "rotation.json", "slo"}


def chunk(state, function, name, **more):
    return {"state": state, "fun": function, "name": str(name)} | more


CHUNKS = [
    chunk("file", "managed", "/etc/issue"),
    chunk("file", "managed", "/etc/crontab", replace=False),
    chunk("file", "symlink", "/etc/localtime"),
    chunk("file", "directory", "/etc/cron.d"),
    chunk("file", "managed", "/etc/docker.d/deep/mounts.conf"),
    chunk("file", "absent", "/etc/exporters"),
    chunk("file", "managed", "/srv/deploy/REVISION"),
    chunk("nft_table", "loaded", "host", boot="/etc/firewall.nft"),
    chunk("systemd_service", "running", "docker"),
    chunk("secret", "delivered", "backup"),
]


@pytest.fixture
def host(tmp_path):
    """A host with files of its own, some of which states are about to write to."""
    etc = tmp_path / "etc"
    (etc / "cron.d").mkdir(parents=True)
    (etc / "cron.d").chmod(0o755)
    (etc / "issue").write_text("Debian\n")
    (etc / "issue").chmod(0o640)
    (etc / "crontab").write_text("17 * * * * root\n")
    (etc / "crontab").chmod(0o644)
    (etc / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Paris")
    return tmp_path


def overwrite(host):
    """What states do."""
    (host / "etc/issue").write_text("Keep out\n")
    (host / "etc/issue").chmod(0o644)
    (host / "etc/crontab").chmod(0o600)
    (host / "etc/localtime").unlink()
    (host / "etc/localtime").symlink_to("/usr/share/zoneinfo/Etc/UTC")
    (host / "etc/cron.d").chmod(0o700)
    (host / "etc/docker.d/deep").mkdir(parents=True)
    (host / "etc/docker.d/deep/mounts.conf").write_text("")
    (host / "etc/firewall.nft").write_text("")


def restore(host, places, packaged=()):
    """Which places were put back, in order."""
    changes = differences(places, host, packaged)
    for path in changes:
        before = places[path]
        put_back(host / path.lstrip("/"), None if before == UNKNOWN else before)
    return list(changes)


def shown(host):
    return {
        str(path.relative_to(host)): (path.readlink() if path.is_symlink() else path.stat().st_mode & 0o777)
        for path in sorted(host.rglob("*"))
    } | {"issue": (host / "etc/issue").read_text()}


def test_what_states_write_to_is_known_from_the_run():
    assert written(CHUNKS, ["/srv"]) == {
        "/etc/cron.d": True,
        "/etc/crontab": False,
        "/etc/docker.d/deep/mounts.conf": True,
        "/etc/firewall.nft": True,
        "/etc/issue": True,
        "/etc/localtime": True,
    }


def test_what_was_there_before_comes_back_and_the_rest_goes(host):
    as_it_was = shown(host)
    places = keep(written(CHUNKS, ["/srv"]), host, fresh=True)
    overwrite(host)
    # What its owner has written since is not taken back where states decide only whose a file is.
    (host / "etc/crontab").write_text("23 * * * * root\n")
    assert restore(host, places)
    assert shown(host) == as_it_was
    assert (host / "etc/crontab").read_text() == "23 * * * * root\n"
    assert restore(host, places) == []


def test_a_directory_with_others_files_stays(host):
    places = keep(written(CHUNKS, ["/srv"]), host, fresh=True)
    overwrite(host)
    (host / "etc/docker.d/deep/theirs.conf").write_text("")
    restore(host, places)
    assert [path.name for path in (host / "etc/docker.d").rglob("*.conf")] == ["theirs.conf"]


def test_where_nobody_knows_what_was_before_files_of_packages_stay_and_what_is_only_guarded(host):
    overwrite(host)
    places = keep(written(CHUNKS, ["/srv"]), host, fresh=False)
    assert "/etc/issue" not in restore(host, places, packaged=["/etc/issue"])
    # Such a one is /etc/ssh/sshd_config, which belongs to no package by name: without it nobody gets in.
    assert (host / "etc/crontab").read_text() == "17 * * * * root\n"
    assert (host / "etc/issue").read_text() == "Keep out\n"
    assert not (host / "etc/firewall.nft").exists()
    assert (host / "etc/cron.d").is_dir()


@pytest.fixture
def state(host, monkeypatch):
    """``state(test)`` is the state's module on that host."""

    def made(test=False):
        dpkg = {"stdout": "installed curl\nconfig-files vim\n", "stderr": "", "retcode": 0}
        module = load(
            "before",
            __opts__={"test": test, "marketplace_root": str(host)},
            __salt__={"cmd.run_all": lambda *_, **__: dpkg},
            __lowstate__=CHUNKS,
        )
        monkeypatch.setattr(module, "installed_files", lambda *_: set())
        return module

    return made


def test_what_was_before_is_kept_once(state, host):
    foreseen = state(test=True).kept("Ensure", ["/srv"])
    assert foreseen["result"] is None
    assert not Paths(host).before.exists()
    assert state().kept("Ensure", ["/srv"])["changes"] == foreseen["changes"]
    record = read_json(Paths(host).before)
    assert record["packages"] == ["curl"]
    overwrite(host)
    assert state().kept("Ensure", ["/srv"])["changes"] == {}
    assert read_json(Paths(host).before) == record


def test_a_droplet_that_was_converged_already_is_not_taken_for_a_fresh_one(state, host):
    volumes = Paths(host).state / "volumes"
    volumes.mkdir(parents=True)
    (volumes / "postgres.made").touch()
    for known in (None, UNKNOWN):  # What a later run adds is no more known than what the first one saw.
        state().kept("Ensure", ["/srv", *([] if known else ["/etc/issue"])])
        record = read_json(Paths(host).before)
        assert record["packages"] is None
        assert record["places"].get("/etc/issue") == known
        assert record["places"]["/etc/firewall.nft"] is None


def test_a_droplet_that_is_being_rebuilt_is_a_fresh_one(state, host):
    volumes = Paths(host).state / "volumes"
    volumes.mkdir(parents=True)
    (volumes / "postgres.start-empty").touch()
    state().kept("Ensure", ["/srv"])
    assert read_json(Paths(host).before)["packages"] == ["curl"]


def test_a_directory_that_was_there_before_stays_without_its_package(state, host):
    theirs, ours = host / "etc/theirs", host / "etc/ours"
    theirs.mkdir()
    trees = {str(theirs): "vim", str(ours): "vim"}
    state().kept("Ensure", ["/srv"], trees=trees)
    ours.mkdir()
    assert state().restored("Ensure", trees=trees)["changes"].keys() >= {str(ours)}
    assert theirs.exists()
    assert not ours.exists()


def test_a_droplet_that_was_emptied_is_looked_at_anew(state, host):
    (Paths(host).state / "volumes").mkdir(parents=True)
    (Paths(host).state / "volumes/postgres.img").touch()
    Paths(host).removed.parent.mkdir(parents=True)
    Paths(host).removed.write_text("what is left")
    state().kept("Ensure", ["/srv"])
    assert read_json(Paths(host).before)["packages"] == ["curl"]
    assert not Paths(host).removed.exists()


def test_all_of_it_is_put_back_by_one_state(state, host):
    as_it_was = shown(host)
    state().kept("Ensure", ["/srv"])
    overwrite(host)
    trees = {str(host / "etc/ours"): "", str(host / "etc/theirs"): "curl"}
    for tree in trees:
        (Path(tree) / "below").mkdir(parents=True)
    foreseen = state(test=True).restored("Ensure", trees=trees)
    assert foreseen["result"] is None
    assert (host / "etc/ours").exists()
    done = state().restored("Ensure", trees=trees)
    assert (done["result"], done["changes"]) == (True, foreseen["changes"])
    assert not (host / "etc/ours").exists()
    assert (host / "etc/theirs/below").is_dir()
    assert as_it_was.items() <= shown(host).items()
    assert state().restored("Ensure", trees=trees)["changes"] == {}


@pytest.mark.parametrize(
    ("package", "before", "back"), [("curl", ["curl"], True), ("vim", ["vim"], False), ("curl", [], False)]
)
def test_what_belongs_to_a_package_is_put_back_where_that_is_installed_and_was(
    state, host, package, before, back
):
    state().kept("Ensure", ["/srv"])
    kept = Paths(host).before
    kept.write_text(to_json(read_json(kept) | {"packages": before}))
    overwrite(host)
    overwritten = shown(host)
    assert bool(state().restored("Ensure", package=package)["changes"]) == back
    assert (shown(host) == overwritten) == (not back)


class Apt:
    """dpkg with some packages, and what apt would remove with others."""

    def __init__(self, installed, dependencies=(), orphans=(), manual=("docker.io", "jq")):
        self.installed, self.dependencies, self.orphans = set(installed), dependencies, orphans
        self.manual = manual
        self.purged = []

    def run_all(self, command, **_):
        answer = {"retcode": 0, "stdout": "", "stderr": ""}
        if command[0] == "dpkg-query":
            return answer | {"stdout": "".join(f"installed {one}\n" for one in sorted(self.installed))}
        if command[0] == "apt-mark":
            return answer | {"stdout": "\n".join(self.manual)}
        if "autoremove" in command:
            return answer | {"stdout": "".join(f"Remv {one} [1]\n" for one in self.orphans)}
        if "--simulate" in command:
            asked = command[command.index("--autoremove") + 1 :]
            going = [*asked, *self.dependencies, *self.orphans]
            return answer | {"stdout": "".join(f"Purg {one} [1]\n" for one in going)}
        self.purged = command[command.index("purge") + 1 :]
        self.installed -= set(self.purged)
        return answer


def purge(apt, tmp_path, before, test=False):
    (tmp_path / "before.json").write_text(to_json({"packages": before}))
    module = load(
        "apt_package", __salt__={"cmd.run_all": apt.run_all}, __opts__={"test": test}, __context__={}
    )
    return module.purged("Ensure", ["docker.io", "jq", "less"], str(tmp_path / "before.json"))


@pytest.mark.parametrize("test", [True, False])
def test_packages_go_with_what_came_for_their_sake_and_nothing_else(tmp_path, test):
    apt = Apt(
        ["docker.io", "jq", "runc", "old-kernel", "bash"], dependencies=["runc"], orphans=["old-kernel"]
    )
    ret = purge(apt, tmp_path, before=["bash", "jq"], test=test)
    assert ret["result"] is (None if test else True)
    assert list(ret["changes"]) == ["docker.io", "runc"]
    assert apt.purged == ([] if test else ["docker.io", "runc"])
    if not test:
        assert purge(apt, tmp_path, before=["bash", "jq"])["changes"] == {}


def test_a_package_that_was_there_before_never_goes(tmp_path):
    apt = Apt(["docker.io", "theirs"], dependencies=["theirs"])
    ret = purge(apt, tmp_path, before=["theirs"])
    assert ret["result"] is False
    assert "theirs" in ret["comment"]
    assert apt.purged == []


def test_a_package_that_somebody_has_asked_for_since_never_goes(tmp_path):
    apt = Apt(["docker.io", "theirs"], dependencies=["theirs"], manual=["docker.io", "theirs"])
    ret = purge(apt, tmp_path, before=["bash"])
    assert ret["result"] is False
    assert "theirs" in ret["comment"]
    assert apt.purged == []


def test_where_nobody_knows_what_was_before_all_packages_stay(tmp_path):
    apt = Apt(["docker.io"])
    assert purge(apt, tmp_path, before=None)["changes"] == {}
    assert apt.purged == []


def test_somebody_has_to_say_which_droplet_is_meant():
    assert unconfirmed("production", "production", test=False) is None
    assert unconfirmed("production", "", test=True) is None
    assert '{"remove": "production"}' in unconfirmed("production", "", test=False)
    for test in (True, False):
        assert "is production, and not staging" in unconfirmed("production", "staging", test=test)


def test_an_engine_that_others_need_is_not_taken_from_them():
    assert "eve" in engine_is_needed(["curl"], {"eve": "image x"})
    assert engine_is_needed(["curl"], {}) is None
    assert engine_is_needed(["docker.io"], {"eve": "image x"}) is None
    assert engine_is_needed(None, {"eve": "image x"}) is None


def settings(changes=None):
    parsed, problems = parse(pillar(changes), "production", ENVIRONMENTS)
    assert problems == []
    return to_dict(parsed)


def test_it_is_said_where_the_data_are_and_how_they_are_read():
    text = left(settings(), "production")
    for word in (
        "/srv/data/postgres",
        "/var/backups/marketplace",
        "backup_key",
        "deleteWebhook",
        "/opt/salt",
    ):
        assert word in text
    assert "volumes/postgres.img" in text
    assert "copy elsewhere: none" in text


def test_what_is_at_a_provider_is_said_to_be_there():
    managed = {"managed": {"host": "db.test"}, "address": "db.test", "port": 25060, "database": "main"}
    said = settings()
    text = left(said | {"postgres": said["postgres"] | managed}, "production")
    assert "PostgreSQL is at its provider, db.test:25060: nothing was done there" in text
    assert "/srv/data/redis" in text
    assert "/srv/data/postgres" not in text
    assert "srv-data-postgres.mount" not in text


def listed(sls, key):
    """A list of names in an SLS of the removal, without rendering it."""
    text = (TREE / "salt/marketplace/absent" / sls).read_text()
    block = re.search(rf"^( +)- {key}:\n((?:\1  .*\n)+)", text, re.MULTILINE)
    plain = "\n".join(line for line in block[2].splitlines() if "{" not in line)
    return yaml.safe_load(plain)


def test_every_package_that_is_installed_goes_or_is_needed():
    installed = set(EXPORTERS)
    for path in [*(TREE / "salt").rglob("*.sls"), *(TREE / "formulas").rglob("*.sls")]:
        for names in re.findall(r"apt_package\.installed:\n    - pkgs: \[(.+)\]", path.read_text()):
            installed |= {name.replace("{{ barman.major }}", "17") for name in names.split(", ")}
    for formula, key in (
        ("docker", "packages"),
        ("packages", "present"),
        ("updates", "packages"),
        ("ssh", "packages"),
    ):
        installed |= set(yaml.safe_load((TREE / f"formulas/{formula}/defaults.yaml").read_text())[key])
    assert installed - NEEDED == set(listed("host.sls", "pkgs"))


def test_every_file_of_the_engine_goes_or_is_left_on_purpose():
    paths = Paths()
    places = {name: getattr(paths, name) for name, kind in vars(Paths).items() if isinstance(kind, property)}
    engine = {path.name for path in places.values() if isinstance(path, Path) and path.parent == paths.state}
    gone = {Path(tree).name for tree in listed("files.sls", "trees") if Path(tree).parent == paths.state}
    assert engine - LEFT == gone & engine
    assert not gone & LEFT


NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Containers:
    """Docker with some containers, of which ``foreign`` are others', and networks."""

    def __init__(
        self, names=("postgres", "backend-blue"), networks=("bridge", "app", "data"), foreign=(), volumes=()
    ):
        self.names, self.networks, self.foreign = list(names), list(networks), list(foreign)
        self.volumes = volumes

    def run(self, command, *arguments):
        if arguments[0] == "rm":
            self.networks.remove(arguments[1])
        listed = {"ps": [*self.names, *self.foreign], "network": self.networks, "volume": self.volumes}[
            command
        ]
        return SimpleNamespace(stdout="\n".join(listed))

    def remove(self, *names):
        self.names = [name for name in self.names if name not in names]


@pytest.fixture
def removal(tmp_path, monkeypatch):
    """``removal(...)`` is the state's module on a droplet that was converged, with what may be in its way."""
    (tmp_path / "var/lib/marketplace").mkdir(parents=True)
    (tmp_path / "srv/data").mkdir(parents=True)
    Paths(tmp_path).before.write_text(to_json({"packages": ["curl"], "places": {}}))

    def made(test=False, docker=None, busy=None, backups=()):
        docker = docker or Containers()
        module = load(
            "removal",
            __opts__={"id": "production", "test": test, "marketplace_root": str(tmp_path)},
            __pillar__={"settings": settings()},
        )
        catalogue = SimpleNamespace(all=lambda: list(backups))
        world = SimpleNamespace(catalogue=catalogue, clock=SimpleNamespace(now=lambda: NOW), docker=docker)
        of = SimpleNamespace(of=lambda _: world)
        for name, value in {
            "BackupWorld": of,
            "World": of,
            "which": lambda _: "/usr/bin/docker",
            "busy": busy if callable(busy) else lambda _: busy,
            "PATIENCE": 1.0 if callable(busy) else 0.0,
            "others": lambda _: dict.fromkeys(docker.foreign, "image x"),
        }.items():
            monkeypatch.setattr(module, name, value)
        return module

    return made


def kept(kind, hours):
    then = (NOW - timedelta(hours=hours)).isoformat()
    return Backup(kind=kind, id="x", started=then, ended=then, bytes=1, files={})


def test_a_removal_begins_where_nothing_is_in_its_way(removal, tmp_path):
    fresh = [kept(kind, 1) for kind in KINDS]
    ret = removal(backups=fresh).allowed("Ensure", "production")
    assert (ret["result"], ret["changes"], ret.get("warnings")) == (True, {}, None)
    assert removal(backups=fresh).allowed("Ensure", "")["result"] is False
    assert removal(backups=fresh, test=True).allowed("Ensure", "")["result"] is True


@pytest.mark.parametrize("test", [True, False])
def test_a_removal_waits_for_what_is_at_work(removal, tmp_path, test):
    paths = Paths(tmp_path)
    assert "Release 1.4.2" in removal(test, busy="release 1.4.2").allowed("Ensure", "production")["comment"]
    used = removal(test, Containers(foreign=["eve"])).allowed("Ensure", "production")
    assert (used["result"], "eve" in used["comment"]) == (False, True)
    data = Containers(volumes=["f" * 64, "eve_data"])
    assert "use it: volume eve_data." in removal(test, data).allowed("Ensure", "production")["comment"]
    assert removal(test, Containers(volumes=["f" * 64])).allowed("Ensure", "production")["result"] is True
    paths.rotation.write_text("{}")
    assert "settings.rotate" in removal(test).allowed("Ensure", "production")["comment"]
    paths.rotation.unlink()
    with Lock(paths.rebuild_lock).held("alice", "rebuild"):
        assert "by alice" in removal(test).allowed("Ensure", "production")["comment"]
    paths.before.unlink()
    assert "state.apply once" in removal(test).allowed("Ensure", "production")["comment"]


def test_who_is_at_work_for_a_moment_is_waited_for(removal):
    answers = iter(["jobs are looked after", None])
    assert removal(busy=lambda _: next(answers)).allowed("Ensure", "production")["result"] is True


def test_backups_that_are_old_or_missing_are_warned_of(removal):
    backups = [kept("postgres", 50), kept("house", 1), kept("dump", 24)]
    ret = removal(backups=backups).allowed("Ensure", "production")
    assert ret["result"] is True
    assert len(ret["warnings"]) == 2
    assert "postgres is 50 h old" in ret["warnings"][0]
    assert "no good backup of redis" in ret["warnings"][1]


@pytest.mark.parametrize("test", [True, False])
def test_our_containers_and_networks_go_and_others_stay(removal, test):
    docker = Containers(foreign=["eve"])
    ret = removal(test, docker).contained("Ensure", ["app", "data"])
    assert ret["result"] is (None if test else True)
    assert list(ret["changes"]) == [
        "container backend-blue", "container postgres", "network app", "network data"
    ]  # fmt: skip
    assert docker.networks == (["bridge", "app", "data"] if test else ["bridge"])
    if not test:
        assert removal(test, docker).contained("Ensure", ["app", "data"])["changes"] == {}


def test_what_is_left_is_written_down_once(removal, tmp_path):
    paths = Paths(tmp_path)
    assert removal(test=True).told("Ensure")["result"] is None
    assert not paths.removed.exists()
    done = removal().told("Ensure")
    assert done["result"] is True
    assert paths.removed.read_text() == done["comment"]
    assert paths.removed.stat().st_mode & 0o777 == 0o600
    assert not paths.before.exists()
    assert removal().told("Ensure")["changes"] == {}
    # It may be run again, though nobody knows any more what was here before.
    assert removal().allowed("Ensure", "production")["result"] is True
