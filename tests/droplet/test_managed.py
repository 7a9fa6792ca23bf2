"""PostgreSQL and Redis at a managed provider: moved there, released onto, away for a while, and backed up here.

Breaking migrations, the way back here and a fresh droplet are for `make soak`.
"""

from __future__ import annotations

from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site

GATE = "Ensure the settings are valid and written"
MOVED = "pillar={data_moved: true}"


def test_a_move_that_nobody_made_or_proved_changes_nothing(
    droplet: Droplet, site: Site, images: Images
) -> None:
    provider, local = site.provider(), pillar.local(site, images)
    provider.empty()
    settings = droplet.get("/etc/marketplace/settings.json")
    try:
        # Whoever does not prove who it is gets no password, and nothing changes.
        pillar.write(droplet, provider.pillar(local, authority=site.authority.certificate))
        droplet.run(["salt-call", "deploy.maintenance", "on"])
        refused = call(droplet, "state.apply", MOVED)
        assert "does not prove that it is db.test" in refused.failed[GATE]
        # Nor does a move that nobody says was made.
        pillar.write(droplet, provider.pillar(local))
        unsaid = call(droplet, "state.apply")
        assert "from this droplet to db.test:25060" in unsaid.failed[GATE]
        assert unsaid.changed == {}
        # Nor one that was said to be made, and was not.
        unmade = call(droplet, "state.apply", MOVED)
        assert "does not hold what the one of before does" in unmade.failed[GATE]
        assert droplet.get("/etc/marketplace/settings.json") == settings
    finally:
        pillar.write(droplet, local)
        droplet.run(["salt-call", "deploy.maintenance", "off"])
    assert call(droplet, "state.apply").failed == {}
