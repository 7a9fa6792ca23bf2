"""A copy belongs to one droplet: who else would write to it is kept from it."""

import pytest
from marketplace_claim import claim, new_identity, seize
from marketplace_vault import VaultError


class Shelf:
    """A copy's top, in memory."""

    target = "s3:bucket/x"

    def __init__(self, *names):
        self.names = set(names)

    def top(self):
        return sorted({name.split("/")[0] + ("/" if "/" in name else "") for name in self.names})

    def put(self, directory, names):
        assert all((directory / name).is_file() for name in names)
        self.names |= set(names)

    def drop(self, names):
        self.names -= set(names)


def test_an_empty_one_is_claimed_and_stays_claimed(tmp_path):
    shelf = Shelf()
    claim(shelf, tmp_path, "here-1", known=False)
    assert shelf.names == {"owner-here-1"}
    claim(shelf, tmp_path, "here-1", known=True)
    assert shelf.names == {"owner-here-1"}


def test_one_that_this_droplet_has_written_to_is_claimed(tmp_path):
    shelf = Shelf("records/postgres-1.json")
    claim(shelf, tmp_path, "here-1", known=True)
    assert "owner-here-1" in shelf.names


def test_one_with_backups_of_nobody_known_is_refused(tmp_path):
    shelf = Shelf("records/postgres-1.json")
    with pytest.raises(VaultError, match=r"not of this droplet.*--restore-from"):
        claim(shelf, tmp_path, "here-1", known=False)
    assert shelf.names == {"records/postgres-1.json"}


@pytest.mark.parametrize("known", [True, False])
def test_that_of_another_is_refused_by_name(tmp_path, known):
    shelf = Shelf("records/postgres-1.json", "owner-there-2")
    with pytest.raises(VaultError, match=r"another droplet .there-2..*takeover=True"):
        claim(shelf, tmp_path, "here-1", known=known)
    assert shelf.names == {"records/postgres-1.json", "owner-there-2"}


def test_who_takes_it_over_keeps_the_other_from_it(tmp_path):
    shelf = Shelf("records/postgres-1.json", "owner-there-2")
    seize(shelf, tmp_path, "here-1")
    claim(shelf, tmp_path, "here-1", known=True)
    with pytest.raises(VaultError, match="here-1"):
        claim(shelf, tmp_path, "there-2", known=True)
    assert shelf.names == {"records/postgres-1.json", "owner-here-1"}


def test_two_that_both_took_it_over_are_both_refused(tmp_path):
    shelf = Shelf("owner-there-2", "owner-here-1")
    for identity in ("here-1", "there-2"):
        with pytest.raises(VaultError, match="another droplet"):
            claim(shelf, tmp_path, identity, known=True)


def test_no_two_droplets_are_called_alike():
    first, second = new_identity(), new_identity()
    assert first != second
    assert all(name.replace("-", "").isalnum() for name in (first, second))
