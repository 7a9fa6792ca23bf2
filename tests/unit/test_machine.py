import os

import pytest
from marketplace_machine import Machine, look, shortfalls
from marketplace_settings import parse, to_dict
from marketplace_units import GIB

from tests.support.pillars import ENVIRONMENTS, pillar


@pytest.fixture
def settings():
    parsed, _ = parse(pillar(), "production", ENVIRONMENTS)
    return to_dict(parsed)


def test_what_stands_already_needs_no_room(settings):
    held = {
        "postgres.disk": 20 * GIB,
        "redis.disk": 2 * GIB,
        "backup.disk": 20 * GIB,
        "droplet.swap": GIB,
    }
    assert shortfalls(Machine(4 * GIB, 2, 0, held), settings) == []


def test_volumes_that_grow_need_room_for_the_difference(settings):
    held = {
        "postgres.disk": 18 * GIB,
        "redis.disk": 2 * GIB,
        "backup.disk": 20 * GIB,
        "droplet.swap": GIB,
    }
    machine = Machine(4 * GIB, 2, GIB, held)
    assert shortfalls(machine, settings) == [
        "still to be allocated are postgres.disk 2G = 2G, but only 1G are free in /var: ask for less, or make room"
    ]


def test_room_that_is_just_enough_is_enough(settings):
    assert shortfalls(Machine(4 * GIB, 2, 43 * GIB, {}), settings) == []


@pytest.mark.parametrize("name", ["postgres", "redis", "backup"])
def test_what_is_on_a_block_volume_takes_no_room_here(settings, name):
    others = 43 * GIB - settings[name]["disk"]
    assert shortfalls(Machine(4 * GIB, 2, others, {}), settings) != []
    settings[name]["device"] = "/dev/disk/by-id/scsi-0DO_Volume_data"
    assert shortfalls(Machine(4 * GIB, 2, others, {}), settings) == []
    assert shortfalls(Machine(4 * GIB, 2, others - 1, {}), settings) != []


def test_unknown_cpus_are_no_shortfall(settings):
    assert shortfalls(Machine(4 * GIB, None, 80 * GIB, {}), settings) == []


def test_all_shortfalls_are_named_at_once(settings):
    assert len(shortfalls(Machine(GIB, 1, 0, {}), settings)) == 3


def test_a_directory_is_no_machine(tmp_path):
    assert look(tmp_path) is None


def test_allocated_files_are_counted(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1048576 kB\n")
    volumes = tmp_path / "var/lib/marketplace/volumes"
    volumes.mkdir(parents=True)
    with (volumes / "redis.img").open("wb") as image:
        os.posix_fallocate(image.fileno(), 0, 1 << 20)
    with (tmp_path / "var/swapfile").open("wb") as sparse:
        sparse.truncate(1 << 30)
    machine = look(tmp_path)
    assert (machine.memory, machine.cpus) == (GIB, None)
    assert machine.held["redis.disk"] >= 1 << 20
    assert machine.held["droplet.swap"] < 1 << 20
    assert machine.held["postgres.disk"] == 0


def test_what_a_killed_run_left_unfinished_makes_room(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 1048576 kB\n")
    (tmp_path / "var").mkdir()
    with (tmp_path / "var/swapfile.unfinished").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
    assert look(tmp_path).held["droplet.swap"] >= 1 << 20
