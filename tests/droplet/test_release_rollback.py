"""Going back: by one release, with its settings and its schema, and without any registry.

By several, as far as images are kept, and by force is for `make soak`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support import shipping
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.load.running import Load
from tests.support.load.state import sql
from tests.support.worker import WORKER

FIRST = "1.1.1"
SCHEMA = ["0002"]
"""What it brings."""
WITH_WORKER = ("1.2.0", "1.2.1")


def apply(droplet: Droplet, wanted: dict[str, Any], *only: str) -> None:
    """Converge with another pillar: the whole tree, or ``only`` an SLS where that is all there is to it."""
    pillar.write(droplet, wanted)
    assert call(droplet, "state.apply", *only).failed == {}


def variable(droplet: Droplet, name: str) -> str:
    """A variable of the backend that is live."""
    backend = f"backend-{shipping.live_colour(droplet)}"
    return droplet.run(["docker", "exec", backend, "printenv", name]).stdout.strip()


def step(record: dict[str, Any], name: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = next((item for item in record["steps"] if item["name"] == name), None)
    return found


def begin(droplet: Droplet, site: Site) -> dict[str, Any]:
    """A release of 1.1, with the schema that it brings; its record's id and the like."""
    site.backend(FIRST)
    # A droplet that only has its first release has not come as far as that.
    if all(record["schema"]["after"] != SCHEMA for record in shipping.history(droplet)):
        shipping.ensure_live(droplet, FIRST)
    shipping.ensure_schema(droplet, SCHEMA)
    shipping.ensure_live(droplet, FIRST)
    live: dict[str, Any] = shipping.assert_sound(droplet, FIRST)["live"]
    return live


def origin(droplet: Droplet, live: dict[str, Any]) -> str:
    """The release that going back to ``live`` goes back to: what was live may itself have been gone back to."""
    records = {record["release"]: record for record in shipping.history(droplet)}
    return str(records[live["release"]]["target"] or live["release"])


def assert_taken_back(droplet: Droplet, record: dict[str, Any]) -> None:
    """A rollback from 1.2 to 1.1 has taken the migration between them back."""
    assert record["schema"] == {"before": ["0003"], "after": ["0002"]}
    taken_back = step(record, "downgrade")
    assert taken_back is not None
    assert taken_back["outcome"] == "done", taken_back
    assert sql(droplet, "SELECT to_regclass('worker_runs') IS NULL") == "t"


def test_back_by_one_release_with_its_settings_and_schema_and_the_registry_down(
    droplet: Droplet, site: Site, images: Images, load: Callable[..., Load]
) -> None:
    site.backend(WITH_WORKER[0], WORKER=WORKER)
    first = begin(droplet, site)
    level = variable(droplet, "LOG_LEVEL")
    assert level != "warning"
    users = load(20, 0.5)
    right = pillar.local(site, images)
    changed = right | {"backend": {**right["backend"], "environment": {"LOG_LEVEL": "warning"}}}
    apply(droplet, changed, "marketplace.gate")
    try:
        second = shipping.shipped(shipping.release(droplet, WITH_WORKER[0], "soak=0"))
        assert second["schema"] == {"before": ["0002"], "after": ["0003"]}
        assert variable(droplet, "LOG_LEVEL") == "warning"
        assert f"worker-{second['colour']}" in shipping.containers(droplet)
        site.registry().container.stop()
        try:
            back = shipping.shipped(shipping.rollback(droplet, "soak=0"))
        finally:
            site.registry()
        # The settings are that release's, whatever pillar says today.
        assert variable(droplet, "LOG_LEVEL") == level
    finally:
        apply(droplet, right, "marketplace.gate")
    assert (back["kind"], back["target"]) == ("rollback", origin(droplet, first))
    assert (back["version"], back["image"]) == (FIRST, first["image"])
    assert_taken_back(droplet, back)
    shipping.assert_everywhere(droplet, FIRST)
    shipping.assert_sound(droplet, FIRST)
    users.assert_lossless(droplet)
