"""What a backup of a gigabyte costs users."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.soak.test_backup_large import GIB, fill, roomy
from tests.support import backups
from tests.support.botapi.client import BotApi
from tests.support.droplet import pillar
from tests.support.droplet.machine import Machine
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.droplet.storage import Storage
from tests.support.load import running
from tests.support.load.state import sql
from tests.support.waiting import seconds_until

ROUNDS = 5


@pytest.mark.timeout(3600)
def test_a_backup_costs_users_little(
    site: Site,
    images: Images,
    botapi: BotApi,
    storage: Storage,
    neighbour: Machine,
    note: Callable[[str], None],
) -> None:
    local = backups.copied_to(storage, pillar.local(site, images))
    with roomy(site, images, local, "5G", "8G") as large:
        fill(large, GIB)
        # What the filling has left to do would be taken for the time without a backup.
        for statement in ("VACUUM ANALYZE filler", "CHECKPOINT"):
            sql(large, statement)
        seconds_until(lambda: call(large, "backup.ship").returncode == 0, 300)
        with running.users(neighbour, large, 50, 1.0) as users:
            for _ in range(ROUNDS):
                users.pause_until(1500)
                with users.window():
                    backups.taken(large, "jitter=1")  # As cron does it.
                    seconds_until(lambda: call(large, "backup.ship").returncode == 0, 300)
            rest, during = users.at_rest().p95_ms or 0.0, users.in_windows().p95_ms or 0.0
            users.assert_lossless(large)
        note(
            f"p95 of answers while a backup is taken and sent to the copy {during:.0f} ms, else {rest:.0f} ms "
            f"({ROUNDS} backups of 1 GB, 50 users)"
        )
        assert during <= 1.2 * rest
