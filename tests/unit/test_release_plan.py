"""The plan of a release: it says what would be done, and changes nothing."""

from tests.simulation.droplet import Droplet
from tests.support.releases import kill_at, planned, ship


def test_plan_says_what_would_be_done_and_changes_nothing(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    before = droplet.state()
    plan = planned(droplet, "1.1.0")
    assert (plan["would"], plan["version"], plan["from"], plan["colour"]) == (
        "release",
        "1.1.0",
        "1.0.0",
        "green",
    )
    assert plan["schema"] == ["0001"]
    assert [(item["revision"], item["kind"], item["reversible"]) for item in plan["migrations"]] == [
        ("0002", "expand", True)
    ]
    assert plan["steps"][:4] == ["preflight", "pull", "schema", "migrate"]
    after = droplet.state()
    assert (after["containers"], after["maps"], after["databases"]) == (
        before["containers"],
        before["maps"],
        before["databases"],
    )
    assert not [name for name in after["images"] if name.startswith("keep:") and name not in before["images"]]
    assert planned(droplet, "1.0.0")["would"] == "unchanged"
    refused = planned(droplet, "9.9.9")
    assert refused["would"] == "refuse"
    assert "could not be pulled" in refused["refusals"][0]


def test_plan_while_something_is_unfinished_says_so(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    kill_at(droplet, "1.1.0", "start:end")
    plan = planned(droplet, "1.1.0")
    assert plan["would"] == "refuse"
    assert "deploy.resume" in plan["refusals"][0]
