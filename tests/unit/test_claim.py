"""A copy belongs to one droplet: who else would write to it is kept from it."""

import pytest
from marketplace_claim import NotOurs, Owner, check, new_identity, owners

TARGET = "s3:bucket/x"
OURS = Owner("here-1", 7)


def test_the_file_says_whose_it_is_and_how_often_that_one_has_written():
    assert owners(["records/", OURS.file, "owner-", "owner-x", "something"]) == [OURS]


@pytest.mark.parametrize(
    ("there", "known"),
    [
        ([], False),
        # Written to before owners were named.
        (["records/"], True),
        (["records/", OURS.file], True),
        # Killed between the note here and the file there; or before the older file was deleted.
        (["records/", "owner-here-1.6"], True),
        (["records/", "owner-here-1.6", "owner-here-1.7"], True),
        # Nothing is known here any more, but who this is.
        (["records/", OURS.file], False),
    ],
)
def test_ours_may_be_written_to(there, known):
    check(TARGET, there, OURS, known)


@pytest.mark.parametrize(
    ("there", "known", "says"),
    [
        (["records/"], False, "not of this droplet.*--restore-from"),
        (["records/", "owner-there-2.1"], False, r"another droplet \(there-2\)"),
        (["records/", "owner-there-2.1"], True, r"another droplet \(there-2\)"),
        (["records/", "owner-there-2.1", OURS.file], True, r"another droplet \(there-2\)"),
        (["records/", "owner-here-1.8"], True, "newer than this droplet"),
    ],
)
def test_any_other_is_refused_in_words(there, known, says):
    with pytest.raises(NotOurs, match=f"{TARGET} .*{says}"):
        check(TARGET, there, OURS, known)


def test_no_two_droplets_are_called_alike():
    first, second = new_identity(), new_identity()
    assert first != second
    assert owners([Owner(first, 1).file]) == [Owner(first, 1)]
