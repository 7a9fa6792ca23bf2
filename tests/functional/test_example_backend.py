"""The example backend keeps the application contract: in its image, against real PostgreSQL and Redis.

The faults are real ones: services are killed, the process is told to stop while it works, migrations meet locks.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from typing import Any

import pytest
from marketplace_migrations import parse_plan

from tests.support.backend_stack import HOOK_SECRET, PORT, Backend, Stack, wait_until
from tests.support.droplet import host, image
from tests.support.droplet.progress import Progress
from tests.support.droplet.site import Site, names
from tests.support.worker import AT_WORK, OVERLAPS, WORKER

HEADERS = {"X-Telegram-Bot-Api-Secret-Token": HOOK_SECRET, "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    progress = Progress(sys.__stderr__)
    before = host.started_by_us()
    client = host.ensure(progress.note)
    site = Site(f"example-{os.getpid()}", client, progress.note)
    try:
        yield Stack(site)
    finally:
        site.destroy()
        others = names(client)
        client.close()
        if before is None and not others:
            host.stop()


@pytest.fixture
def empty(stack: Stack) -> Iterator[Stack]:
    """No tables, no backends. What a test stopped runs again afterwards."""
    stack.clear()
    yield stack
    stack.restore()


@pytest.fixture
def blue(stack: Stack) -> Iterator[Backend]:
    """Version 1.0.0 with an empty database, ready, Telegram's webhook pointing at it.

    The one of the test before, where that left it and its schema as they were: a start costs seconds.
    """
    yield stack.first_release()
    stack.restore()


# Users that only these hand-made updates speak for: their numbers are far below the stand-in's, and for one user
# numbers must not go down.
HAND_MADE = 1000
numbers = itertools.count(1)


def update(text: str, user: int = HAND_MADE, update_id: int | None = None) -> bytes:
    """A message as Telegram posts it, with a new number unless one is given."""
    update_id = update_id or next(numbers)
    chat = {"id": user, "type": "private"}
    sender = {"id": user, "is_bot": False, "first_name": "Ann"}
    message = {"message_id": update_id, "date": int(time.time()), "chat": chat, "from": sender, "text": text}
    return json.dumps({"update_id": update_id, "message": message}).encode()


def post(backend: Backend, body: bytes) -> tuple[int, Any]:
    connection = HTTPConnection(backend.address(), PORT, timeout=60)
    try:
        connection.request("POST", "/telegram/webhook", body, HEADERS)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_a_user_sells_and_another_buys(blue: Backend, stack: Stack) -> None:
    ask = stack.telegram.ask
    assert ask("/sell", 1) == "I don't know you yet. Send /start first."
    assert ask("/start", 1).startswith("Welcome, Ann! This is the marketplace, version 1.0.0.")
    assert ask("/start", 2).startswith("Welcome, Ann!")
    assert ask("/sell", 1) == "What do you sell? Send me a title."
    assert ask("Old  bike", 1) == "And the price of Old bike? For example 12.50"
    assert ask("cheap", 1).startswith("That is no price.")
    assert ask("12,5", 1) == "Listed #1: Old bike for 12.50"
    assert ask("/browse", 2) == "#1 Old bike: 12.50"
    assert ask("/buy 1", 1) == "#1 is your own."
    assert ask("/buy 1", 2) == "You bought #1: Old bike for 12.50"
    assert stack.telegram.messages(1, contains="Sold #1: Old bike", wait=20)[0]["via"] == "api"
    assert ask("/mine", 1) == "#1 Old bike: sold for 12.50"
    assert ask("/mine", 2) == "#1 Old bike: bought for 12.50"
    assert stack.sql("SELECT seller_id, buyer_id, price_cents FROM listings") == "1|2|1250"
    wait_until(lambda: stack.sql("SELECT count(*) FROM outgoing_messages") == "0", "the outbox is empty")


def test_a_button_buys_and_is_answered(blue: Backend, stack: Stack) -> None:
    for text in ("/start", "/sell", "Lamp", "9"):
        stack.telegram.ask(text, 1)
    stack.telegram.ask("/start", 2)
    (listing,) = (m for m in stack.telegram.say("/browse", 2, 20)["replies"])
    data = listing["parameters"]["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    stack.telegram.press(data, 2)
    assert stack.telegram.messages(2, contains="You bought #1: Lamp", wait=20)
    assert stack.telegram.messages(1, contains="Sold #1", wait=20)
    assert stack.telegram.stats()["calls"]["answercallbackquery"] == 1


def test_twenty_copies_at_once_have_one_effect_and_one_answer(blue: Backend, stack: Stack) -> None:
    for text in ("/start", "/sell", "Lamp"):
        assert post(blue, update(text))[0] == 200
    copy = update("9.99")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(blue, copy), range(20)))
    assert {(status, body["text"]) for status, body in answers} == {(200, "Listed #1: Lamp for 9.99")}
    assert stack.sql("SELECT count(*) FROM listings") == "1"
    # Long after: still the same answer, and the dialogue does not go back to asking for a price.
    assert post(blue, update("/sell"))[0] == 200
    assert post(blue, copy)[1]["text"] == "Listed #1: Lamp for 9.99"
    assert post(blue, update("Chair"))[1]["text"] == "And the price of Chair? For example 12.50"
    assert stack.sql("SELECT count(*) FROM listings") == "1"


def test_two_buyers_at_once_one_sale(blue: Backend, stack: Stack) -> None:
    for text in ("/start", "/sell", "Lamp", "9"):
        post(blue, update(text))
    buyers = [HAND_MADE + number for number in range(1, 11)]
    for buyer in buyers:
        post(blue, update("/start", buyer))
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda buyer: post(blue, update("/buy 1", buyer)), buyers))
    texts = [body["text"] for _, body in answers]
    assert sorted(texts) == ["#1 is sold already."] * 9 + ["You bought #1: Lamp for 9.00"]


def test_postgresql_killed_under_load_loses_and_doubles_nothing(blue: Backend, stack: Stack) -> None:
    stack.telegram.set_time_factor(5)
    try:
        load = stack.telegram.load(count=300, rate=60, chats=30, texts=("/start",))
        wait_until(lambda: stack.telegram.load_progress(load)["injected"] > 80, "some load")
        stack.postgres.container.kill()
        wait_until(lambda: not blue.ready, "not ready without PostgreSQL")
        assert blue.page("/health/ready")[1]["checks"]["database"] != "ok"
        assert blue.page("/health/live")[0] == 200
        stack.postgres.container.start()
        stack.wait_postgres()
        wait_until(lambda: blue.ready, "ready again")
        wait_until(lambda: stack.telegram.load_progress(load)["injected"] == 300, "the whole load")
        stats = stack.settled()
    finally:
        stack.telegram.set_time_factor(1)
    assert (stats["updates"]["delivered"], stats["updates"]["dropped"]) == (300, 0)
    assert stats["attempts"].get("503"), "the outage was not felt, so the test proves nothing"
    assert set(stats["attempts"]) <= {"200", "503"}
    assert stack.sql("SELECT count(*) FROM handled_updates") == "300"
    assert stack.sql("SELECT count(*) FROM users") == "30"


def test_a_conversation_survives_a_restart_of_redis(blue: Backend, stack: Stack) -> None:
    for text in ("/start", "/sell", "Lamp"):
        stack.telegram.ask(text, 1)
    stack.redis.container.stop()
    wait_until(lambda: not blue.ready, "not ready without Redis")
    assert blue.page("/health/ready")[1]["checks"]["database"] == "ok"
    stack.telegram.say("9.99", 1)
    wait_until(lambda: stack.telegram.stats()["attempts"].get("503"), "the update put off")
    assert stack.sql("SELECT count(*) FROM listings") == "0"
    stack.redis.container.start()
    assert stack.telegram.messages(1, contains="Listed #1: Lamp for 9.99", wait=60)
    assert stack.sql("SELECT count(*) FROM listings") == "1"
    wait_until(lambda: blue.ready, "ready again")


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


class Client(threading.Thread):
    """Posts new updates on one keep-alive connection without pause until the backend refuses it."""

    def __init__(self, backend: Backend, number: int) -> None:
        super().__init__(daemon=True)
        self.address = backend.address()
        self.number = number
        self.answered: list[int] = []
        self.lost: list[str] = []

    def run(self) -> None:
        connection = HTTPConnection(self.address, PORT, timeout=30)
        for step in range(10_000):
            update_id = (HAND_MADE + self.number) * 10_000 + step
            try:
                if connection.sock is None:
                    connection.connect()
            except OSError:
                return  # No longer accepted: nothing was sent, so nothing is lost.
            try:
                connection.request(
                    "POST", "/telegram/webhook", update("/start", HAND_MADE + self.number, update_id), HEADERS
                )
                response = connection.getresponse()
                response.read()
            except (OSError, HTTPException) as error:
                self.lost.append(f"{update_id}: {error!r}")
                return
            if response.status != 200:
                self.lost.append(f"{update_id}: {response.status}")
                return
            self.answered.append(update_id)


def test_sigterm_under_load_finishes_what_it_took(blue: Backend, stack: Stack) -> None:
    clients = [Client(blue, number) for number in range(1, 17)]
    for client in clients:
        client.start()
    wait_until(lambda: sum(len(client.answered) for client in clients) > 200, "load")
    code, seconds = blue.stop()
    for client in clients:
        client.join(30)
    assert [loss for client in clients for loss in client.lost] == []
    assert (code, seconds < 10) == (0, True)
    handled = {int(line) for line in stack.sql("SELECT update_id FROM handled_updates").splitlines()}
    assert handled == {update_id for client in clients for update_id in client.answered}
    assert blue.lines()[-1].items() >= {"message": "stopped", "all_requests_finished": True}.items()


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


def test_a_second_colour_takes_over_without_a_lost_update(blue: Backend, stack: Stack) -> None:
    load = stack.telegram.load(count=200, rate=40, chats=20, texts=("/start", "/browse"))
    code, output = stack.migrate(stack.image("1.1.0"))
    assert code == 0, output
    green = stack.start(stack.image("1.1.0"), "green")
    green.wait_ready()
    assert blue.ready
    stack.attach(green)
    assert blue.stop()[0] == 0
    wait_until(lambda: stack.telegram.load_progress(load)["injected"] == 200, "the whole load")
    stats = stack.settled()
    assert (stats["updates"]["delivered"], stats["updates"]["dropped"]) == (200, 0)
    assert stack.sql("SELECT count(*) FROM handled_updates") == "200"
    assert stack.telegram.ask("/about", 1) == "marketplace 1.1.0, release r-green, green"


def test_the_old_version_works_on_the_new_schema(blue: Backend, stack: Stack) -> None:
    assert stack.migrate(stack.image("1.1.0")) == (0, "schema 0001 -> 0002")
    assert blue.ready
    for text in ("/start", "/sell", "Lamp"):
        stack.telegram.ask(text, 1)
    assert stack.telegram.ask("9", 1) == "Listed #1: Lamp for 9.00"
    green = stack.start(stack.image("1.1.0"), "green")
    green.wait_ready()
    stack.attach(green)
    assert stack.telegram.ask("/like 1", 1) == "You like #1 Lamp"
    assert stack.telegram.ask("/liked", 1) == "#1 Lamp"
    assert stack.sql("SELECT likes FROM listings") == "1"


def test_migration_commands_of_the_labels(empty: Stack) -> None:
    old, new = empty.image("1.0.0"), empty.image("1.1.0")
    assert empty.migrate(old, "marketplace.migrate.current") == (0, "")
    assert empty.migrate(old, "marketplace.migrate.heads") == (0, "0001")
    assert empty.migrate(new, "marketplace.migrate.heads") == (0, "0002")
    assert empty.migrate(old) == (0, "schema nothing -> 0001")
    assert empty.migrate(old) == (0, "schema 0001 -> 0001")
    assert empty.migrate(new) == (0, "schema 0001 -> 0002")
    assert empty.migrate(old, "marketplace.migrate.current") == (0, "0002")
    code, output = empty.migrate(old)
    assert (code, "nothing to do" in output) == (0, True)
    assert empty.revision == "0002"


def test_two_migrations_at_once_are_one(empty: Stack) -> None:
    tag = empty.image("1.1.0")
    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(lambda n: empty.migrate(tag, role=f"migration-{n}"), range(3)))
    assert [code for code, _ in results] == [0, 0, 0], results
    assert empty.revision == "0002"


def test_a_failing_migration_leaves_nothing(blue: Backend, stack: Stack) -> None:
    code, output = stack.migrate(stack.image("1.0.1", "migration-fails"))
    assert code == 1
    assert "division by zero" in output
    assert stack.revision == "0001"
    assert stack.sql("SELECT to_regclass('half_done') IS NULL") == "t"
    assert blue.ready


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


def test_a_migration_that_breaks_the_live_version_shows_in_its_readiness(blue: Backend, stack: Stack) -> None:
    code, output = stack.migrate(stack.image("1.0.1", "migration-breaks-live"))
    assert code == 0, output
    wait_until(lambda: not blue.ready, "not ready")
    assert "title" in blue.page("/health/ready")[1]["checks"]["database"]


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


def test_a_migration_that_is_not_transactional_leaves_its_half_and_keeps_those_before(empty: Stack) -> None:
    code, output = empty.migrate(empty.image("1.1.1", "migration-half"))
    assert (code, "division by zero" in output) == (1, True)
    assert empty.revision == "0002"
    assert empty.sql("SELECT to_regclass('half_done') IS NULL") == "f"


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


def test_a_migration_that_is_killed_ends_in_the_database_too(blue: Backend, stack: Stack) -> None:
    tag = stack.image("1.0.1", "migration-slow")
    migration = stack.create(tag, "migration", ["python3", "-m", "marketplace_bot.migrate", "upgrade"])
    migration.container.start()
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%'"
    wait_until(lambda: stack.sql(asleep) == "1", "the migration")
    migration.container.kill()
    wait_until(lambda: stack.sql(asleep) == "0", "its end", 10)
    assert stack.revision == "0001"


def test_the_worker_says_whose_it_is_and_ends_at_once(empty: Stack) -> None:
    tag = empty.image("1.2.0", WORKER=WORKER)
    labels = empty.client.images.get(tag).labels
    assert (labels["marketplace.worker"], labels["marketplace.before"]) == (WORKER, "")
    command = json.loads(labels["marketplace.worker"])
    assert empty.migrate(tag)[0] == 0
    empty.sql("INSERT INTO users (id, name) VALUES (7, 'Ann')")
    empty.sql("INSERT INTO listings (seller_id, title, price_cents, created_at) "
              "VALUES (7, 'Lamp', 900, now() - interval '8 days'), (7, 'Chair', 900, now())")  # fmt: skip
    who = {"VERSION": "1.2.0", "COLOUR": "blue"}
    first = empty.create(tag, "worker-blue", command, RELEASE="r-1", **who)
    first.container.start()
    wait_until(lambda: empty.sql(AT_WORK) == "1.2.0|r-1", "the first worker")
    reminder = "SELECT call->>'text', call->>'chat_id' FROM outgoing_messages"
    wait_until(lambda: empty.sql(reminder) == "Nobody has bought #1 Lamp yet.|7", "a reminder")
    code, seconds = first.stop()
    assert (code, seconds < 10) == (0, True)
    assert [line["message"] for line in first.lines()][-2:] == ["stopping", "stopped"]
    assert empty.sql("SELECT release, ended_at IS NOT NULL FROM worker_runs") == "r-1|t"
    second = empty.create(tag, "worker-green", command, RELEASE="r-2", **who)
    second.container.start()
    wait_until(lambda: empty.sql(AT_WORK) == "1.2.0|r-2", "the second worker")
    assert empty.sql(OVERLAPS) == "0"
    third = empty.create(tag, "worker-blue-2", command, RELEASE="r-3", **who)
    third.container.start()
    wait_until(lambda: empty.sql(OVERLAPS) == "1", "two at once are seen")
    second.container.kill()
    third.container.kill()
    assert empty.sql("SELECT count(*) FROM worker_runs WHERE ended_at IS NULL") == "2"
    assert empty.sql(reminder) == "Nobody has bought #1 Lamp yet.|7"


@pytest.mark.parametrize("variant", ["crash", "never-ready"])
def test_spoilt_versions_are_not_ready(empty: Stack, variant: str) -> None:
    empty.migrate(empty.image())
    green = empty.start(empty.image("1.0.1", variant), "green")
    if variant == "crash":
        assert green.container.wait(timeout=60)["StatusCode"] == 1
        (line,) = green.lines()
        assert "RuntimeError: this variant crashes at start" in line["exception"]
    else:
        wait_until(lambda: green.page("/health/live")[0] == 200, "alive", 90)
        assert not green.ready
        assert 'relation "forgotten" does not exist' in green.page("/health/ready")[1]["checks"]["database"]


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


def test_a_message_to_another_is_sent_again_until_telegram_takes_it(blue: Backend, stack: Stack) -> None:
    for text in ("/start", "/sell", "Lamp", "9"):
        stack.telegram.ask(text, 1)
    stack.telegram.ask("/start", 2)
    stack.telegram.fail_next("sendMessage", 429, retry_after=1)
    # The first failure hits the answer in the webhook's body or the seller's message, whichever comes first; order two.
    stack.telegram.fail_next("sendMessage", 500)
    stack.telegram.say("/buy 1", 2)
    assert stack.telegram.messages(1, contains="Sold #1: Lamp", wait=30)
    wait_until(lambda: stack.sql("SELECT count(*) FROM outgoing_messages") == "0", "the outbox is empty")


def test_a_wrong_token_is_refused_and_no_secret_is_logged(blue: Backend, stack: Stack) -> None:
    connection = HTTPConnection(blue.address(), PORT, timeout=10)
    connection.request(
        "POST", "/telegram/webhook", update("/start"), {**HEADERS, next(iter(HEADERS)): "wrong"}
    )
    assert connection.getresponse().status == 403
    assert stack.sql("SELECT count(*) FROM handled_updates") == "0"
    stack.botapi.container.stop()
    try:
        for text in ("/start", "/sell", "Lamp", "9"):
            assert post(blue, update(text))[0] == 200
        post(blue, update("/start", HAND_MADE + 1))
        post(blue, update("/buy 1", HAND_MADE + 1))
        wait_until(lambda: any(line["message"] == "message not sent" for line in blue.lines()), "an attempt")
    finally:
        stack.botapi.container.start()
        stack.botapi.wait_healthy()
    logged = json.dumps(blue.lines())
    for secret in ("app-password", "redis-password", HOOK_SECRET, "A" * 35):
        assert secret not in logged


def test_an_idle_connection_does_not_hold_up_the_stop(blue: Backend, stack: Stack) -> None:
    with socket.create_connection((blue.address(), PORT)):
        code, seconds = blue.stop()
    assert (code, seconds < 10) == (0, True)
