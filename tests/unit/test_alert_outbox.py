"""What is handed to Alertmanager, and when it is let go."""

from marketplace_alert_outbox import AGAIN, CALM, HOLDS, SAID, SENT_WITHIN, STALE, Deliveries, Letter, Outbox
from marketplace_alertmanager import Attempts

DISK = Letter("resource.disk/redis", {"service": "redis"}, {"summary": "81% full"}, 90.0)


class Mail:
    """An outbox with one way, an Alertmanager that takes everything, and a clock."""

    def __init__(self, ways=("telegram",), letters=()):
        self.box, self.deliveries, self.now = Outbox(ways, letters), Deliveries(), 100.0
        self.counts = {"telegram": [0, 0], "email": [0, 0]}
        self.posted = []
        self.note()

    def note(self, sending=()):
        counted = {way: Attempts(*counts) for way, counts in self.counts.items()}
        self.deliveries.note(counted, self.now, sending)

    def at(self, now, *letters, takes=True, sends=(), fails=(), sending=()):
        """A turn: what is wrong now, whether Alertmanager takes it, and what it has sent since; what has arrived."""
        self.now = now
        self.box.put(letters, now)
        due = self.box.due(now)
        if takes and due:
            self.posted = [self.box.alert(letter, now) for letter in due]
            self.box.accepted(due, now)
        else:
            self.posted = []
        for way in (*sends, *fails):
            self.counts[way][0] += 1
        for way in fails:
            self.counts[way][1] += 1
        self.note(sending)
        return self.box.settle(self.deliveries, now)


def test_what_lasts_is_handed_over_again_and_again():
    mail = Mail()
    mail.at(100, DISK)
    assert [(alert.starts, alert.ends) for alert in mail.posted] == [(90, 100 + HOLDS)]
    mail.at(100 + AGAIN - 1, DISK)
    assert mail.posted == []
    mail.at(100 + AGAIN, DISK)
    assert len(mail.posted) == 1
    assert HOLDS > 2 * AGAIN


def test_what_was_not_taken_is_tried_again_at_once():
    mail = Mail()
    mail.at(100, DISK, takes=False)
    mail.at(103, DISK)
    assert len(mail.posted) == 1


def test_it_has_arrived_when_something_got_out_behind_it_and_the_time_for_it_is_over():
    mail = Mail()
    assert mail.at(100, DISK) == []
    assert mail.at(112, DISK, sends=["telegram"]) == []
    assert mail.at(100 + SENT_WITHIN, DISK) == [DISK.key]
    assert mail.at(103 + SENT_WITHIN, DISK) == []


def test_a_way_that_fails_holds_it():
    mail = Mail()
    mail.at(100, DISK)
    mail.at(112, DISK, fails=["telegram"])
    assert mail.at(400, DISK, fails=["telegram"]) == []
    assert mail.deliveries.failing_for(["telegram"], 400) == 288
    assert mail.at(700, DISK, sends=["telegram"]) == [DISK.key]


def test_what_alertmanager_has_said_before_it_does_not_say_again():
    mail = Mail()
    mail.at(100, DISK)
    assert mail.at(100 + SAID - 1, DISK) == []
    assert mail.at(100 + SAID, DISK) == [DISK.key]
    # That it does not say it for want of a way is another thing.
    mute = Mail()
    mute.at(100, DISK)
    assert mute.at(100 + SAID, DISK, fails=["telegram"]) == []


def test_what_hangs_has_neither_arrived_nor_been_said_before():
    mail = Mail()
    mail.at(100, DISK)
    for now in (100 + SENT_WITHIN, 100 + SAID, 100 + 2 * SAID):
        assert mail.at(now, sending=["telegram"]) == []
    assert mail.deliveries.failing_for(["telegram"], 100 + 2 * SAID) == 2 * SAID - SENT_WITHIN
    # Another one gets out, and this one hangs on.
    assert mail.at(110 + 2 * SAID, sends=["telegram"], sending=["telegram"]) == []
    assert mail.at(113 + 2 * SAID, sends=["telegram"]) == [DISK.key]


