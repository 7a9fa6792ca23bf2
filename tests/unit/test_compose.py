"""Compose projects: what is missing, stopped, left over, or waits for a restart."""

import pytest
from marketplace_compose import Container, Hold, Service, parse_hashes, parse_time, plan, services, unwell

WANTED = [Service("postgres", "postgres", "postgres:17", "aaa"), Service("redis", "redis", "redis:8", "bbb")]


def container(name="postgres", **changes):
    facts = {
        "service": name,
        "config_hash": {"postgres": "aaa", "redis": "bbb"}.get(name, ""),
        "image": {"postgres": "postgres:17", "redis": "redis:8"}.get(name, ""),
        "running": True,
        "health": "healthy",
        "started": 1000.0,
        "restarts": 0,
    }
    return Container(name=name, **{**facts, **changes})


def test_a_project_that_is_well_needs_nothing():
    made = plan(WANTED, [container(), container("redis")], {})
    assert (made.leftovers, made.missing, made.stopped, made.pending) == ((), (), (), {})


def test_missing_and_stopped_are_told_apart():
    made = plan(WANTED, [container("redis", running=False)], {})
    assert (made.missing, made.stopped) == (("postgres",), ("redis",))


def test_another_image_or_definition_waits_for_a_restart():
    made = plan(WANTED, [container(image="postgres:16"), container("redis", config_hash="old")], {})
    assert made.pending == {"postgres": "image postgres:16 -> postgres:17", "redis": "definition changed"}
    assert made.missing == ()


def test_a_stopped_container_is_started_as_it_is():
    made = plan(WANTED, [container(running=False, config_hash="old"), container("redis")], {})
    assert made.stopped == ("postgres",)
    assert made.missing == ()


def test_a_stopped_container_that_is_outdated_can_be_made_again():
    made = plan(WANTED, [container(running=False, image="postgres:16"), container("redis")], {})
    assert made.outdated == {"postgres": "image postgres:16 -> postgres:17"}
    assert made.pending == {"postgres": "image postgres:16 -> postgres:17"}


def test_a_stopped_container_reads_its_files_when_it_starts():
    stopped = container("redis", running=False)
    assert plan(WANTED, [container(), stopped], {"redis": {"/etc/redis.conf": 1001.0}}).pending == {}


@pytest.mark.parametrize(
    ("changed", "pending"), [(999.0, {}), (1001.0, {"redis": "/etc/redis.conf changed"})]
)
def test_a_file_read_at_start_counts_when_it_is_newer(changed, pending):
    made = plan(WANTED, [container(), container("redis")], {"redis": {"/etc/redis.conf": changed}})
    assert made.pending == pending


def test_what_a_killed_compose_left_is_found():
    made = plan(WANTED, [container("0123456789ab_postgres"), container("redis")], {})
    assert made.leftovers == ("0123456789ab_postgres",)
    assert made.missing == ("postgres",)


def test_what_an_operator_runs_is_no_leftover():
    others = [container("data-postgres-run-0123456789ab"), container("0123456789ab_other")]
    assert plan(WANTED, [container(), container("redis"), *others], {}).leftovers == ()


def test_what_is_at_a_provider_has_no_container_any_more():
    found = [container(), container("redis"), container("postgres-run", service="other")]
    made = plan(WANTED[1:], found, {}, frozenset({"postgres"}))
    assert (made.retired, made.missing) == (("postgres",), ())
    assert plan([], [], {}, frozenset({"postgres"})).retired == ()


def test_what_is_not_well_is_said():
    found = [container(health="starting"), container("redis", running=False, restarts=3)]
    assert unwell(WANTED, found) == {"postgres": "is starting", "redis": "does not run (restarted 3 times)"}
    assert unwell(WANTED, []) == {"postgres": "does not exist", "redis": "does not exist"}
    assert unwell(WANTED, [container(), container("redis", health="none")]) == {}


def test_docker_is_read():
    inspected = {
        "Name": "/postgres",
        "RestartCount": 2,
        "Config": {
            "Image": "postgres:17",
            "Labels": {"com.docker.compose.service": "postgres", "com.docker.compose.config-hash": "aaa"},
        },
        "State": {
            "Running": True,
            "Restarting": False,
            "StartedAt": "1970-01-01T00:16:40.123456789Z",
            "Health": {"Status": "healthy"},
        },
    }
    assert Container.parse(inspected) == container(started=1000.123456, restarts=2)
    inspected["State"]["Restarting"] = True
    assert not Container.parse(inspected).running


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
    ],
)
def test_times(text, seconds):
    assert parse_time(text) == seconds


def test_hashes_and_services():
    hashes = parse_hashes("postgres aaa\nredis bbb\n")
    document = {"services": {"postgres": {"container_name": "postgres", "image": "postgres:17"}}}
    assert services(document, hashes) == WANTED[:1]
    document["services"]["postgres"]["stop_grace_period"] = "900s"
    assert services(document, hashes)[0].stop_grace == 900
    with pytest.raises(ValueError, match="redis needs a container_name"):
        services({"services": {"redis": {"image": "redis:8"}}}, hashes)


def test_data_that_was_seen_and_is_gone_is_lost(tmp_path):
    hold = Hold("postgres", str(tmp_path / "data"), "17/PG_VERSION", str(tmp_path / "mark"))
    assert (hold.lost, hold.unmarked) == (False, False)
    hold.path.parent.mkdir(parents=True)
    hold.path.touch()
    assert (hold.lost, hold.unmarked) == (False, True)
    (tmp_path / "mark").touch()
    assert (hold.lost, hold.unmarked) == (False, False)
    hold.path.unlink()
    assert (hold.lost, hold.unmarked) == (True, False)
    (tmp_path / "mark").unlink()
    assert not hold.lost
