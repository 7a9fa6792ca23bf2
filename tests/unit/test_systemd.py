"""systemd's facts about a unit, and the units that code writes."""

import os
import time

import pytest
from marketplace_systemd import Unit, escape_path, forgive_future, mount_unit, swap_service

SHOWN = """LoadState=loaded
ActiveState=active
NeedDaemonReload=no
ActiveEnterTimestampMonotonic=5000000
"""


def test_a_unit_is_read():
    unit = Unit.parse(SHOWN)
    assert (unit.loaded, unit.active, unit.needs_reload, unit.started) == (True, True, False, 5.0)


def test_a_file_of_the_future_is_dated_now_and_no_other(tmp_path):
    now = time.time()
    for name, at in (("ahead", now + 3600), ("past", now - 3600)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    forgive_future([tmp_path / "ahead", str(tmp_path / "past"), tmp_path / "missing"])
    assert now - 1 <= (tmp_path / "ahead").stat().st_mtime <= time.time()
    assert (tmp_path / "past").stat().st_mtime == pytest.approx(now - 3600)


def test_a_unit_that_never_ran_is_never_older():
    unit = Unit.parse("LoadState=not-found\nActiveState=inactive\nActiveEnterTimestampMonotonic=0\n")
    assert (unit.loaded, unit.started) == (False, None)
    assert not unit.older_than(1e12, realtime=1000.0, monotonic=10.0)


@pytest.mark.parametrize(("changed", "older"), [(994.9, False), (995.1, True)])
def test_start_and_change_are_compared_across_clocks(changed, older):
    # Started at 5 s of a monotonic clock that shows 10 s now: five seconds ago, at 995 s of the epoch.
    assert Unit.parse(SHOWN).older_than(changed, realtime=1000.0, monotonic=10.0) is older


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/srv/data/postgres", "srv-data-postgres"),
        ("/srv/my-data", r"srv-my\x2ddata"),
        ("/.hidden/a b", r"\x2ehidden-a\x20b"),
    ],
)
def test_paths_are_escaped_as_systemd_does(path, name):
    assert escape_path(path) == name


@pytest.mark.parametrize("path", ["/", "relative", ""])
def test_what_is_no_units_path_is_refused(path):
    with pytest.raises(ValueError, match="absolute path"):
        escape_path(path)


def test_units_name_what_they_mount():
    unit = mount_unit("/srv/x", "/var/x.img", "loop,noatime")
    assert "What=/var/x.img\nWhere=/srv/x\nType=ext4\nOptions=loop,noatime\n" in unit
    assert "swapon /var/swapfile\n" in swap_service("/var/swapfile")
