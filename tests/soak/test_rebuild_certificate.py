"""A rebuilt droplet serves the certificate that the lost one had: its authority isn't even asked."""

from __future__ import annotations

from collections.abc import Callable

from tests.droplet.test_certificate import acme, served  # noqa: F401 - a fixture
from tests.support import backups
from tests.support.droplet import pillar
from tests.support.droplet.acme import DIRECTORY, Acme
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.droplet.storage import Storage
from tests.support.waiting import seconds_until


def test_it_comes_back_while_its_authority_is_away(
    copied: Droplet,
    acme: Acme,  # noqa: F811
    site: Site,
    images: Images,
    storage: Storage,
    note: Callable[[str], None],
) -> None:
    wanted = backups.copied_to(storage, pillar.local(site, images))
    pillar.write(copied, wanted | {"edge": {"certificate": DIRECTORY, "root": acme.root()}})
    assert call(copied, "state.apply").failed == {}
    before = served(copied)
    backups.taken(copied)
    seconds_until(lambda: call(copied, "backup.ship").returncode == 0, 60)
    key = copied.get("/etc/marketplace/secrets/backup_key")
    acme.stop()
    copied.container.pause()
    found = site.droplet("found")
    try:
        found.put_tree()
        done = backups.rebuild(found, storage, key)
        assert done.ok, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert served(found) == before
        assert call(found, "state.apply").changed == {}
        status = call(found, "certificate.status")
        assert (status.returncode, status.value["problem"]) == (0, None)
        note(f"rebuilt in {done.seconds:.0f} s with the certificate {before.strip()}, the authority stopped")
    finally:
        found.destroy()
        copied.container.unpause()
        acme.start()
        copied.run(["rm", "-f", "/var/lib/marketplace/webhook.json"])
