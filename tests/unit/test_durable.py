"""Files that are written whole or not at all, and two directories that change names in one instant."""

import errno
from pathlib import Path

import pytest
from marketplace_durable import Disk, exchange, make_directory, read_json, write_atomic


def test_directories_change_names(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which").write_text(name)
    exchange(tmp_path / "old", tmp_path / "new")
    assert (tmp_path / "old/which").read_text() == "new"
    assert (tmp_path / "new/which").read_text() == "old"


def test_nothing_changes_where_one_is_missing(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(FileNotFoundError, match="old"):
        exchange(tmp_path / "old", tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_atomic_write_replaces_whole_files_and_leaves_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "one", mode=0o600)
    write_atomic(path, b"two", mode=0o640)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o640
    with pytest.raises(TypeError):
        write_atomic(path, 3)  # type: ignore[arg-type]
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
    make_directory(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[")
    with pytest.raises(ValueError, match=r"x\.json is not valid JSON"):
        read_json(tmp_path / "x.json")
    assert read_json(tmp_path / "missing.json") is None


class Full(Disk):
    def sync_file(self, path):
        raise OSError(errno.ENOSPC, "No space left on device")

    def mkdir(self, path, mode):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_who_has_no_room_is_told_for_what_and_what_to_do(tmp_path):
    (tmp_path / "live.map").write_text("live blue")
    with pytest.raises(
        OSError, match=r"live\.map can't be written, no space left .*salt-call health\.check"
    ) as full:
        Full().write(tmp_path / "live.map", "live green")
    assert full.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match=r"ledger can't be written, disk quota exceeded"):
        Full().make_directory(tmp_path / "ledger")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("live.map", "live blue")]
