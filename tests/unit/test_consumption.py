"""What the machine and its services use, as both versions of cgroup tell it."""

import os

import pytest
from marketplace_consumption import Group, disks, machine, service

MIB = 1 << 20
MEMINFO = (
    f"MemTotal: {4 * 1024 * 1024} kB\nMemFree: 1 kB\nMemAvailable: {3 * 1024 * 1024} kB\nHugePages_Total: 0\n"
)


def files(root, entries):
    for name, text in entries.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture(autouse=True)
def _four_processors(monkeypatch):
    monkeypatch.setattr(os, "sysconf", lambda _: 4)


def test_a_machine_of_its_own(tmp_path):
    files(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/1/cgroup": "0::/init.scope\n",
            "groups/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
        },
    )
    assert machine(tmp_path / "proc", tmp_path / "groups") == Group(2.5, 4.0, 1024 * MIB, 4096 * MIB)


def test_a_machine_that_is_a_group_of_a_larger_one(tmp_path):
    files(
        tmp_path,
        {
            "proc/meminfo": MEMINFO,
            "proc/1/cgroup": "9:name=systemd:/init.scope\n4:memory:/a/init.scope\n2:cpuacct:/a\n1:cpu:/a\n0::/\n",
            "groups/cpuacct/a/cpuacct.usage": "7000000000\n",
            "groups/cpu/a/cpu.cfs_quota_us": "200000\n",
            "groups/cpu/a/cpu.cfs_period_us": "100000\n",
            "groups/memory/a/memory.limit_in_bytes": f"{1024 * MIB}\n",
            "groups/memory/a/memory.stat": f"rss 1\ntotal_rss {300 * MIB}\ntotal_shmem {20 * MIB}\n",
        },
    )
    assert machine(tmp_path / "proc", tmp_path / "groups") == Group(7.0, 2.0, 320 * MIB, 1024 * MIB)


def test_a_service(tmp_path):
    group = "system.slice/docker-abc.scope"
    files(
        tmp_path,
        {
            "proc/42/cgroup": f"0::/{group}\n",
            f"groups/{group}/cpu.stat": "usage_usec 1500000\n",
            f"groups/{group}/memory.max": f"{512 * MIB}\n",
            f"groups/{group}/memory.stat": f"anon {40 * MIB}\nshmem 0\n",
            f"groups/{group}/memory.events": "oom_kill 0\n",
            f"groups/{group}/pids.current": "12\n",
            f"groups/{group}/pids.max": "64\n",
        },
    )
    made = service(42, 0.75, tmp_path / "proc", tmp_path / "groups")
    assert made == Group(1.5, 0.75, 40 * MIB, 512 * MIB)
    assert service(43, 0.75, tmp_path / "proc", tmp_path / "groups") is None


def test_a_kernel_that_does_not_tell(tmp_path):
    assert machine(tmp_path, tmp_path) is None


def test_only_file_systems_of_their_own_count(tmp_path):
    found = disks({"droplet": tmp_path.joinpath("/"), "redis": tmp_path, "gone": tmp_path / "gone"})
    assert list(found) == ["droplet"]
    used, total = found["droplet"]
    assert 0 < used <= total
