"""Whose a copy is: a droplet that was replaced, or is back as it was, is kept from shipping to it."""

from datetime import timedelta

from marketplace_ship import ship, take_over, was_fetched
from marketplace_ship_memory import Memory

from tests.support.shelf import (
    NOW,
    Shelf,
    droplet,
    droplet_with_a_backup,  # noqa: F401 - a fixture
    keep,
    no_house,  # noqa: F401 - a fixture
    tools,  # noqa: F401 - a fixture
)


def test_a_droplet_that_was_replaced_is_refused_and_the_new_one_goes_on(here, tmp_path):
    shelf, new = Shelf(), droplet(tmp_path / "new")
    ship(here, shelf, "x")
    take_over(new, shelf, "x")
    shelf.get(new.paths.backups, sorted(shelf.backups))
    was_fetched(new, shelf, "x")
    before = set(shelf.backups)
    assert ship(new, shelf, "x")["files"] == 0
    keep(here, "2")
    refused = ship(here, shelf, "x")
    assert (refused["outcome"], shelf.backups) == ("failed", before)
    assert "another droplet" in refused["reason"]
    keep(new, "3")
    assert ship(new, shelf, "x")["files"] == 2


def test_a_droplet_that_comes_back_as_it_was_is_refused(here):
    shelf = Shelf()
    ship(here, shelf, "x")
    file = here.paths.state / "shipped.json"
    yesterday = file.read_text()
    keep(here, "2")
    ship(here, shelf, "x")
    before = dict(shelf.files)
    file.write_text(yesterday)
    keep(here, "2", "another")
    refused = ship(here, shelf, "x")
    assert (refused["outcome"], shelf.files) == ("failed", before)
    assert "newer than this droplet" in refused["reason"]


def test_what_was_shipped_before_copies_had_owners_counts(here):
    shelf = Shelf()
    ship(here, shelf, "x")
    shelf.files.pop(shelf.owner)
    memory = Memory.read(here)
    memory.place, memory.identity = "", ""
    memory.write(here)
    keep(here, "2")
    assert ship(here, shelf, "x")["files"] == 2


def test_a_copy_that_another_droplet_has_taken_over_is_noticed_without_anything_to_send(here, tmp_path):
    shelf = Shelf()
    ship(here, shelf, "x")
    take_over(droplet(tmp_path / "new"), shelf, "x")
    assert ship(here, shelf, "x")["outcome"] == "shipped"
    here.clock.now = lambda: NOW + timedelta(hours=25)
    assert "another droplet" in ship(here, shelf, "x")["reason"]
