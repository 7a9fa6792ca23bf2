"""Whose log lines the journal drops: told from what it kept just before."""

import json

from marketplace_flood import flooding

SERVICES = {"backend-blue": "backend", "worker-blue": "backend", "redis": "redis"}


class Journal:
    """journalctl, with what it says about dropped lines and what it kept before that."""

    def __init__(self, dropped, kept=()):
        self.dropped, self.kept, self.asked = dropped, kept, []

    def run(self, argv, timeout, environment):
        self.asked.append(argv)
        rows = self.dropped if any("MESSAGE_ID" in word for word in argv) else self.kept
        return "\n".join(["-- a word of its own --", *map(json.dumps, rows)])


def suppressed(count, unit="docker.service"):
    return {"MESSAGE": f"Suppressed {count} messages from {unit}", "__REALTIME_TIMESTAMP": "1700000000250000"}


def test_a_quiet_journal_is_asked_once():
    journal = Journal([])
    assert flooding(journal, SERVICES) == {}
    assert len(journal.asked) == 1


def test_the_loudest_before_it_is_who_it_was_for():
    kept = [{"CONTAINER_NAME": "redis"}] * 3 + [{"CONTAINER_NAME": "backend-blue"}] * 400 + [{}]
    journal = Journal([suppressed(1200), suppressed(300)], kept)
    assert flooding(journal, SERVICES) == {
        "backend": "its log is cut off: 1500 lines were dropped in the last 5 minutes"
    }
    assert "--until=@1700000000.250000" in journal.asked[1]


def test_other_units_and_other_containers_are_nobody_of_ours():
    assert flooding(Journal([suppressed(9, "cron.service")]), SERVICES) == {}
    assert flooding(Journal([suppressed(9)], [{"CONTAINER_NAME": "stranger"}]), SERVICES) == {}
    assert flooding(Journal([suppressed(9)]), SERVICES) == {}
