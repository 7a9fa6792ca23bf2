"""The lock: who holds it, who waits for it, and that a dead owner holds nothing."""

import errno
import os
import time
from pathlib import Path

import pytest
from marketplace_lock import Lock, LockHeld


def test_lock_names_its_living_owner_and_forgets_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    child = os.fork()
    if child == 0:
        with Lock(path).held("alice", "release of 1"):
            os._exit(0)  # dies with the lock in its hands
    os.waitpid(child, 0)
    assert Lock(path).holder() is None
    with Lock(path).held("bob", "release of 2"):
        holder = Lock(path).holder()
        assert holder is not None
        assert (holder["by"], holder["doing"], holder["pid"]) == ("bob", "release of 2", os.getpid())
        with pytest.raises(LockHeld, match=r"release of 2 by bob \(pid \d+\)"), Lock(path).held("c", "d"):
            pass
    assert Lock(path).holder() is None


def test_lock_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with Lock(path).held("alice", "release of 1"):
            os.write(writer, b"held")
            time.sleep(0.3)
        os._exit(0)
    assert os.read(reader, 4) == b"held"
    with pytest.raises(LockHeld, match=r"\(waited 0 s\)|by alice"), Lock(path).held("bob", "b", wait=0.0):
        pass
    with Lock(path).held("bob", "release of 2", wait=30):
        assert Lock(path).holder()["by"] == "bob"  # type: ignore[index]
    os.waitpid(child, 0)


def test_looking_at_the_lock_never_refuses_a_release(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.touch()
    child = os.fork()
    if child == 0:
        for _ in range(20000):
            Lock(path).holder()
        os._exit(0)
    for _ in range(50):
        with Lock(path).held("alice", "release"):
            pass
    os.waitpid(child, 0)


def test_a_full_disk_keeps_nobody_from_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = Lock(tmp_path / "lock")
    with lock.held("alice", "release of 1"):
        pass

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with lock.held("bob", "release of 2"):
        refused = lock.refusal()
        assert lock.holder()
    assert refused is not None
    assert "something by somebody" in str(refused)
