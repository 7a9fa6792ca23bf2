"""Disk, journal, and the lock."""

from marketplace_journal import Journal
from marketplace_lock import LockHeld

from tests.contract.effects import Effects, raises


def check_write_replaces_the_whole_file_and_leaves_no_litter(effects: Effects) -> None:
    disk, file = effects.world.disk, effects.place / "file"
    disk.write(file, "one\n")
    disk.write(file, b"two\n", mode=0o600)
    assert disk.read_text(file) == "two\n"
    assert disk.names(effects.place) == ["file"]
    assert disk.remove(file) is True
    assert disk.names(effects.place) == []


def check_what_is_not_there(effects: Effects) -> None:
    disk, nothing = effects.world.disk, effects.place / "nothing"
    with raises(FileNotFoundError):
        disk.read_text(nothing)
    with raises(FileNotFoundError):
        disk.unlink(nothing)
    with raises(FileNotFoundError):
        disk.sync_file(nothing)
    with raises(FileNotFoundError):
        disk.sync_directory(nothing)
    with raises(FileNotFoundError):
        disk.rename(nothing, effects.place / "something")
    with raises(OSError):
        disk.write(nothing / "below", "text")
    assert disk.names(nothing) == []
    assert disk.remove(nothing) is False
    assert disk.is_directory(nothing) is False
    assert disk.read_json(nothing) is None
    assert disk.names(effects.place) == []


def check_directories_are_made_with_their_parents(effects: Effects) -> None:
    disk, below = effects.world.disk, effects.place / "above" / "below"
    disk.make_directory(below)
    disk.make_directory(below)
    disk.mkdir(below, 0o755)
    assert disk.is_directory(below)
    assert disk.names(effects.place) == ["above"]
    assert disk.names(below.parent) == ["below"]


def check_temporary_file_lies_beside_its_target_and_takes_its_place(effects: Effects) -> None:
    disk, file = effects.world.disk, effects.place / "target"
    disk.write(file, "old")
    temporary = disk.create_temporary(file, b"new", 0o644, None, None)
    assert temporary.parent == file.parent
    assert temporary.name.startswith(".target.")
    assert disk.read_text(temporary) == "new"
    assert disk.read_text(file) == "old"
    disk.sync_file(temporary)
    disk.rename(temporary, file)
    disk.sync_directory(file.parent)
    assert disk.read_text(file) == "new"
    assert disk.names(effects.place) == ["target"]
    disk.remove(file)


def check_json_that_is_none_is_named(effects: Effects) -> None:
    disk, file = effects.world.disk, effects.place / "x.json"
    disk.write(file, '{"a": 1}')
    assert disk.read_json(file) == {"a": 1}
    disk.write(file, "{")
    with raises(ValueError, "x.json is not valid JSON"):
        disk.read_json(file)
    disk.remove(file)


def check_journal_is_withdrawn_and_cleared(effects: Effects) -> None:
    journal = Journal(effects.place / "journal", effects.world.disk)
    assert journal.read() is None
    journal.clear()
    journal.write({"step": "pull"})
    journal.withdraw("r1", "bob")
    assert journal.read() == {"step": "pull"}
    assert (journal.withdrawn("r1"), journal.withdrawn("r2")) == ("bob", None)
    journal.clear()
    assert (journal.read(), journal.withdrawn("r1")) == (None, None)


def check_lock_names_its_holder_and_refuses_others(effects: Effects) -> None:
    lock = effects.lock
    assert lock.holder() is None
    with lock.held("alice", "release of 1"):
        holder = lock.holder()
        assert holder is not None
        assert (holder["by"], holder["doing"]) == ("alice", "release of 1")
        assert {"pid", "since"} <= set(holder)
        with raises(LockHeld, "release of 1 by alice"), lock.held("bob", "release of 2"):
            pass
        begun = effects.world.clock.monotonic()
        with raises(LockHeld, "waited 1 s"), lock.held("bob", "release of 2", wait=1.0):
            pass
        assert effects.world.clock.monotonic() - begun >= 1.0
    assert lock.holder() is None


def check_lock_is_free_after_an_error_and_after_a_death(effects: Effects) -> None:
    lock = effects.lock
    with raises(ZeroDivisionError), lock.held("alice", "release of 1"):
        raise ZeroDivisionError
    assert lock.holder() is None
    effects.dies_holding(lock)
    assert lock.holder() is None
    with lock.held("bob", "release of 2"):
        pass
