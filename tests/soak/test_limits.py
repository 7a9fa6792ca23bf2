"""Every service beyond every one of its limits, while users write."""

from __future__ import annotations

import pytest

from tests.droplet import test_limits as limits
from tests.support.droplet.droplets import Droplet
from tests.support.load.running import Load

users = limits.users
# In this order: a flood of log lines is told for some minutes.
test_spinning = limits.test_a_spinning_service_gets_its_share_of_the_processors_and_no_more
test_memory = limits.test_who_takes_too_much_memory_is_killed_alone
test_fork_bomb = limits.test_a_fork_bomb_ends_at_the_limit
test_full_disk = limits.test_a_full_disk_is_its_owners_alone
test_flood = limits.test_a_flood_of_log_lines_is_cut_off_and_nobody_waits_for_it


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "service" in metafunc.fixturenames:
        metafunc.parametrize("service", limits.SERVICES)


def test_users_lost_nothing(droplet: Droplet, users: Load) -> None:
    users.assert_lossless(droplet, failed=None)
