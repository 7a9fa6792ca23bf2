"""Two directories that change names in one instant."""

import pytest
from marketplace_durable import exchange


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
