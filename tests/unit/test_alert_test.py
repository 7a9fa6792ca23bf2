"""The test alert: by every way, and what is said of each."""

import pytest
from marketplace_alert_test import probe
from marketplace_alertmanager import AlertmanagerError, Attempts


class Fake:
    """An Alertmanager that has counted so much before it is given anything, and so much behind."""

    def __init__(self, before, after):
        self.before, self.after, self.alerts = before, after, []

    def post(self, alerts):
        self.alerts += alerts

    def attempts(self):
        return self.after if self.alerts else self.before


def test_what_went_out():
    fake = Fake({"telegram": Attempts(4, 1)}, {"telegram": Attempts(5, 1)})
    assert probe(fake, ["telegram"], "production", "anna") == {"telegram": "sent"}
    [alert] = fake.alerts
    assert "asked for by anna" in alert.annotations["summary"]
    assert (alert.labels["kind"], alert.labels["severity"]) == ("event", "info")


def test_what_did_not():
    fake = Fake({}, {"telegram": Attempts(3, 2), "email": Attempts(2, 2)})
    told = probe(fake, ["telegram", "email", "webhook"], "production", "anna", longest=0)
    assert told["telegram"] == "sent"
    assert told["email"].startswith("tried 2 times in vain; see: journalctl")
    assert told["webhook"].startswith("not sent yet")


def test_without_alertmanager_nothing_is_said_to_be_sent():
    class Away(Fake):
        def attempts(self):
            raise AlertmanagerError("does not answer")

    with pytest.raises(AlertmanagerError):
        probe(Away({}, {}), ["telegram"], "production", "anna")
