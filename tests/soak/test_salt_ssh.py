"""From a laptop: what its pipeline ships, and secrets that are replaced while their pillar is elsewhere."""

from __future__ import annotations

from tests.droplet.test_salt_ssh import (  # noqa: F401 - fixtures
    INTERRUPTED,
    OWN_TOKEN,
    PLAN,
    READY,
    SALT_SSH,
    Laptop,
    converged_target,
    laptop,
    own,
    pipeline,
    target,
)
from tests.support import shipping
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Site
from tests.support.load.state import SECRETS
from tests.support.waiting import seconds_until


def test_pipeline_ships_what_its_tag_says(
    laptop: Laptop,  # noqa: F811
    converged_target: Droplet,  # noqa: F811
    site: Site,
) -> None:
    site.backend("1.0.1")
    told = pipeline(
        laptop, converged_target, "1.0.1", READY, PLAN, "Converge", "Release", "How the droplet is"
    )
    assert "1.0.1" in told[PLAN].stdout
    assert "switch: blue -> green" in told["Release"].stderr
    record = shipping.history(converged_target, 1)[0]
    assert (record["version"], record["outcome"], record["by"]) == ("1.0.1", "live", "deploy")
    assert record["tree"] == converged_target.get("/srv/deploy/REVISION").decode().strip()
    assert shipping.shipped(laptop.salt_ssh("deploy.rollback", "soak=0"))["version"] == "1.0.0"


def test_new_secrets_from_the_laptop(
    laptop: Laptop,  # noqa: F811
    converged_target: Droplet,  # noqa: F811
    site: Site,
) -> None:
    """The pillar is here: the droplet asks for the states in between, and one that is cut off goes on."""
    names = ("webhook_secret", "postgres_app_password")
    before = {name: converged_target.get(f"{SECRETS}/{name}") for name in names}
    alone = call(converged_target, "settings.rotate", *names)
    assert (alone.returncode, alone.value["outcome"]) == (1, "refused")
    assert "salt-ssh TARGET settings.rotate" in alone.value["reason"]

    # The laptop is gone as soon as the first states are asked for.
    words = ["--roster-file=roster", "development", "settings.rotate", names[0], "--out=json"]
    cut = laptop.run("python3", "-c", INTERRUPTED, SALT_SSH, *words, check=False)
    assert cut.returncode == 130
    seconds_until(lambda: not holders(converged_target), 60)
    assert names[0] in str(shipping.status(converged_target)["pending"])

    bot = site.telegram(OWN_TOKEN)
    assert bot.ask("/start", chat_id=7401)
    answer = laptop.salt_ssh("settings.rotate", names[1])
    assert (answer.returncode, answer.value["outcome"]) == (0, "rotated"), answer
    assert answer.value["secrets"] == list(names)
    assert not [name for name in names if converged_target.get(f"{SECRETS}/{name}") == before[name]]
    assert bot.ask("/start", chat_id=7402)
    assert shipping.assert_sound(converged_target)["pending"] == []
    assert laptop.salt_ssh("state.apply", "test=True").changed == {}


def holders(droplet: Droplet) -> str:
    """Whoever replaces secrets on the droplet."""
    return droplet.run(["pgrep", "-f", "salt-call.*settings.rotate"], check=False).stdout
