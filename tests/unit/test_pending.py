"""The list of pending restarts."""

import json

from marketplace_pending import RESTART, record, subjects


def test_finders_keep_to_their_own(tmp_path):
    path = tmp_path / "state/pending.json"
    record(path, "pending restart in data", {"redis": "image a -> b"})
    record(path, "pending restart of postgres", {"max_connections": "setting changed"})
    assert json.loads(path.read_text()) == [
        "pending restart in data: redis (image a -> b)",
        "pending restart of postgres: max_connections (setting changed)",
    ]
    record(path, "pending restart in data", {})
    assert json.loads(path.read_text()) == ["pending restart of postgres: max_connections (setting changed)"]


def test_nothing_to_say_writes_nothing(tmp_path):
    path = tmp_path / "pending.json"
    record(path, "pending restart in data", {})
    assert not path.exists()


def test_what_is_waited_for(tmp_path):
    path = tmp_path / "pending.json"
    assert subjects(path, RESTART) == []
    record(path, f"{RESTART}data", {"redis": "image a: b (c)"})
    record(path, "pending restart of postgres", {"max_connections": "setting changed"})
    assert subjects(path, RESTART) == ["redis"]
