"""The edge's maps: which colour is live, and who keeps it closed."""

from pathlib import Path

import pytest
from marketplace_edge import Edge, EdgeError


def test_who_keeps_the_edge_closed_is_a_file_of_two_lines(tmp_path: Path) -> None:
    edge = Edge(tmp_path / "live.map", tmp_path / "maintenance.map", tmp_path / "socket")
    assert edge.maintenance() == {"operator": False, "release": False}
    with pytest.raises(EdgeError, match="HAProxy does not answer"):
        edge.maintain("operator", True)
    assert (tmp_path / "maintenance.map").read_text() == "operator on\nrelease off\n"
    assert edge.maintenance() == {"operator": True, "release": False}


def test_live_map_that_says_something_else_is_no_answer(tmp_path: Path) -> None:
    edge = Edge(tmp_path / "live.map", tmp_path / "maintenance.map", tmp_path / "socket")
    assert edge.live() is None
    for text in ("", "live red\n", "# comment\nlive blue\n", "live blue\nlive green\n"):
        (tmp_path / "live.map").write_text(text)
        with pytest.raises(EdgeError, match="expected one line such as 'live blue'"):
            edge.live()
