"""Releases that are refused, or fail before or behind the switch: what was live is live again."""

import pytest
from marketplace_container import DockerError
from marketplace_durable import to_json

from tests.simulation.droplet import Droplet
from tests.simulation.images import DIGEST_3, LABELS, Change, Image, chain
from tests.support.releases import broken, kinds, ship

TWO = chain("0001", "0003")


@pytest.mark.parametrize(
    ("image", "step", "words"),
    [
        (Image(DIGEST_3, behaviour="exits"), "wait", "exits on start (exit code 3)"),
        (Image(DIGEST_3, behaviour="exits"), "wait", "the last words of backend-green"),
        (Image(DIGEST_3, behaviour="oom"), "wait", "more than its memory limit of 256 MiB"),
        (Image(DIGEST_3, behaviour="never_ready"), "wait", "did not become ready within 30 s (HTTP 503"),
        (Image(DIGEST_3, TWO, migration="fails"), "migrate", "relation already exists"),
        (Image(DIGEST_3, TWO, migration="lies"), "migrate", "reported success"),
        (Image(DIGEST_3, TWO, migration="hangs"), "migrate", "took longer than 70 s"),
    ],
)
def test_failure_before_the_switch_leaves_live_as_it_was(
    droplet: Droplet, image: Image, step: str, words: str
) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", image)
    record = ship(droplet, "2.0.0")
    assert record.outcome == "failed"
    assert record.reason.startswith(f"{step}: ")
    assert words in record.reason
    assert droplet.live == droplet.edge.runtime == "blue"
    assert droplet.running == {"backend-blue"}
    assert "migration" not in droplet.docker.there
    assert droplet.database.content.heads == ["0001"]
    assert droplet.world.journal.read() is None
    assert kinds(droplet) == ["release.live", "release.failed"]
    assert droplet.users.lost == []


def _no_data_services(droplet: Droplet) -> None:
    droplet.docker.there["redis"].status = "exited"


def _half_restored(droplet: Droplet) -> None:
    droplet.docker.there["postgres"].status = "exited"
    begun = {"by": "bob", "started": "2026-11-25T12:00:00+00:00", "time": None}
    droplet.disk.place(droplet.paths.restore, to_json(begun))


def _no_database(droplet: Droplet) -> None:
    droplet.database.answers = False


def _no_room(droplet: Droplet) -> None:
    droplet.host.free_bytes = 1 << 20


def _hook_says_no(droplet: Droplet) -> None:
    droplet.settings["backend"]["hooks"]["before"] = [["/usr/local/bin/may-i"]]
    droplet.host.commands["/usr/local/bin/may-i"] = 2


@pytest.mark.parametrize(
    ("image", "trouble", "step", "words"),
    [
        (Image(DIGEST_3, labels={}), None, "pull", "label marketplace.contract is missing"),
        (Image(DIGEST_3, has_healthcheck=False), None, "pull", "no HEALTHCHECK"),
        (Image(DIGEST_3, architecture="arm64"), None, "pull", "is built for arm64, this droplet is amd64"),
        (Image(DIGEST_3, labels=LABELS | {"marketplace.environment": "PAYMENT_KEY"}), None, "pull", "PAYMENT_KEY"),
        (None, None, "pull", "could not be pulled"),
        (Image(DIGEST_3), _no_data_services, "preflight", "redis does not run (exited)"),
        (Image(DIGEST_3), _half_restored, "preflight", "(exited): a restore that bob began"),
        (Image(DIGEST_3), _no_database, "preflight", "PostgreSQL cannot be asked"),
        (Image(DIGEST_3), _no_room, "preflight", "backend:disk_reserve"),
        (Image(DIGEST_3), _hook_says_no, "before", "may-i failed with exit code 2"),
        (Image(DIGEST_3, chain("0001", Change("0009", breaking=True))), None, "schema", "with maintenance=True"),
    ],
)  # fmt: skip
def test_refused_before_anything_is_changed(
    droplet: Droplet, image: Image | None, trouble, step: str, words: str
) -> None:  # type: ignore[no-untyped-def]
    ship(droplet, "1.0.0")
    if image:
        droplet.push("2.0.0", image)
    if trouble:
        trouble(droplet)
    before = droplet.state()
    record = ship(droplet, "2.0.0")
    assert record.outcome == "refused"
    assert record.reason.startswith(f"{step}: ")
    assert words in record.reason
    assert len(droplet.world.ledger.ids()) == 1
    after = droplet.state()
    assert (after["maps"], after["containers"]) == (before["maps"], before["containers"])
    assert after["databases"] == before["databases"]
    assert not [name for name in after["images"] if name.startswith("keep:") and name not in before["images"]]
    assert kinds(droplet) == ["release.live", "release.refused"]


