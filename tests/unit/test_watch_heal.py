"""Who is restarted because it hangs, and who is left alone."""

import pytest
from marketplace_consumption import Group
from marketplace_watch_heal import BUSY_SECONDS, MOST, WITHIN, Budget
from marketplace_watch_heal import cures as cures_of
from marketplace_watch_history import History

from tests.support.looks import NOW, container, history, look, silent, up

NAMES = {"postgres": "postgres", "redis": "redis", "backend": "backend-blue"}


def cures(seen):
    return cures_of(seen, history(seen))


def hung(service, seconds=12, said="L7TOUT", **changes):
    state = container(NAMES[service], **({"ailing": True} | changes.pop("state", {})))
    return look(checks={service: silent(seconds, said)}, with_containers={service: state}, **changes)


@pytest.mark.parametrize("service", NAMES)
@pytest.mark.parametrize("said", ["L4TOUT", "L6TOUT", "L7TOUT", "* L6TOUT"])
def test_alive_without_an_answer_is_restarted(service, said):
    found = cures(hung(service, said=said))
    assert [cure.service for cure in found] == [service]
    assert "no answer for 12 s" in found[0].why


@pytest.mark.parametrize(
    "seen",
    [
        look(),
        hung("redis", seconds=5),
        # An answer, if only that it is not ready: it replays its log, or waits for another.
        hung("postgres", said="L7RSP"),
        hung("backend", said="L7STS"),
        hung("redis", said="L4CON"),
        # One that could not save refuses PING too; ended, it would lose what it holds.
        hung("redis", said="L7RSP"),
        # Its own check, inside, still passes: the way to it is what hangs.
        hung("redis", state={"ailing": False}),
        # Docker restarts what ends.
        hung("redis", state={"status": "exited"}),
        hung("redis", state={"status": "paused"}),
        hung("redis", state={"started": "2023-11-14T22:13:05.1Z"}),
        look(
            checks={"redis": up(check_status="L7TOUT")},
            with_containers={"redis": container("redis", ailing=True)},
        ),
        look(containers=None, checks={"redis": silent(60)}),
    ],
)
def test_what_may_be_well_is_left_alone(seen):
    assert cures(seen) == []


def failing(said="L4CON", down=61, others=3600, **changes):
    """A backend that was well, and has failed its checks for so long, while PostgreSQL and Redis are up."""
    others = {name: up(lastchg=str(others)) for name in ("postgres", "redis")}
    state = container("backend-blue", **({"ailing": True} | changes.pop("state", {})))
    return look(
        checks={**others, "backend": silent(down, said)}, with_containers={"backend": state}, **changes
    )


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (failing(), "listened to nobody for 61 s"),
        (failing(state={"ailing": False, "health": "none"}), "listened to nobody"),
        (failing("L7STS"), "said for 61 s that it is not well"),
    ],
)
def test_a_backend_that_fails_for_good_while_all_it_needs_is_well_is_restarted(seen, words):
    assert [cure.service for cure in cures(seen)] == ["backend"]
    assert words in cures(seen)[0].why


@pytest.mark.parametrize(
    "seen",
    [
        failing(down=59),
        # What it needs has just come back.
        failing(others=59),
        # It has not been well since its start, be it the first one or the watchdog's.
        failing(state={"started": "2023-11-14T22:12:18.1Z"}),
        # Its own check, inside, passes, or has not said anything yet; or there is none, and it answers.
        failing(state={"ailing": False}),
        failing("L7STS", state={"ailing": False}),
        failing("L7STS", state={"ailing": False, "health": "none"}),
        failing(state={"status": "exited"}),
        # Somebody is at work.
        failing(releasing="release of 1.2.0"),
        failing(closed=("operator",)),
    ],
)
def test_a_backend_that_may_come_back_by_itself_is_left_alone(seen):
    assert cures(seen) == []


