"""From what is wrong to Alertmanager, and what becomes of events and of the dead man's switch."""

import http.server
import json
import re
import socket
import threading
import time
from pathlib import Path
from typing import ClassVar

import marketplace_watch_letters
import pytest
from marketplace_alertmanager import Alertmanager, AlertmanagerError, Attempts, counted
from marketplace_conditions import Condition, Finding
from marketplace_paths import Paths
from marketplace_postman import MUTE, Postman
from marketplace_spool import Spool
from marketplace_watch_letters import COMMANDS, LONGEST, of_conditions, of_events

NOW = time.time()
SETTINGS = {
    "environment": "production",
    "alerts": {"telegram": {"chat": "-1"}, "email": {"to": ""}, "webhook": False, "dead_man": True},
}
METRICS = """# HELP alertmanager_notification_requests_total The total number of attempted notification requests.
alertmanager_notification_requests_failed_total{integration="telegram"} 2
alertmanager_notification_requests_failed_total{integration="email"} 0
alertmanager_notification_requests_total{integration="telegram"} 7
alertmanager_notification_requests_total{integration="email"} 0
alertmanager_notifications_total{integration="telegram"} 5
"""


class Fake:
    """An Alertmanager that keeps what it was given, and sends it as it is told to."""

    def __init__(self):
        self.alerts, self.away, self.sent, self.failed, self.started = [], False, 0, 0, "noon"
        self.hangs = False

    def post(self, alerts):
        if self.away:
            raise AlertmanagerError("Alertmanager does not answer")
        self.alerts += list(alerts)

    def attempts(self):
        if self.away:
            raise AlertmanagerError("Alertmanager does not answer")
        return {"telegram": Attempts(self.sent + self.failed, self.failed)}

    def sending(self):
        return {"telegram"} if self.hangs else set()

    def began(self):
        return self.started


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path)


@pytest.fixture
def postman(paths, fake):
    return Postman(paths, (), "noon", fake)


@pytest.fixture
def switch(paths):
    """A dead man's switch; the calls that it got."""
    calls: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            calls.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        paths.secrets.mkdir(parents=True)
        (paths.secrets / "alerts_dead_man_url").write_text(f"http://127.0.0.1:{server.server_port}/ping\n")
        yield calls
        server.shutdown()


def condition(**more):
    finding = Finding("service.down", "redis", "critical", "redis is down", "it hangs", "look", **more)
    return Condition(finding, NOW - 60, NOW, True)


def test_what_is_sent_at_once_is_told_in_time_and_so_is_that_it_is_over(postman, fake, monkeypatch):
    """Alertmanager waits for nothing else where something has lasted: it may be sent before the counts are read."""
    fake.sent = 7
    take = fake.post

    def send(alerts):
        take(alerts)
        fake.sent += 1

    monkeypatch.setattr(fake, "post", send)
    postman.turn([condition()], SETTINGS, NOW)
    monkeypatch.setattr(fake, "post", take)
    postman.turn([], SETTINGS, NOW + 3)
    assert fake.alerts[-1].ends > NOW + 3
    postman.turn([], SETTINGS, NOW + 48)
    postman.turn([], SETTINGS, NOW + 51)
    assert fake.alerts[-1].ends == NOW + 51
    assert postman.letters == []


def test_what_was_sent_before_is_no_sign_that_this_was(postman, fake):
    fake.sent = 7
    postman.turn([], SETTINGS, NOW)
    fake.sent = 8
    postman.turn([condition()], SETTINGS, NOW + 3)
    postman.turn([condition()], SETTINGS, NOW + 60)
    assert [letter.told for letter in postman.letters] == [False]


def test_what_waits_for_an_answer_that_never_comes_has_not_arrived(paths, postman, fake):
    fake.hangs = True
    spool = Spool(paths.spool)
    spool.emit("release.live", "info", "release of 1.2.0: live", subject="20261125T120000Z")
    for later in range(0, int(MUTE) + 100, 3):
        postman.turn([], SETTINGS, NOW + later)
    assert len(spool.pending()) == 1
    fake.hangs, fake.sent = False, 1
    postman.turn([], SETTINGS, NOW + MUTE + 103)
    assert spool.pending() == []


