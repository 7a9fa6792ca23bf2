"""What a process in a container may do and take, as Docker was told and as the kernel has it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import inside
from tests.support.droplet.droplets import Droplet


@pytest.fixture(params=["backend", "postgres", "redis"])
def container(request: pytest.FixtureRequest, droplet: Droplet) -> str:
    return inside.live(droplet) if request.param == "backend" else str(request.param)


def test_docker_confines_it(droplet: Droplet, container: str) -> None:
    found: dict[str, Any] = json.loads(droplet.run(["docker", "inspect", container]).stdout)[0]
    host = found["HostConfig"]
    assert found["Config"]["User"].split(":")[0] not in ("", "0", "root")
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert (host["CapDrop"], host["CapAdd"] or []) == (["ALL"], [])
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["PortBindings"] in ({}, None)
    assert (host["PidMode"], host["IpcMode"], host["UTSMode"]) == ("", "private", "")
    assert host["Memory"] == host["MemorySwap"] > 0
    assert host["NanoCpus"] > 0
    assert 0 < host["PidsLimit"] <= 256
    limits = {limit["Name"]: limit["Hard"] for limit in host["Ulimits"]}
    assert limits["core"] == 0
    assert limits["nofile"] <= 16384
    assert host["Tmpfs"]
    for options in host["Tmpfs"].values():
        assert {"noexec", "nosuid", "nodev"} < set(options.split(","))
        assert any(option.startswith("size=") for option in options.split(","))
    # What it writes to is its own data; everything else from the host is read-only, and never Docker's socket.
    writable = {mount["Destination"] for mount in found["Mounts"] if mount["RW"]}
    assert writable <= {"/var/lib/postgresql/data", "/data"}
    assert not any("docker.sock" in mount["Source"] for mount in found["Mounts"])


def test_the_kernel_confines_it(droplet: Droplet, container: str) -> None:
    pid = droplet.run(["docker", "inspect", "--format", "{{.State.Pid}}", container]).stdout.strip()
    lines = droplet.run(["cat", f"/proc/{pid}/status"]).stdout.splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert "0" not in status["Uid"]
    assert "0" not in status["Gid"]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name][0], 16) == 0, name
    assert status["NoNewPrivs"] == ["1"]
    assert status["Seccomp"] == ["2"]
    limits = droplet.run(["cat", f"/proc/{pid}/limits"]).stdout
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    mounts = droplet.run(["cat", f"/proc/{pid}/mounts"]).stdout.splitlines()
    tmp = next(line.split()[3].split(",") for line in mounts if line.split()[1] == "/tmp")
    assert {"noexec", "nosuid", "nodev"} < set(tmp)
    root = next(line.split()[3].split(",") for line in mounts if line.split()[1] == "/")
    assert "ro" in root
