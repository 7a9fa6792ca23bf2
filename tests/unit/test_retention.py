"""What stays within reach of a rollback, and what goes."""

from dataclasses import replace

import pytest
from marketplace_records import ReleaseRecord
from marketplace_retention import ancestors, keep_name, pinned, superfluous_images, superfluous_keepers

REPOSITORY = "registry.test/team/app"


def digest(letter: str) -> str:
    return "sha256:" + letter * 64


def record(number: int, outcome: str = "live", target: int | None = None) -> ReleaseRecord:
    return ReleaseRecord(
        release=f"2026010{number}T000000Z",
        version=f"1.{number}",
        image=f"{REPOSITORY}:1.{number}@{digest(str(number))}",
        previous=None,
        outcome=outcome,
        reason="",
        colour="blue",
        schema={},
        by="alice",
        tree="",
        started="",
        seconds=0.0,
        settings_digest="",
        kind="rollback" if target is not None else "release",
        target=f"2026010{target}T000000Z" if target is not None else None,
    )


def kept(*records: ReleaseRecord, keep: int) -> list[str]:
    return [item.origin for item in pinned(reversed(records), keep)]


def test_live_and_those_before_it_are_pinned() -> None:
    records = [record(number) for number in range(6)]
    assert kept(*records, keep=2) == ["20260105T000000Z", "20260104T000000Z", "20260103T000000Z"]
    assert kept(*records, keep=0) == ["20260105T000000Z"]
    assert kept(*records[:2], keep=5) == ["20260101T000000Z", "20260100T000000Z"]
    assert kept(keep=3) == []


def test_releases_that_never_were_live_are_not_counted() -> None:
    records = [record(0), record(1, "failed"), record(2, "rolled_back"), record(3)]
    assert kept(*records, keep=1) == ["20260103T000000Z", "20260100T000000Z"]


def test_rollback_counts_as_the_release_that_it_went_back_to() -> None:
    records = [record(0), record(1), record(2), record(3, target=1), record(4, target=1)]
    assert kept(*records, keep=2) == ["20260101T000000Z", "20260102T000000Z", "20260100T000000Z"]


def test_reading_stops_when_enough_are_found() -> None:
    def newest_first():  # type: ignore[no-untyped-def]
        yield record(2)
        yield record(1)
        raise AssertionError("read too far")

    assert len(pinned(newest_first(), 1)) == 2


NAMES = {
    f"{REPOSITORY}:1.1": "id1",
    f"{REPOSITORY}@{digest('1')}": "id1",
    f"{REPOSITORY}:1.2": "id2",
    f"{REPOSITORY}@{digest('2')}": "id2",
    f"{REPOSITORY}:1.3": "id3",
    f"{REPOSITORY}@{digest('3')}": "id3",
    keep_name("20260102T000000Z"): "id2",
    keep_name("20260103T000000Z"): "id3",
    "postgres:17": "id8",
    f"postgres@{digest('8')}": "id8",
    "registry.test/team/app-of-others:1": "id9",
}


def test_only_our_own_unneeded_names_go() -> None:
    assert superfluous_images(NAMES, [record(3), record(2)], REPOSITORY, []) == [
        f"{REPOSITORY}:1.1",
        f"{REPOSITORY}@{digest('1')}",
    ]


def test_names_of_an_image_that_a_container_uses_stay() -> None:
    used = [record(1).image]
    assert superfluous_images(NAMES, [record(3), record(2)], REPOSITORY, used) == []


@pytest.mark.parametrize("repository", ["docker.io/team/app", "team/app"])
def test_names_in_dockers_short_form_are_ours_as_well(repository: str) -> None:
    names = {"team/app:1.1": "id1", f"team/app@{digest('1')}": "id1", "redis:8": "id8"}
    assert superfluous_images(names, [], repository, []) == ["team/app:1.1", f"team/app@{digest('1')}"]


def test_image_that_two_releases_share_stays_for_the_one_that_is_kept() -> None:
    shared = replace(record(3), image=record(1).image)
    names = {
        f"{REPOSITORY}:1.1": "id1",
        f"{REPOSITORY}@{digest('1')}": "id1",
        keep_name("20260103T000000Z"): "id1",
    }
    assert superfluous_images(names, [shared], REPOSITORY, []) == []


def test_names_that_keep_releases_beyond_reach_go() -> None:
    assert superfluous_keepers(NAMES, [record(3)]) == [keep_name("20260102T000000Z")]
    assert superfluous_keepers(NAMES, [record(3), record(2)]) == []


def test_what_was_rolled_back_in_between_takes_no_slot_of_those_that_rollbacks_go_to() -> None:
    first, second, bad, back, bad_again = record(1), record(2), record(3), record(4, target=2), record(5)
    chained = [
        first,
        replace(second, previous=first.release),
        replace(bad, previous=second.release),
        replace(back, previous=bad.release),
        replace(bad_again, previous=back.release),
    ]
    lives = {item.release: item for item in chained}
    assert [item.version for item in ancestors(lives, chained[-1].previous, 2)] == ["1.2", "1.1"]


def test_name_that_only_looks_like_ours_is_left() -> None:
    names = {"keep:calm": "1", "keep:20260101T000000Z": "2", "keep:20260102T000000Za": "3"}
    assert superfluous_keepers(names, []) == ["keep:20260101T000000Z", "keep:20260102T000000Za"]
    assert superfluous_images(names, [], REPOSITORY, []) == [
        "keep:20260101T000000Z",
        "keep:20260102T000000Za",
    ]
