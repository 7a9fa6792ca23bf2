"""The user data for new droplets is what cloud-init takes. tests/soak boots a droplet with it."""

from __future__ import annotations

from tests.support.droplet import image
from tests.support.droplet.paths import REPOSITORY
from tests.support.droplet.site import Site

UNIT = "marketplace-first-converge.service"


def test_cloud_init_takes_the_user_data(site: Site) -> None:
    cloud = site.machine("cloud", image.build(site.client, "cloud", site.say), [], ["sleep", "infinity"])
    given = (REPOSITORY / "cloud-init/user-data.yaml").read_text()
    cloud.put("/given.yaml", given)
    assert "Valid schema" in cloud.run(["cloud-init", "schema", "--config-file", "/given.yaml"]).stdout
    cloud.put("/slip.yaml", given.replace("packages: [git]", "packages: {git: 1}"))
    assert not cloud.run(["cloud-init", "schema", "--config-file", "/slip.yaml"], check=False).ok