def test_a_condition_is_what_people_read():
    letter = of_conditions([condition()], "production")[0]
    assert letter.labels == {
        "alertname": "service.down",
        "kind": "condition",
        "service": "redis",
        "severity": "critical",
        "droplet": "production",
    }
    assert letter.annotations["cause"] == "it hangs"
    assert letter.annotations["command"] == "look"
    assert len(letter.annotations["since"].split()) == 4


def test_what_is_long_is_cut(paths):
    event = Spool(paths.spool).emit("release.failed", "critical", "x" * 5000)
    letters, _ = of_events([event], "production", NOW)
    assert len(letters[0].annotations["summary"]) == LONGEST


@pytest.mark.parametrize(
    ("kind", "data", "command"),
    [
        ("release.failed", {"release": "20261125T120000Z"}, "salt-call deploy.logs release=20261125T120000Z"),
        ("release.refused", {"release": ""}, "salt-call deploy.status"),
        ("release.stuck", {}, "salt-call deploy.resume"),
        ("backup.drill_failed", {}, "salt-call backup.check"),
        ("watch.restarted", {"service": "redis"}, "salt-call deploy.logs service=redis"),
        ("watch.restarted", {"service": "edge"}, "systemctl status haproxy.service"),
    ],
)
def test_an_event_says_what_to_type_next(paths, kind, data, command):
    spool = Spool(paths.spool)
    letters, _ = of_events([spool.emit(kind, "critical", "it failed", data)], "production", NOW)
    assert letters[0].annotations["command"] == command
    good, _ = of_events([spool.emit(kind, "info", "all is well", data)], "production", NOW)
    assert good[0].annotations["command"] == ""


def test_every_event_that_is_no_good_news_has_a_command():
    told = set()
    for source in Path(marketplace_watch_letters.__file__).parent.glob("marketplace_*.py"):
        told |= set(re.findall(r'emit\(\s*f?"([a-z_.]+)', source.read_text()))
    assert len(told) > 10
    assert {kind for kind in told if not {kind, kind.partition(".")[0]} & COMMANDS.keys()} == set()


def test_an_event_stays_in_the_spool_until_it_was_sent(paths, postman, fake):
    spool = Spool(paths.spool)
    spool.emit("release.live", "info", "release of 1.2.0: live", subject="20261125T120000Z")
    fake.away = True
    postman.turn([], SETTINGS, NOW)
    assert "does not answer" in postman.trouble
    fake.away = False
    postman.turn([], SETTINGS, NOW + 3)
    assert [alert.labels["alertname"] for alert in fake.alerts] == ["release.live"]
    fake.failed = 3
    postman.turn([], SETTINGS, NOW + 100)
    assert len(spool.pending()) == 1
    fake.sent = 1
    postman.turn([], SETTINGS, NOW + 200)
    assert spool.pending() == []
    postman.turn([], SETTINGS, NOW + 203)
    assert postman.letters == []
    assert fake.alerts[-1].ends == NOW + 203


def test_an_alertmanager_that_was_started_anew_is_told_everything_anew(postman, fake):
    postman.turn([condition()], SETTINGS, NOW)
    fake.sent = 1
    postman.turn([condition()], SETTINGS, NOW + 10)
    postman.turn([condition()], SETTINGS, NOW + 50)
    assert [letter.told for letter in postman.letters] == [True]
    before = len(fake.alerts)
    fake.started = "one"
    postman.turn([condition()], SETTINGS, NOW + 110)
    assert [letter.told for letter in postman.letters] == [False]
    postman.turn([condition()], SETTINGS, NOW + 113)
    # Over before it was said again: it is said, and then that it is over.
    postman.turn([], SETTINGS, NOW + 116)
    assert {alert.ends for alert in fake.alerts[before:]} > {NOW + 416}
    fake.sent = 2
    postman.turn([], SETTINGS, NOW + 125)
    postman.turn([], SETTINGS, NOW + 160)
    postman.turn([], SETTINGS, NOW + 163)
    assert fake.alerts[-1].ends == NOW + 163


