"""A rotation of secrets that was killed goes on: what tests/unit shows of every step, for real."""

from __future__ import annotations

from tests.droplet.test_rotation import secret
from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.load.state import SECRETS


def test_what_was_cut_off_goes_on(droplet: Droplet) -> None:
    """Killed as soon as it is seen to have begun; that a cut anywhere is gone on with, the unit tests show."""
    name = "redis_app_password"
    before = secret(droplet, name)
    droplet.run(["systemd-run", "--quiet", "--collect", "--unit=cut", "salt-call", "settings.rotate", name])
    droplet.run(["sh", "-c", f"until [ -s {SECRETS}/{name}_before ]; do sleep 0.05; done"], timeout=30)
    droplet.run(["systemctl", "kill", "--signal=KILL", "cut"])
    assert name in str(shipping.status(droplet)["pending"])
    answer = call(droplet, "settings.rotate")
    assert (answer.returncode, answer.value["secrets"]) == (0, [name]), answer.stderr
    assert secret(droplet, name) != before
    assert name not in str(shipping.status(droplet)["pending"])
    shipping.assert_sound(droplet)