def test_a_release_has_the_backend_and_a_restore_the_database():
    assert cures(hung("backend", releasing="release of 1.2.0")) == []
    # A migration may keep the disk busy for longer than others wait.
    for service in ("postgres", "redis"):
        assert cures(hung(service, seconds=BUSY_SECONDS - 1, releasing="release of 1.2.0")) == []
        assert cures(hung(service, seconds=BUSY_SECONDS, releasing="release of 1.2.0")) != []
    assert cures(hung("postgres", at_backups="backup.restore to=live")) == []
    assert cures(hung("backend", at_backups="backup.restore to=live")) == []
    # Who has closed the edge may be at work on the backend; PostgreSQL and Redis are restarted all the same.
    for keeper in ("operator", "release"):
        assert cures(hung("backend", closed=(keeper,))) == []
        assert cures(hung("postgres", closed=(keeper,))) != []
    assert cures(hung("postgres", at_backups="backup.create")) != []


@pytest.mark.parametrize(("share", "patience"), [(0.4, 6), (0.9, BUSY_SECONDS)])
def test_who_is_busy_is_given_more_time(share, patience):
    for seconds in (patience - 1, patience):
        remembered = History()
        for step in range(4):
            spent = {"redis": Group(share * 0.25 * 3 * step, 0.25, 1, 2)}
            seen = hung("redis", seconds=seconds, at=NOW + 3 * step, groups=spent)
            remembered.note(seen)
        assert bool(cures_of(seen, remembered)) == (seconds == patience)


def test_a_backend_that_may_wait_for_others_is_left_alone():
    state = {"backend": container("backend-blue", ailing=True)}
    for row in (silent(12), up(lastchg="19"), up(status="DOWN", check_status="L4CON")):
        seen = look(checks={"backend": silent(60), "redis": row}, with_containers=state)
        assert cures(seen) == []
    back = look(checks={"backend": silent(60), "redis": up(lastchg="20")}, with_containers=state)
    assert [cure.service for cure in cures(back)] == ["backend"]


def test_a_service_without_a_check_of_its_own_is_judged_by_the_edge():
    assert cures(hung("backend", state={"health": "none", "ailing": False})) != []


def test_a_proxy_that_hangs_is_restarted():
    assert [cure.service for cure in cures(look(statistics=None, silent=9.0))] == ["edge"]
    assert cures(look(statistics=None, silent=7.0)) == []


def test_a_proxy_that_somebody_stopped_or_that_can_not_start_is_left_alone():
    assert cures(look(statistics=None, silent=600.0, edge_up=False)) == []


def test_nobody_is_restarted_for_ever():
    budget = Budget()
    for number in range(MOST):
        assert budget.used("redis", NOW) == number
        budget.spend("redis", NOW)
    assert budget.used("redis", NOW) == MOST
    assert budget.used("postgres", NOW) == 0
    assert Budget(budget.spent).used("redis", NOW + WITHIN) == MOST
    assert budget.used("redis", NOW + WITHIN + 1) == 0


def starved(service, **changes):
    error = "write /var/lib/docker/containers/x/.tmp-config.v2.json1: no space left on device"
    state = container(NAMES[service], status="exited", exit_code=137, error=error)
    return look(checks={service: silent(3, "L4CON")}, with_containers={service: state}, **changes)


@pytest.mark.parametrize("service", NAMES)
def test_whom_docker_had_no_room_to_start_is_started_in_what_was_kept_back(service):
    (cure,) = cures(starved(service))
    assert (cure.service, cure.room) == (service, True)
    assert "the disk is full" in cure.why


def test_so_is_the_worker():
    worker = container("worker-blue", status="exited", exit_code=137, error="x: no space left on device")
    (cure,) = cures(look(with_containers={"worker": worker}))
    assert (cure.service, cure.room) == ("worker", True)
    assert cures(look(with_containers={"worker": worker}, releasing="a release")) == []


def test_whom_somebody_stopped_or_works_at_is_left_on_a_full_disk_as_well():
    state = container("redis", status="exited", exit_code=137)
    assert cures(look(checks={"redis": silent(3, "L4CON")}, with_containers={"redis": state})) == []
    assert cures(starved("backend", releasing="a release")) == []
    assert cures(starved("postgres", at_backups="backup.restore to=live")) == []
