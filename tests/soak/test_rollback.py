"""Going back as far as images are kept, and no further without a registry."""

from __future__ import annotations

from collections.abc import Callable

from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.site import Site
from tests.support.load.running import Load

KEPT = 5
"""The setting's default."""
VERSIONS = tuple(f"1.1.{number}" for number in range(10, 10 + KEPT + 2))


def test_back_by_as_many_releases_as_are_kept_with_the_registry_down(
    droplet: Droplet, site: Site, load: Callable[..., Load]
) -> None:
    records = []
    users = load(20, 1.0)
    for version in VERSIONS:
        site.backend(version)
        records.append(shipping.shipped(shipping.release(droplet, version, "soak=0")))
    pruned, oldest = records[0], records[1]
    site.registry().container.stop()
    try:
        refused = shipping.rollback(droplet, pruned["release"])
        assert refused.value["outcome"] == "refused", refused.value
        assert "is no longer here, and could not be pulled" in refused.value["reason"]
        shipping.assert_sound(droplet, VERSIONS[-1])
        back = shipping.shipped(shipping.rollback(droplet, oldest["release"]))
        assert (back["version"], back["image"]) == (oldest["version"], oldest["image"])
    finally:
        site.registry()
    # A record is never pruned: with the registry, its image can be had again.
    assert shipping.shipped(shipping.rollback(droplet, pruned["release"]))["version"] == VERSIONS[0]
    shipping.assert_everywhere(droplet, VERSIONS[0])
    users.assert_lossless(droplet)
