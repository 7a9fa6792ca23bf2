"""What data services do at boot."""

from __future__ import annotations

import yaml

from tests.droplet.test_state_data import WELL_SECONDS, comments, psql
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.waiting import seconds_until


def test_an_image_that_cannot_be_pulled_keeps_nothing_down_at_boot(droplet: Droplet) -> None:
    right = droplet.get(pillar.FILE)
    told = yaml.safe_load(right)
    told["postgres"]["digest"] = f"sha256:{'0' * 64}"
    pillar.write(droplet, told)
    try:
        done = call(droplet, "state.apply", "marketplace.data")
        assert done.failed == {}
        assert "Pending restart: postgres" in comments(done)["Ensure the data services are running"]
        droplet.reboot()
        droplet.run(["systemctl", "start", "marketplace-data"])
        assert psql(droplet, "SELECT 1;").stdout.strip() == "1"
        assert call(droplet, "state.apply", "marketplace.data").changed == {}
    finally:
        droplet.put(pillar.FILE, right, mode=0o600)
        back = call(droplet, "state.apply", "marketplace.data")
    assert back.failed == {}
    assert "Pending restart" not in comments(back)["Ensure the data services are running"]
    assert not any("restart" in line for line in call(droplet, "deploy.status").value["pending"])
    seconds_until(lambda: call(droplet, "health.check", "brief=True").returncode == 0, WELL_SECONDS)
