"""When something that is found becomes something that people hear of, and when it is over."""

from marketplace_conditions import Condition, Finding, Timing, Tracker


def finding(name="service.down", service="redis", **more):
    return Finding(name, service, "critical", "it is down", "", "look", **more)


def tracker(after=10, clear=20, known=()):
    return Tracker(lambda _: Timing(after, clear), known)


def test_what_lasts_is_told_from_its_beginning_on():
    tracked = tracker()
    for now in (100, 103, 109):
        tracked.update([finding()], now)
        assert tracked.active == {}
    tracked.update([finding()], 110)
    assert tracked.active["service.down/redis"].since == 100


def test_what_is_too_bad_to_wait_is_told_at_once():
    tracked = tracker()
    tracked.update([finding(at_once=True)], 100)
    assert tracked.active["service.down/redis"].since == 100


def test_what_goes_by_is_never_told():
    tracked = tracker()
    tracked.update([finding()], 100)
    tracked.update([], 103)
    tracked.update([finding()], 111)
    assert tracked.active == {}


def test_who_knows_the_beginning_better_is_believed():
    tracked = tracker()
    tracked.update([finding(since=85)], 100)
    assert tracked.active["service.down/redis"].since == 85


def test_it_is_over_only_when_it_stays_away():
    tracked = tracker()
    tracked.update([finding(since=0)], 100)
    tracked.update([], 119)
    assert len(tracked.active) == 1
    tracked.update([finding()], 120)
    tracked.update([], 139)
    assert tracked.active["service.down/redis"].since == 0
    tracked.update([], 140)
    assert tracked.active == {}


def test_services_and_names_are_apart():
    tracked = tracker(after=0)
    tracked.update([finding(), finding(service="postgres"), finding("resource.disk")], 1)
    assert len(tracked.active) == 3


def test_what_was_known_goes_on_in_another_process():
    first = tracker(after=0)
    first.update([finding()], 100)
    kept = [condition.to_dict() for condition in first.active.values()]
    again = tracker(after=10, known=[Condition.from_dict(raw) for raw in kept])
    again.update([finding()], 105)
    assert again.active["service.down/redis"].since == 100
