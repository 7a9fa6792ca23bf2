"""The example backend's contract where that takes long: services that are away, locks, deadlines and spoilt versions.

The rest, with the stack that both use, is in tests/functional/test_example_backend.py.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from marketplace_migrations import parse_plan

from tests.support.backend_fixtures import assert_not_ready, post, update
from tests.support.backend_stack import Backend, Stack, wait_until
from tests.support.droplet import image


def test_it_starts_before_its_database_and_its_redis(empty: Stack) -> None:
    empty.migrate(empty.image())
    empty.postgres.container.stop()
    empty.redis.container.stop()
    blue = empty.start(empty.image(), "blue")
    try:
        wait_until(lambda: blue.page("/health/live")[0] == 200, "alive", 90)
        status, body = blue.page("/health/ready")
        assert (status, body["status"]) == (503, "not ready")
        assert all(body["checks"][name] != "ok" for name in ("database", "redis"))
    finally:
        empty.redis.container.start()
        empty.postgres.container.start()
    empty.wait_postgres()
    blue.wait_ready()
    blue.wait_healthy()


def test_sigterm_waits_for_a_slow_request(blue: Backend, stack: Stack) -> None:
    # The table is locked for three seconds, so the update is at work when the signal comes.
    locked = threading.Thread(
        target=stack.sql,
        args=("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(3); COMMIT;",),
    )
    locked.start()
    held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation = 'users'::regclass"
    wait_until(lambda: stack.sql(held) == "1", "the lock")
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(post, blue, update("/start"))
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        wait_until(lambda: stack.sql(waits) != "0", "the update waits")
        code, seconds = blue.stop()
        assert slow.result()[0] == 200
    locked.join()
    assert (code, seconds > 1) == (0, True)


def test_a_migration_waits_briefly_for_a_busy_table_and_tries_again(blue: Backend, stack: Stack) -> None:
    migration = stack.create(
        stack.image("1.1.0"), "migration", ["python3", "-m", "marketplace_bot.migrate", "upgrade"]
    )
    with stack.session("BEGIN; LOCK TABLE listings IN ACCESS SHARE MODE;"):
        migration.container.start()
        wait_until(lambda: b"a table is in use, attempt 1" in migration.container.logs(), "the first attempt")
        assert blue.ready
    assert migration.container.wait()["StatusCode"] == 0
    assert stack.revision == "0002"


def test_migrations_are_taken_back_as_far_as_they_are_reversible(empty: Stack) -> None:
    plan, down, newest = "marketplace.migrate.plan", "marketplace.migrate.down", empty.image("1.4.0")
    code, output = empty.migrate(newest, plan)
    assert (code, [migration.revision for migration in parse_plan(output)][-1]) == (0, "0005")
    assert empty.migrate(newest) == (0, "schema nothing -> 0005")
    assert empty.migrate(newest, down, more=["0004"]) == (0, "schema 0005 -> 0004")
    username = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'username'"
    assert empty.sql(username) == "1"
    code, output = empty.migrate(newest, down, more=["0002"])
    assert (code, empty.revision) == (1, "0004")
    assert "0004 is not reversible, it has lost the usernames of all users" in output
    # The image of 1.2.0 has no 0004, so it can't take it back either.
    middle = empty.image("1.2.0")
    code, output = empty.migrate(middle, down, more=["0002"])
    assert (code, "the schema is at 0004, which this image does not have" in output) == (1, True)
    empty.clear()
    assert empty.migrate(middle)[0] == 0
    assert empty.migrate(middle, down, more=["0002"]) == (0, "schema 0003 -> 0002")
    assert empty.migrate(middle, down, more=["0002"]) == (0, "schema 0002 -> 0002")
    assert empty.migrate(middle, down, more=["base"]) == (0, "schema 0002 -> nothing")
    assert empty.sql("SELECT to_regclass('users') IS NULL") == "t"
    assert empty.migrate(middle) == (0, "schema nothing -> 0003")


def test_a_breaking_migration_breaks_the_version_before_and_no_other(empty: Stack) -> None:
    before, newest = empty.image("1.3.0"), empty.image("1.4.0")
    empty.migrate(empty.image("1.2.0"))
    empty.sql("INSERT INTO users (id, name, username) VALUES (7, 'Ann', 'ann')")
    assert empty.migrate(before) == (0, "schema 0003 -> 0004")
    assert empty.sql("SELECT username IS NULL FROM users") == "t"
    blue = empty.start(before, "blue")
    blue.wait_ready()
    assert empty.migrate(newest) == (0, "schema 0004 -> 0005")
    wait_until(lambda: not blue.ready, "not ready")
    assert "username" in blue.page("/health/ready")[1]["checks"]["database"]
    green = empty.start(newest, "green")
    green.wait_ready()
    assert post(green, update("/start", 8))[1]["text"].startswith("Welcome, Ann!")
    # Taken back, both work.
    assert empty.migrate(newest, "marketplace.migrate.down", more=["0004"])[0] == 0
    wait_until(lambda: blue.ready, "ready again")
    assert green.ready
    assert post(green, update("/start", 9))[1]["text"].startswith("Welcome, Ann!")


def test_a_migration_ends_at_its_deadline_and_leaves_nothing(blue: Backend, stack: Stack) -> None:
    slow = stack.image("1.0.1", "migration-slow")
    code, output = stack.migrate(slow, MIGRATION_TIMEOUT_SECONDS="1")
    assert (code, "statement timeout" in output) == (1, True)
    locks = stack.image("1.0.1", "migration-locks")
    with stack.session("BEGIN; LOCK TABLE users IN ACCESS SHARE MODE;"):
        code, output = stack.migrate(locks, MIGRATION_TIMEOUT_SECONDS="8")
    assert (code, "lock timeout" in output, "attempt 1" in output) == (1, True, False)
    assert stack.revision == "0001"
    assert stack.sql("SELECT to_regclass('slow') IS NULL AND to_regclass('locks') IS NULL") == "t"
    assert blue.ready


@pytest.mark.parametrize("variant", ["crash", "never-ready"])
def test_spoilt_versions_are_not_ready(empty: Stack, variant: str) -> None:
    assert_not_ready(empty, variant)


def test_versions_that_are_spoilt_where_they_run(empty: Stack) -> None:
    empty.migrate(empty.image())
    hungry = empty.start(empty.image("1.0.1", "out-of-memory"), "hungry")
    astray = empty.start(empty.image("1.0.1", "wrong-port"), "astray")
    # By the kernel: on some hosts Docker is not told that it was for the memory.
    assert hungry.container.wait(timeout=60)["StatusCode"] == 137
    wait_until(lambda: any(line["message"] == "started" for line in astray.lines()), "started")
    assert astray.page("/health/live")[0] == 0
    needy = empty.image("1.0.1", "needs-variable", ENVIRONMENT_EXTRA="PAYMENT_KEY")
    asked = empty.client.images.get(needy).labels["marketplace.environment"].split()
    assert (asked[0], asked[-1]) == ("DATABASE_HOST", "PAYMENT_KEY")
    without = empty.start(needy, "without")
    assert without.container.wait(timeout=60)["StatusCode"] == 1
    assert "PAYMENT_KEY is not set" in without.lines()[-1]["exception"]
    foreign = empty.start(image.foreign(empty.client, needy), "foreign")
    assert foreign.container.image.attrs["Architecture"] == "arm64"
    assert foreign.container.image.labels == empty.client.images.get(needy).labels
    assert foreign.container.wait(timeout=60)["StatusCode"] != 0
    assert b"exec format error" in foreign.container.logs()


def test_versions_that_spoil_after_a_while(empty: Stack) -> None:
    empty.migrate(empty.image())
    wrong = empty.start(empty.image("1.0.1", "errors-later"), "wrong")
    ill = empty.start(empty.image("1.0.1", "health-fails-later"), "ill")
    for backend in (wrong, ill):
        backend.wait_ready()
    assert post(wrong, update("/start"))[0] == 200
    wait_until(lambda: not ill.ready, "ill", 20)
    assert post(ill, update("/start"))[0] == 200
    assert post(wrong, update("/start"))[0] == 500
    assert wrong.ready


def test_a_bug_keeps_the_update_until_a_good_version_takes_it(empty: Stack) -> None:
    empty.migrate(empty.image())
    bad = empty.start(empty.image("1.0.1", "failing-update"), "green")
    bad.wait_ready()
    empty.attach(bad)
    update_id = empty.telegram.say("/start", 5)["update_id"]
    wait_until(lambda: empty.telegram.stats()["attempts"].get("500", 0) >= 2, "two failures")
    (failure, *_) = (line for line in bad.lines() if line["level"] == "error")
    assert failure["update_id"] == update_id
    assert "RuntimeError: this variant fails on every message" in failure["exception"]
    good = empty.start(empty.image(), "blue")
    good.wait_ready()
    empty.attach(good)
    assert empty.telegram.messages(5, contains="Welcome, Ann!", wait=60)