def test_a_new_alertmanager_is_met_before_it_is_given_anything(postman, fake, monkeypatch):
    """What it sends at once must not count as sent before it was known."""
    fake.sent = 7
    postman.turn([], SETTINGS, NOW)
    fake.started, fake.sent, take = "one", 6, fake.post

    def send(alerts):
        take(alerts)
        fake.sent += 1

    monkeypatch.setattr(fake, "post", send)
    postman.turn([condition()], SETTINGS, NOW + 6)
    monkeypatch.setattr(fake, "post", take)
    postman.turn([condition()], SETTINGS, NOW + 9)
    postman.turn([condition()], SETTINGS, NOW + 54)
    assert [letter.told for letter in postman.letters] == [True]


def test_events_of_yesterday_are_let_go(paths, postman, fake):
    spool = Spool(paths.spool)
    spool.emit("release.live", "info", "release of 1.2.0: live")
    postman.turn([], SETTINGS, NOW + 90_000)
    assert (spool.pending(), fake.alerts) == ([], [])


def pinged(postman, now):
    """The call is over, if there was one."""
    postman.ping(SETTINGS, now)
    if postman._dead_man._process is not None:
        postman._dead_man._process.wait(10)


def test_the_switch_is_told_once_a_minute(postman, switch):
    for seconds in (0, 3, 59, 60):
        postman.turn([], SETTINGS, NOW + seconds)
        pinged(postman, NOW + seconds)
    assert switch == ["/ping", "/ping"]


def test_the_switch_goes_off_without_alertmanager(postman, fake, switch):
    fake.away = True
    postman.turn([condition()], SETTINGS, NOW)
    pinged(postman, NOW)
    assert switch == []


def test_the_switch_goes_off_when_nothing_gets_out(postman, fake, switch):
    fake.sent = 1
    postman.turn([condition()], SETTINGS, NOW)
    fake.sent = 2
    postman.turn([condition()], SETTINGS, NOW + 10)
    fake.failed = 1
    postman.turn([condition()], SETTINGS, NOW + 40)
    pinged(postman, NOW + 40)
    assert len(switch) == 1
    fake.failed = 2
    postman.turn([condition()], SETTINGS, NOW + 40 + MUTE)
    pinged(postman, NOW + 40 + MUTE)
    assert len(switch) == 1
    fake.sent = 3
    postman.turn([condition()], SETTINGS, NOW + 50 + MUTE)
    pinged(postman, NOW + 50 + MUTE)
    assert len(switch) == 2


def test_no_switch_no_call(postman, switch):
    quiet = SETTINGS | {"alerts": SETTINGS["alerts"] | {"dead_man": False}}
    postman.turn([], quiet, NOW)
    postman.ping(quiet, NOW)
    assert switch == []


def test_a_switch_that_is_away_is_no_trouble(paths, postman, capsys):
    paths.secrets.mkdir(parents=True)
    (paths.secrets / "alerts_dead_man_url").write_text("http://127.0.0.1:9/a-secret")
    postman.turn([], SETTINGS, NOW)
    pinged(postman, NOW)
    postman.ping(SETTINGS, NOW + 3)
    assert postman.trouble == ""
    told = capsys.readouterr().out
    assert "the dead man's switch does not answer: curl: (7)" in told
    assert "a-secret" not in told