def test_each_way_counts():
    mail = Mail(ways=("telegram", "email"))
    mail.at(100, DISK)
    mail.at(112, DISK, sends=["telegram"], fails=["email"])
    assert mail.at(160, DISK) == []
    assert mail.at(111 + CALM, DISK, sends=["email"]) == []
    assert mail.at(112 + CALM, DISK) == [DISK.key]


def test_what_fails_while_another_gets_out_is_held_until_nothing_fails():
    mail = Mail()
    mail.at(100, DISK)
    for now in range(110, 400, 30):
        # Both within the moments between two looks.
        assert mail.at(now, DISK, sends=["telegram"], fails=["telegram"]) == []
        assert mail.at(now + 10, DISK, sends=["telegram"]) == []
    assert mail.deliveries.failing_for(["telegram"], 400) == 0
    assert mail.at(now + CALM, DISK) == [DISK.key]


def test_where_nobody_is_told_nothing_is_held():
    mail = Mail(ways=())
    mail.at(100, DISK)
    assert mail.at(100 + SENT_WITHIN, DISK) == [DISK.key]


def test_what_is_over_before_it_was_sent_is_held_until_it_was():
    mail = Mail()
    mail.at(100, DISK)
    mail.at(120, fails=["telegram"])
    # For Alertmanager it goes on.
    assert mail.posted[0].ends == 120 + HOLDS
    mail.at(700, sends=["telegram"])
    mail.at(703)
    assert mail.posted[0].ends == 703
    assert mail.box.letters == {}


def test_what_was_told_is_seen_off_at_once():
    mail = Mail()
    mail.at(100, DISK)
    mail.at(150, DISK, sends=["telegram"])
    mail.at(200)
    assert [alert.ends for alert in mail.posted] == [200]
    assert mail.box.letters == {}


def test_the_end_is_told_again_where_it_was_not_taken():
    mail = Mail()
    mail.at(100, DISK)
    mail.at(150, DISK, sends=["telegram"])
    mail.at(200, takes=False)
    mail.at(203)
    assert [alert.ends for alert in mail.posted] == [203]


def test_what_comes_back_is_the_same_thing():
    mail = Mail()
    mail.at(100, DISK)
    mail.at(110)
    mail.at(113, DISK)
    assert mail.posted[0].ends == 113 + HOLDS
    assert list(mail.box.letters) == [DISK.key]


def test_another_severity_ends_the_one_before():
    worse = Letter(DISK.key, {"service": "redis", "severity": "critical"}, {"summary": "96% full"}, 90.0)
    mail = Mail()
    mail.at(100, DISK)
    mail.at(150, DISK, sends=["telegram"])
    mail.at(160, worse)
    assert sorted((alert.labels.get("severity", ""), alert.ends) for alert in mail.posted) == [
        ("", 160),
        ("critical", 160 + HOLDS),
    ]
    # The one before is done with, and the other lasts.
    assert [(letter.key, letter.labels) for letter in mail.box.letters.values()] == [(DISK.key, worse.labels)]


def test_nobody_waits_for_old_news():
    mail = Mail()
    mail.at(100, DISK, fails=["telegram"])
    mail.at(200)
    assert mail.at(200 + STALE - 1) == []
    assert mail.at(200 + STALE) == [DISK.key]


def test_an_alertmanager_that_was_started_anew_counts_anew():
    mail = Mail()
    mail.counts["telegram"] = [40, 3]
    mail.at(100, DISK)
    mail.counts["telegram"] = [0, 0]
    mail.at(130, DISK)
    assert mail.at(150, DISK) == []
    assert mail.at(160, DISK, sends=["telegram"]) == [DISK.key]


def test_how_long_nothing_got_out():
    mail = Mail()
    mail.at(100, DISK, sends=["telegram"])
    mail.at(200, DISK, fails=["telegram"])
    assert mail.deliveries.failing_for(["telegram"], 1100) == 900
    mail.at(1200, DISK, sends=["telegram"])
    assert mail.deliveries.failing_for(["telegram"], 1300) == 0


def test_letters_outlive_the_process():
    mail = Mail()
    mail.at(100, DISK)
    kept = [Letter(**letter.to_dict()) for letter in mail.box.letters.values()]
    again = Mail(letters=kept)
    again.at(150)
    assert again.box.letters[DISK.key].ends == 150
