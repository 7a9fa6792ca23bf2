"""How near a service is to its limits, as both versions of cgroup tell it."""

import pytest
from marketplace_pressure import Usage, near_limit, usage

MIB = 1 << 20


def files(root, entries):
    for name, text in entries.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_cgroup_v2(tmp_path):
    files(
        tmp_path,
        {
            "proc/42/cgroup": "0::/system.slice/docker-abc.scope\n",
            "groups/system.slice/docker-abc.scope/memory.max": f"{512 * MIB}\n",
            "groups/system.slice/docker-abc.scope/memory.stat": f"anon {40 * MIB}\nfile {90 * MIB}\nshmem {20 * MIB}\n",
            "groups/system.slice/docker-abc.scope/memory.events": "low 0\noom 3\noom_kill 2\n",
            "groups/system.slice/docker-abc.scope/pids.current": "12\n",
            "groups/system.slice/docker-abc.scope/pids.max": "max\n",
        },
    )
    assert usage(42, tmp_path / "proc", tmp_path / "groups") == Usage(60 * MIB, 512 * MIB, 12, None, 2)


def test_cgroup_v1(tmp_path):
    files(
        tmp_path,
        {
            "proc/42/cgroup": "12:pids:/docker/abc\n6:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n",
            "groups/memory/docker/abc/memory.limit_in_bytes": "9223372036854771712\n",
            "groups/memory/docker/abc/memory.stat": f"rss 1\ntotal_rss {80 * MIB}\ntotal_shmem {10 * MIB}\n",
            "groups/memory/docker/abc/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            "groups/pids/docker/abc/pids.current": "12\n",
            "groups/pids/docker/abc/pids.max": "64\n",
        },
    )
    assert usage(42, tmp_path / "proc", tmp_path / "groups") == Usage(90 * MIB, None, 12, 64, 1)


def test_a_process_that_is_gone_tells_nothing(tmp_path):
    assert usage(42, tmp_path, tmp_path) is None


@pytest.mark.parametrize(
    ("found", "disk", "words"),
    [
        (None, None, None),
        (Usage(50, 100, 5, 64, 9), (50, 100), None),
        (Usage(96, 100, 5, 64, 0), None, "it uses 96% of its memory limit"),
        (Usage(96, None, 5, None, 0), None, None),
        (Usage(5, 100, 60, 64, 0), None, "it has 60 of 64 processes"),
        (None, (10, 100), "its disk is 90% full"),
        (None, (11, 100), None),
        (
            Usage(99, 100, 64, 64, 0),
            (0, 100),
            "it uses 99% of its memory limit; it has 64 of 64 processes; its disk is",
        ),
    ],
)
def test_what_is_near_its_limit(found, disk, words):
    told = near_limit(found, disk)
    assert told == words if words is None else told is not None and told.startswith(words)
