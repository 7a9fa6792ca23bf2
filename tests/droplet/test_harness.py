"""The local droplet itself: what it promises to the tests that stand on it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.support.droplet import image, snapshot
from tests.support.droplet.droplets import CPUS, MEMORY, Droplet
from tests.support.droplet.errors import CommandFailed, DropletError
from tests.support.droplet.machine import Machine
from tests.support.droplet.paths import LABEL, PASSING, REPOSITORY
from tests.support.droplet.registry import Login
from tests.support.droplet.site import Images, Site

MIB = 1 << 20
INSIDERS = re.compile(
    r"local.?droplet|botapi|registry\.test|\.test\b|dockerenv|container=docker", re.IGNORECASE
)


@pytest.fixture(scope="module")
def small(site: Site) -> Iterator[Droplet]:
    """A bare droplet of 256 MB that this module may mistreat."""
    made = site.droplet("small", memory=256 * MIB)
    yield made
    made.destroy()


def test_the_tree_does_not_know_of_the_local_droplet() -> None:
    tracked = subprocess.run(
        ["git", "-C", str(REPOSITORY), "ls-files", "salt", "formulas", "controller", "bootstrap.sh", "minion.conf"],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert "bootstrap.sh" in tracked
    telling = {
        name: found.group()
        for name in tracked
        if (
            found := INSIDERS.search(
                (REPOSITORY / name).read_text().replace("BotApi", "").replace("alerts.test", "")
            )
        )
    }
    assert telling == {}


def test_pip_settings_of_the_host_are_carried_over_where_they_mean_something() -> None:
    text = image.pip_conf(
        {
            "index-url": "https://mirror.example.com/simple",
            "find-links": "/opt/wheels",
            "extra-index-url": "file:///x",
        }
    )
    assert text.splitlines() == [
        "[global]",
        "cert = /etc/ssl/certs/ca-certificates.crt",
        "disable-pip-version-check = true",
        "index-url = https://mirror.example.com/simple",
    ]


def test_an_image_is_built_once(docker_client: docker.DockerClient) -> None:
    tag = image.build(docker_client, "redis", print)
    said: list[str] = []
    assert image.build(docker_client, "redis", said.append) == tag
    assert said == []


def test_memory_is_capped(small: Droplet) -> None:
    eat = ["python3", "-c", "print(len(bytearray(int(input()) << 20)))"]
    assert small.run(eat, stdin="100\n").stdout.strip() == str(100 * MIB)
    assert small.run(eat, stdin="400\n", check=False).returncode == 137


def test_a_command_that_fails_says_where_and_how(small: Droplet) -> None:
    with pytest.raises(CommandFailed, match=r"small: 'sh -c .*' exited with 3\nhere\nthere") as caught:
        small.run(["sh", "-c", "echo here; echo there >&2; exit 3"])
    assert (caught.value.returncode, caught.value.stdout, caught.value.stderr) == (3, "here\n", "there\n")
    assert small.run(["sleep", "60"], check=False, timeout=0.2).returncode == 124


def test_files_go_in_and_out_unharmed(small: Droplet) -> None:
    content = bytes(range(256)) * 300
    small.put("/run/somewhere/deep/file", content, mode=0o640, owner=(33, 33))
    assert small.get("/run/somewhere/deep/file") == content
    assert small.run(["stat", "-c", "%a %u:%g", "/run/somewhere/deep/file"]).stdout.strip() == "640 33:33"
    with pytest.raises(FileNotFoundError, match="nothing"):
        small.get("/run/nothing")


def test_a_command_may_answer_while_it_reads(small: Droplet) -> None:
    much = "some text\n" * 500_000
    assert small.run(["cat"], stdin=much, timeout=60).stdout == much


def test_a_reboot_is_one(small: Droplet) -> None:
    small.put("/run/gone", "x")
    small.put("/var/kept", "x")
    small.put("/etc/kept", "x")
    small.reboot()
    with pytest.raises(FileNotFoundError):
        small.get("/run/gone")
    assert (small.get("/var/kept"), small.get("/etc/kept")) == (b"x", b"x")
    assert small.run(["systemctl", "is-system-running"]).stdout.strip() == "running"


def test_a_lost_power_supply_is_survived(small: Droplet) -> None:
    small.put("/var/kept", "y")
    small.kill()
    assert not small.running
    small.boot()
    assert small.get("/var/kept") == b"y"


def test_a_full_file_system_is_full(small: Droplet) -> None:
    small.run(["fallocate", "--length", "32M", "/var/disk.img"])
    small.run(["mkfs.ext4", "-q", "/var/disk.img"])
    small.run(["mount", "-o", "loop", "/var/disk.img", "/mnt"])
    filled = small.run(["dd", "if=/dev/zero", "of=/mnt/file", "bs=1M"], check=False)
    assert not filled.ok
    assert "No space left on device" in filled.stderr
    small.run(["umount", "/mnt"])


def test_a_snapshot_brings_everything_back(small: Droplet, site: Site) -> None:
    small.run(["fallocate", "--length", "40M", "/var/allocated"])
    small.put("/etc/before", "x")
    small.run(["rm", "/usr/bin/nano"])
    taken = snapshot.take(small, site.name, "harness")
    small.put("/etc/after", "x")
    small.run(["rm", "/var/allocated", "/etc/before"])
    small.kill()
    snapshot.restore(small, taken)
    taken.remove()
    assert small.get("/etc/before") == b"x"
    for gone in ("/etc/after", "/usr/bin/nano"):
        with pytest.raises(FileNotFoundError):
            small.get(gone)
    size, blocks = small.run(["stat", "-c", "%s %b", "/var/allocated"]).stdout.split()
    assert int(blocks) * 512 >= int(size) == 40 * MIB


def test_hosts_of_a_site_reach_each_other(small: Droplet, neighbour: Machine) -> None:
    greet = "import socket, sys; print(socket.create_connection((sys.argv[1], 22), 5).recv(4).decode())"
    for address in (small.address(), small.address(6), "small.test"):
        assert neighbour.run(["python3", "-c", greet, address]).stdout == "SSH-\n", address


def test_the_droplet_holds_what_runs_in_its_own_engine(droplet: Droplet) -> None:
    droplet.container.reload()
    limits = droplet.container.attrs["HostConfig"]
    assert (limits["Memory"], limits["MemorySwap"], limits["NanoCpus"]) == (MEMORY, MEMORY, CPUS * 10**9)
    inner = droplet.run(["docker", "run", "--detach", "--rm", "--network", "none", "--entrypoint", "sleep",
                         _some_image(droplet), "4711"]).stdout.strip()  # fmt: skip
    try:
        # The host's engine lists what is in the droplet's control group: an inner container that isn't has no limit.
        processes = [process[-1] for process in droplet.container.top()["Processes"]]
        assert any("sleep 4711" in process for process in processes)
    finally:
        droplet.run(["docker", "rm", "--force", inner])


def _some_image(droplet: Droplet) -> str:
    return droplet.run(["docker", "image", "ls", "--quiet"]).stdout.split()[0]


def test_images_come_by_digest(droplet: Droplet, images: Images) -> None:
    pulled = droplet.run(["docker", "pull", images.redis.reference]).stdout
    assert images.redis.digest in pulled
    wrong = f"{images.redis.repository}@sha256:{'0' * 64}"
    refused = droplet.run(["docker", "pull", wrong], check=False)
    assert not refused.ok
    assert "manifest unknown" in refused.stderr or "not found" in refused.stderr


def test_a_private_registry_wants_credentials(
    droplet: Droplet, site: Site, docker_client: docker.DockerClient
) -> None:
    login = Login("robot", "a-password")
    pushed = site.registry("private", login).push(image.build(docker_client, "redis"), "team/redis", "8")
    by_tag = (
        f"{pushed.repository}:{pushed.tag}"  # For a digest that it has seen, Docker doesn't ask the registry.
    )
    assert not droplet.run(["docker", "pull", by_tag], check=False).ok
    entering = ["docker", "login", "--username", login.username, "--password-stdin", "private.test"]
    assert not droplet.run(entering, stdin="wrong", check=False).ok
    droplet.run(entering, stdin=login.password)
    droplet.run(["docker", "pull", by_tag])
    droplet.run(["docker", "logout", "private.test"])
    droplet.run(["docker", "image", "rm", by_tag])


@pytest.mark.parametrize(
    ("name", "directory", "settings", "probe"),
    [
        (
            "postgres",
            "/var/lib/postgresql/data",
            {
                "POSTGRES_PASSWORD_FILE": "/etc/hostname",
                "POSTGRES_DB": "shop",
                "POSTGRES_INITDB_ARGS": "--data-checksums",
            },
            ["psql", "-h", "127.0.0.1", "-U", "postgres", "-d", "shop", "-Atc", "show data_checksums"],
        ),
        ("redis", "/data", {}, ["redis-cli", "save"]),
    ],
)
def test_stand_in_images_run_without_any_privilege(
    docker_client: docker.DockerClient, name: str, directory: str, settings: dict[str, str], probe: list[str]
) -> None:
    container = docker_client.containers.run(
        image.build(docker_client, name), detach=True, user="999:999", read_only=True, cap_drop=["ALL"],
        security_opt=["no-new-privileges"], environment=settings, labels={LABEL: PASSING}, network_mode="none",
        tmpfs={directory: "uid=999,gid=999", "/var/run/postgresql": "uid=999,gid=999", "/tmp": ""},
        healthcheck={"test": ["CMD", *probe], "interval": 300_000_000, "retries": 100},
    )  # fmt: skip
    try:
        stand_in = Machine(docker_client, container)
        stand_in.wait_healthy()
        assert stand_in.run(probe).stdout.strip() in ("on", "OK")
        container.stop(timeout=30)
        assert container.wait()["StatusCode"] == 0
    finally:
        container.remove(force=True, v=True)


def test_a_new_database_without_a_password_is_refused(docker_client: docker.DockerClient) -> None:
    with pytest.raises(DropletError, match="set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE"):
        image.once(
            docker_client, image.build(docker_client, "postgres"), ["docker-entrypoint.sh", "postgres"]
        )


def test_nothing_stays_of_a_destroyed_site(docker_client: docker.DockerClient) -> None:
    doomed = Site(f"doomed-{Path('/proc/self').resolve().name}", docker_client)
    made = doomed.droplet()
    doomed.registry()
    made.run(["fallocate", "--length", "32M", "/var/disk.img"])
    made.run(["mkfs.ext4", "-q", "/var/disk.img"])
    made.run(["mount", "-o", "loop", "/var/disk.img", "/mnt"])
    identity = str(made.container.id)
    doomed.destroy()
    mine: Any = {"filters": {"label": f"{LABEL}={doomed.name}"}}
    assert docker_client.containers.list(all=True, **mine) == []
    assert docker_client.volumes.list(**mine) == []
    assert docker_client.networks.list(**mine) == []
    assert made.name not in Path("/proc/mounts").read_text()
    assert list(Path("/sys/fs/cgroup").glob(f"**/{identity}*")) == []
    backing = [path.read_text() for path in Path("/sys/block").glob("loop*/loop/backing_file")]
    assert not any("/var/disk.img" in file for file in backing)
    doomed.destroy()
