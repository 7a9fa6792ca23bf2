"""The example backend keeps the application contract: in its image, against real PostgreSQL and Redis.

The faults are real ones: services are killed, the process is told to stop while it works. What takes long, migrations
that meet locks and most spoilt versions among it, is in tests/soak/test_example_backend.py.
"""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException

import pytest
from marketplace_schedule import parse_schedule

from tests.support.backend_fixtures import HAND_MADE, HEADERS, assert_not_ready, post, update
from tests.support.backend_stack import HOOK_SECRET, PORT, Backend, Stack, wait_until
from tests.support.worker import AT_WORK, OVERLAPS, WORKER


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


def test_the_scheduled_job_tells_each_seller_once(blue: Backend, stack: Stack) -> None:
    for seller, titles in ((1, ("Lamp", "Chair")), (2, ("Bike",))):
        for title in titles:
            for text in ("/start", "/sell", title, "9"):
                stack.telegram.ask(text, seller)
    stack.telegram.ask("/buy 3", 1)
    declared = stack.client.images.get(stack.image()).labels["marketplace.schedule"]
    ((job,), problems) = parse_schedule(declared)
    assert problems == []
    told = stack.create(stack.image(), "job", list(job.command))
    try:
        told.container.start()
        assert told.container.wait()["StatusCode"] == 0, told.container.logs().decode()
    finally:
        told.destroy()
    assert stack.telegram.messages(1, contains="Waiting for a buyer: 2 of your listings", wait=20)
    assert stack.telegram.messages(2, contains="Waiting for a buyer") == []


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


def test_a_migration_that_breaks_the_live_version_shows_in_its_readiness(blue: Backend, stack: Stack) -> None:
    code, output = stack.migrate(stack.image("1.0.1", "migration-breaks-live"))
    assert code == 0, output
    wait_until(lambda: not blue.ready, "not ready")
    assert "title" in blue.page("/health/ready")[1]["checks"]["database"]


def test_a_migration_that_is_not_transactional_leaves_its_half_and_keeps_those_before(empty: Stack) -> None:
    code, output = empty.migrate(empty.image("1.1.1", "migration-half"))
    assert (code, "division by zero" in output) == (1, True)
    assert empty.revision == "0002"
    assert empty.sql("SELECT to_regclass('half_done') IS NULL") == "f"


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


@pytest.mark.parametrize("variant", ["crash"])
def test_spoilt_versions_are_not_ready(empty: Stack, variant: str) -> None:
    assert_not_ready(empty, variant)


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
