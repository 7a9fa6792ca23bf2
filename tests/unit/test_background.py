"""What works in the background leaves a processor alone."""

import os
from pathlib import Path

import pytest
from marketplace_background import NIGHTLY, SLICE, background_processors, own_slice


@pytest.mark.parametrize(("there", "used"), [({0}, {0}), ({0, 1}, {1}), ({2, 3, 5}, {3, 5})])
def test_the_first_processor_is_left_to_users(
    monkeypatch: pytest.MonkeyPatch, there: set[int], used: set[int]
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: there)
    assert background_processors() == used


@pytest.mark.parametrize(
    ("group", "found"),
    [
        ("0::/background.slice/background-nightly.slice/backup-7.scope", NIGHTLY),
        ("1:name=systemd:/background.slice/backup-7.scope\n0::/", SLICE),
        ("0::/user.slice/user-0.slice/session-1.scope", SLICE),
    ],
)
def test_what_is_started_for_the_nightly_backup_has_its_limit(tmp_path: Path, group: str, found: str) -> None:
    groups = tmp_path / "cgroup"
    groups.write_text(f"{group}\n")
    assert own_slice(groups) == found