def test_failure_behind_the_switch_goes_back(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))
    record = ship(droplet, "2.0.0")
    assert record.outcome == "rolled_back"
    assert "verify: behind the edge release another answers" in record.reason
    assert droplet.live == droplet.edge.runtime == "blue"
    assert droplet.running == {"backend-blue"}
    assert {step.name: step.outcome for step in record.steps}["switch"] == "undone"
    assert droplet.users.lost == []


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        ("errors_later", "requests failed (5xx)"),
        ("crashes_later", "backend-green is restarting"),
    ],
)
def test_alarm_in_the_soak_goes_back(droplet: Droplet, behaviour: str, words: str) -> None:
    ship(droplet, "1.0.0")
    droplet.push("2.0.0", Image(DIGEST_3, behaviour=behaviour))
    record = ship(droplet, "2.0.0")
    assert record.outcome == "rolled_back"
    assert record.reason.startswith("soak: ")
    assert words in record.reason
    assert droplet.live == droplet.edge.runtime == "blue"
    assert droplet.running == {"backend-blue"}


def test_telegram_that_has_errors_since_the_switch_goes_back(droplet: Droplet) -> None:
    ship(droplet, "1.0.0")
    later = droplet.clock.time().timestamp() + 60
    error = {"last_error_date": later, "last_error_message": "Bad Gateway"}
    droplet.telegram.said = [{"pending_update_count": 2}, error | {"pending_update_count": 50}]
    record = ship(droplet, "1.1.0")
    assert record.outcome == "rolled_back"
    assert "Telegram reports 'Bad Gateway', 50 updates wait there" in record.reason


def test_telegram_that_is_away_is_no_alarm(droplet: Droplet) -> None:
    droplet.telegram.said = [None]
    assert ship(droplet, "1.0.0").outcome == "live"


def test_soak_that_is_not_wanted_is_left_out(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_3, behaviour="errors_later"))
    record = ship(droplet, "2.0.0", soak=0)
    assert record.outcome == "live"
    assert next(step for step in record.steps if step.name == "soak").detail == "not asked for"


def test_first_release_that_fails_behind_the_switch_leaves_nothing_live(droplet: Droplet) -> None:
    droplet.push("2.0.0", Image(DIGEST_3, behaviour="wrong_version"))
    assert ship(droplet, "2.0.0").outcome == "rolled_back"
    assert droplet.live is None
    assert droplet.edge.runtime == "none"
    assert droplet.running == set()


def test_a_bug_in_a_step_is_a_failure_like_any_other(
    droplet: Droplet, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(droplet, "1.0.0")
    monkeypatch.setattr(droplet.docker, "start_project", lambda *args, **kwargs: {}["no such key"])
    record = ship(droplet, "1.1.0")
    assert record.outcome == "failed"
    assert "no such key" in record.reason
    assert droplet.live == "blue"


def test_docker_that_is_away_refuses(droplet: Droplet, monkeypatch: pytest.MonkeyPatch) -> None:
    ship(droplet, "1.0.0")
    monkeypatch.setattr(droplet.docker, "containers", broken(DockerError("docker does not answer")))
    record = ship(droplet, "1.1.0")
    assert "docker does not answer" in record.reason
    assert droplet.live == "blue"
