"""Whose log lines the journal drops."""

import json

from marketplace_flood import flooding

SERVICES = {"backend": "backend", "worker": "backend", "redis": "redis"}


class Journal:
    """journalctl, with what the journals say about dropped lines."""

    def __init__(self, *dropped):
        self.dropped = dropped

    def run(self, argv, timeout, environment):
        assert "--namespace=*" in argv
        return "\n".join(["-- a word of its own --", *map(json.dumps, self.dropped)])


def suppressed(count, journal):
    return {"MESSAGE": f"Suppressed {count} messages from docker.service", "_NAMESPACE": journal}


def test_a_quiet_journal():
    assert flooding(Journal(), SERVICES) == {}


def test_the_journal_says_whose_lines_they_were():
    journal = Journal(suppressed(1200, "backend"), suppressed(300, "worker"), suppressed(7, "redis"))
    assert flooding(journal, SERVICES) == {
        "backend": "its log is cut off: 1500 lines were dropped in the last 5 minutes",
        "redis": "its log is cut off: 7 lines were dropped in the last 5 minutes",
    }


def test_other_journals_are_nobodys_of_ours():
    assert flooding(Journal(suppressed(9, None), suppressed(9, "another")), SERVICES) == {}
