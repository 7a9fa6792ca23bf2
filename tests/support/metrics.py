"""Prometheus on a droplet: turned on and off, and what it says."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import Answer, call
from tests.support.droplet.site import Images, Site

FULL: dict[str, Any] = {"monitoring": {"strength": "full"}}
# What 4 GB have no room for beside it.
_LESS = {"limits": {"memory": "384M"}}


def turn(droplet: Droplet, site: Site, images: Images, on: bool) -> Answer:
    """What state.apply says to strength full, or to the default."""
    local = pillar.local(site, images)
    if on:
        local |= FULL | {"backend": local["backend"] | _LESS}
    pillar.write(droplet, local)
    return call(droplet, "state.apply")


def ask(droplet: Droplet, path: str) -> Any:
    """The data of an answer of Prometheus' API, None where it does not answer."""
    url = f"http://127.0.0.1:9090/api/v1/{path}"
    answer = droplet.run(["curl", "--silent", "--max-time", "5", url], check=False).stdout
    return json.loads(answer)["data"] if answer else None


def value(droplet: Droplet, query: str) -> float | None:
    """The value of a query's first series now, None where there is none."""
    found = (ask(droplet, f"query?query={quote(query)}") or {"result": []})["result"]
    return float(found[0]["value"][1]) if found else None


def down(droplet: Droplet) -> dict[str, str]:
    """Targets that give no metrics, by job, with why not; those that were not asked yet are among them."""
    found = ask(droplet, "targets?state=active") or {"activeTargets": []}
    targets = {one["labels"]["job"]: one for one in found["activeTargets"]}
    if not targets:
        return {"prometheus": "it does not answer"}
    return {name: one["lastError"] or one["health"] for name, one in targets.items() if one["health"] != "up"}
