"""The authority of the services comes near its end: a successor takes over, and no user notices."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.droplet.test_services_tls import ADDRESSES, SERVICES, authority, edge_says, serial
from tests.droplet.test_state_data import started
from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.load.running import Load
from tests.support.waiting import seconds_until

VERSION = "1.0.0"
# As the state makes one, with 300 days left.
AGED = """
import sys; sys.path.insert(0, "/srv/deploy/salt/_utils")
import subprocess
from pathlib import Path
from marketplace_service_authority import authority_request
subprocess.run(authority_request("aged", "/run/aged.key", "/run/aged.crt", days=300), check=True, capture_output=True)
Path(sys.argv[1]).write_text(Path("/run/aged.crt").read_text() + Path("/run/aged.key").read_text())
Path("/run/aged.key").unlink()
"""


def index(droplet: Droplet) -> dict[str, str | None]:
    found: dict[str, str | None] = json.loads(droplet.get(f"{SERVICES}/authorities.json"))
    return found


def test_a_successor_takes_over_when_the_live_release_knows_it(
    droplet: Droplet, load: Callable[..., Load], note: Callable[[str], None]
) -> None:
    shipping.ensure_live(droplet, VERSION)
    assert call(droplet, "state.apply").failed == {}
    before = index(droplet)
    droplet.run(["/opt/salt/bin/python3", "-c", AGED, authority(droplet)])

    # It is trusted at once, signs nothing yet, and a release is asked for.
    prepared = call(droplet, "state.apply")
    assert prepared.failed == {}
    assert set(prepared.changed["Ensure the services have an authority"]) == {"prepare"}
    assert call(droplet, "state.apply").changed == {}
    assert index(droplet)["current"] == before["current"]
    assert any("have changed: deploy.release" in words for words in shipping.status(droplet)["pending"])
    shipping.shipped(shipping.release(droplet, VERSION, "soak=0"))

    served = {service: serial(droplet, service) for service in ADDRESSES}
    running = started(droplet)
    users = load(20, 1.0)
    plan = call(droplet, "state.apply", "test=True")
    done = call(droplet, "state.apply")
    assert done.failed == {}
    assert set(plan.changed) == set(done.changed)
    assert set(done.changed["Ensure the services have an authority"]) == {"promote"}
    assert "Ensure the backend has its secrets" not in done.changed
    assert call(droplet, "state.apply").changed == {}
    assert index(droplet)["current"] != before["current"]
    assert index(droplet)["previous"] == before["current"]
    assert all(serial(droplet, service) != served[service] for service in ADDRESSES)
    assert started(droplet) == running
    seconds_until(lambda: set(edge_says(droplet).values()) == {"healthy"}, 20)
    users.pause_until(100)
    found = users.assert_lossless(droplet)
    assert shipping.status(droplet)["pending"] == []
    note(f"{found.requests} requests while another authority signed: {found.failed} failed")