def test_a_switch_that_says_nothing_holds_up_nobody(paths, postman):
    paths.secrets.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        (paths.secrets / "alerts_dead_man_url").write_text(
            f"http://127.0.0.1:{mute.getsockname()[1]}/a-secret"
        )
        postman.turn([], SETTINGS, NOW)
        begun = time.monotonic()
        postman.ping(SETTINGS, NOW)
        postman.ping(SETTINGS, NOW + 3)
        assert time.monotonic() - begun < 2
        waits = postman._dead_man._process
        # Nobody sees the address among the processes.
        assert "a-secret" not in Path(f"/proc/{waits.pid}/cmdline").read_text()
        postman.stop()
    assert waits.returncode is not None


def test_who_is_at_something_is_found_in_its_stacks():
    stacks = (
        "1 @ 0x47cd2e 0xf1812d\n"
        "#\t0xf1812d\tgithub.com/prometheus/alertmanager/notify/telegram.(*Notifier).Notify+0x42d\ttelegram.go:92\n"
        "#\t0xec3817\tgithub.com/prometheus/alertmanager/notify.(*Integration).Notify+0x637\tnotify.go:84\n"
        "#\t0xf00000\tgithub.com/prometheus/alertmanager/notify/email.(*Email).Notify+0x1\temail.go:1\n"
    )
    asked = Alertmanager()
    asked._ask = lambda *_: stacks
    assert asked.sending() == {"telegram", "email"}


def test_attempts_are_counted_by_way():
    assert counted(METRICS) == {"telegram": Attempts(7, 2), "email": Attempts(0, 0)}
    assert counted("") == {}


class Server(http.server.BaseHTTPRequestHandler):
    got: ClassVar[list] = []
    status: ClassVar[int] = 200

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"uptime": "2026-11-25T20:34:48Z"}' if "status" in self.path else METRICS.encode())

    def do_POST(self):
        self.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(b"bad label")

    def log_message(self, *_):
        pass


def test_what_alertmanager_is_given_and_what_it_refuses():
    letters = of_conditions([condition()], "production")
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        alertmanager = Alertmanager(server.server_port)
        postman = Postman(Paths(Path("/nonexistent")), letters, "", alertmanager)
        postman.turn([condition()], SETTINGS, NOW)
        assert postman.trouble == ""
        assert alertmanager.began() == "2026-11-25T20:34:48Z"
        assert Server.got[0][0]["labels"]["service"] == "redis"
        assert Server.got[0][0]["startsAt"] < Server.got[0][0]["endsAt"]
        Server.status = 400
        with pytest.raises(AlertmanagerError, match="bad label"):
            alertmanager.post([])
        server.shutdown()
    with pytest.raises(AlertmanagerError, match="systemctl status prometheus-alertmanager"):
        Alertmanager(9).post([])


SILENT = SETTINGS | {
    "alerts": {"telegram": {"chat": ""}, "email": {"to": ""}, "webhook": False, "dead_man": False}
}


def test_while_nobody_is_to_be_told_events_wait_for_who_will_be(paths, fake, postman):
    event = Spool(paths.spool).emit("release.live", "info", "1.4.2 is live")
    for after in (0, 60, 600):
        postman.turn([], SILENT, NOW + after)
    assert (fake.alerts, Spool(paths.spool).pending()) == ([], [event])
    postman.turn([], SETTINGS, NOW + 700)
    assert [alert.labels["alertname"] for alert in fake.alerts] == ["release.live"]


@pytest.mark.parametrize("away", [True, False], ids=["not handed over", "handed over, not sent"])
def test_an_event_on_its_way_waits_too_when_its_last_way_is_taken_out_of_the_settings(
    paths, fake, postman, away
):
    event = Spool(paths.spool).emit("release.failed", "critical", "release of 1.4.2: failed")
    fake.away = away
    postman.turn([], SETTINGS, NOW)
    fake.away = False
    before = len(fake.alerts)
    for after in (60, 120, 600):
        postman.turn([], SILENT, NOW + after)
    assert (fake.alerts[before:], Spool(paths.spool).pending()) == ([], [event])
    postman.turn([], SETTINGS, NOW + 700)
    assert [alert.labels["alertname"] for alert in fake.alerts[before:]] == ["release.failed"]
