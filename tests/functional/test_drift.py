"""health.drift by Salt's own loaders: what it says before anybody has looked, and what it refuses."""

import salt.loader
from marketplace_durable import to_json, write_atomic

from tests.support.salt_host import Host


def test_a_droplet_that_is_not_converged_is_not_looked_at(host: Host) -> None:
    answer, code = host.call("health.drift", now=True)
    assert (answer["outcome"], code) == ("refused", 1)
    assert "run state.apply" in answer["reason"]


def test_what_is_shown_is_what_the_last_look_has_found(host: Host) -> None:
    host.apply_settings()
    answer, code = host.call("health.drift")
    assert (code, answer["differences"]) == (1, [])
    assert "nobody has looked yet" in answer["drift"]
    well = {
        "looked": "2026-11-25T05:30:00+00:00",
        "seconds": 6,
        "differences": [],
        "pending": [],
        "trouble": [],
    }
    write_atomic(host.paths.drift, to_json(well))
    answer, code = host.call("health.drift")
    assert (answer["drift"], code) == ("none", 0)
    shown = salt.loader.outputters(host.options)["drift_lines"]
    assert shown({"local": answer}).startswith("drift: none\n")
    assert "outcome:" in shown({"local": {"outcome": "refused"}})
    answer, code = host.call("health.drift", later=True)
    assert (answer["outcome"], code) == ("refused", 1)
