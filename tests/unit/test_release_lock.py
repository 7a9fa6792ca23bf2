"""One release at a time: who comes meanwhile is refused, or waits."""

from tests.simulation.droplet import Droplet
from tests.simulation.gate import Fault, Plan
from tests.simulation.images import DIGEST_3, Image
from tests.simulation.operations import beside, run, shipping
from tests.support.releases import ship


def test_somebody_else_holds_the_lock(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    seen = []

    def ask(chance: object) -> None:
        seen.append(beside(droplet, shipping(droplet, "1.1.0", by="bob")).answer)

    droplet.happenings["ask"] = ask
    record = run(
        droplet, shipping(droplet, "1.1.0"), Plan(by_name={"reached wait:start": Fault("ask")})
    ).record
    assert record.outcome == "live"
    assert seen[0].outcome == "refused"
    assert "release of 1.1.0 by alice" in seen[0].reason
    assert "now at step wait" in seen[0].reason


def test_somebody_waits_for_the_lock(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    waiting = []
    droplet.push("1.2.0", Image(DIGEST_3))

    def ask(chance: object) -> None:
        waiting.append(beside(droplet, shipping(droplet, "1.2.0", by="bob", wait=300)))

    droplet.happenings["ask"] = ask
    plan = Plan(by_name={"reached wait:start": Fault("ask")})
    assert run(droplet, shipping(droplet, "1.1.0"), plan).record.outcome == "live"
    assert waiting[0].answer.outcome == "live"
    assert [record.version for record in droplet.world.ledger.newest()] == ["1.2.0", "1.1.0", "1.0.0"]
