"""What was on a host before states wrote to it is kept, and comes back when the deployment is taken off."""

from pathlib import Path

import pytest
from marketplace_before import UNKNOWN, differences, keep, put_back, written
from marketplace_durable import read_json, to_json
from marketplace_paths import Paths

from tests.unit.test_states import load


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
