"""Volumes: what is made, what is grown, and what is never touched."""

import struct

import marketplace_mount
import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_mount import (
    Failure,
    mark_changes,
    option_changes,
    prepare_mount,
    printed,
    unit_changes,
    used,
)
from marketplace_paths import Paths
from marketplace_volume import Device, Image, Plan, Refusal, filesystem_size, plan, plan_device

GIB = 1 << 30


def superblock(blocks, block_size=4096, sixty_four=False):
    data = bytearray(1024)
    struct.pack_into("<H", data, 0x38, 0xEF53)
    struct.pack_into("<I", data, 0x04, blocks & 0xFFFFFFFF)
    struct.pack_into("<I", data, 0x18, (block_size // 1024).bit_length() - 1)
    if sixty_four:
        struct.pack_into("<I", data, 0x60, 0x80)
        struct.pack_into("<I", data, 0x150, blocks >> 32)
    return bytes(data)


def test_a_superblock_tells_its_size():
    assert filesystem_size(superblock(262144)) == GIB
    assert filesystem_size(superblock(1 << 33, sixty_four=True)) == 4096 << 33
    assert filesystem_size(bytes(1024)) is None
    assert filesystem_size(b"") is None


def test_nothing_there_is_made():
    assert plan("/x.img", None, GIB).create


def test_one_that_is_gone_is_not_made_again():
    with pytest.raises(Refusal, match=r"it was made once, so no empty one .* touch /v/x\.start-empty"):
        plan("/v/x.img", None, GIB, used="it was made once")


def test_why_it_was_used_does_not_matter_to_one_that_is_there():
    assert plan("/x.img", Image(GIB, GIB, GIB), GIB, used="it was made once").create is False


def test_a_whole_one_is_left_alone():
    made = plan("/x.img", Image(GIB, GIB, GIB), GIB)
    assert (made.create, made.allocate, made.resize, made.note) == (False, False, False, "")


def test_a_larger_size_grows_image_and_file_system():
    made = plan("/x.img", Image(GIB, GIB, GIB), 2 * GIB)
    assert (made.create, made.allocate, made.resize) == (False, True, True)


def test_growing_that_was_interrupted_goes_on():
    made = plan("/x.img", Image(2 * GIB, 2 * GIB, GIB), 2 * GIB)
    assert (made.allocate, made.resize) == (False, True)


def test_a_smaller_size_is_reported_and_ignored():
    made = plan("/x.img", Image(2 * GIB, 2 * GIB, 2 * GIB), GIB)
    assert (made.create, made.allocate, made.resize) == (False, False, False)
    assert "never shrunk" in made.note


def test_small_holes_are_the_timers_and_large_ones_are_filled():
    assert not plan("/x.img", Image(GIB, GIB - (1 << 20), GIB), GIB).allocate
    assert plan("/x.img", Image(GIB, GIB // 2, GIB), GIB).allocate


def test_what_holds_something_else_is_never_formatted():
    with pytest.raises(Refusal, match=r"/x\.img exists but holds no ext4.* e2fsck -b 32768 /x\.img"):
        plan("/x.img", Image(GIB, GIB, None), GIB)


@given(st.integers(1, 1 << 40), st.integers(0, 1 << 40), st.integers(1, 1 << 40), st.integers(1, 1 << 40))
def test_an_existing_file_system_is_never_made_again(size, allocated, filesystem, wanted):
    assert not plan("/x.img", Image(size, allocated, filesystem), wanted).create


PATH = "/dev/disk/by-id/scsi-0DO_Volume_postgres"


def test_a_blank_device_is_formatted_and_a_larger_one_grown() -> None:
    assert plan_device(PATH, Device(GIB, None), GIB, "/x/postgres.img") == Plan(create=True)
    assert plan_device(PATH, Device(GIB, "ext4", GIB), GIB, "/x/postgres.img", "x") == Plan()
    assert plan_device(PATH, Device(2 * GIB, "ext4", GIB), GIB, "/x/postgres.img", "x") == Plan(resize=True)


@pytest.mark.parametrize(
    ("device", "used", "words"),
    [
        (None, "", "Attach the volume"),
        (Device(GIB - 1, None), "", "Enlarge the volume"),
        (Device(GIB, None), "there were data once", "install -D /dev/null /x/postgres.start-empty"),
        (Device(GIB, "xfs"), "", "holds xfs"),
        (Device(GIB, "gpt"), "", "holds gpt"),
        (Device(GIB, "ext4", None), "", "will not be touched"),
    ],
)
def test_a_device_that_must_not_be_touched_is_refused(device: Device | None, used: str, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        plan_device(PATH, device, GIB, "/x/postgres.img", used)


@pytest.mark.parametrize(
    ("mounted", "missing"),
    [
        ("rw,nosuid,nodev,noexec,noatime", None),
        ("ro,nosuid,nodev,noexec,noatime", None),
        ("rw,nosuid,noatime", "nodev,noexec"),
    ],
)
def test_options_that_a_mount_has_lost(mounted, missing):
    mounts = f"29 1 8:1 / / rw,relatime - ext4 /dev/a rw\n40 29 7:1 / /srv/x {mounted} - ext4 /dev/loop1 rw\n"
    options = "loop,noatime,nodev,nosuid,noexec"
    wanted = {"options": {"old": mounted, "new": missing}} if missing else {}
    assert option_changes("/srv/x", options, mounts) == wanted
    assert option_changes("/srv/y", options, mounts) == {}


@pytest.fixture
def image(tmp_path, monkeypatch):
    """Where an image would be, on a droplet that is a directory."""
    monkeypatch.setattr(marketplace_mount, "UNITS", tmp_path / "units")
    monkeypatch.setattr(marketplace_mount, "Paths", lambda: Paths(tmp_path))
    (tmp_path / "units").mkdir()
    return tmp_path / "volumes/redis.img"


def test_what_says_that_there_must_be_data(tmp_path, image):
    assert used(str(image), True) == ""
    ledger = Paths(tmp_path).ledger
    ledger.mkdir(parents=True)
    (ledger / "1.json").touch()
    assert "has had releases" in used(str(image), True)
    assert used(str(image), False) == ""
    image.parent.mkdir()
    image.with_suffix(".made").touch()
    assert "there were data once" in used(str(image), False)
    image.touch()
    assert "holds the data" in used(str(image), False)
    image.with_suffix(".start-empty").touch()
    assert used(str(image), True) == ""


@pytest.mark.parametrize("marked", [False, True])
def test_the_mark_comes_before_the_unit_and_uses_up_the_word_to_start_empty(tmp_path, image, marked):
    made, word = (image.with_suffix(suffix) for suffix in (".made", ".start-empty"))
    image.parent.mkdir()
    word.touch()
    if marked:
        made.touch()
    changes = mark_changes(str(image)) | unit_changes("/srv/x", "[Unit]\n")
    assert set(changes) == {"unit", "enabled"} | (set() if marked else {"mark"})
    ran = []

    def run(*command):
        assert (made.exists(), word.exists()) == (True, False)
        ran.append(" ".join(command))

    options = {"options": {"old": "rw", "new": "noexec"}}
    prepare_mount("/srv/x", str(image), "[Unit]\n", True, changes | options, run)
    assert (tmp_path / "units/srv-x.mount").read_text() == "[Unit]\n"
    assert ran == [
        "systemctl daemon-reload",
        "systemctl --quiet enable srv-x.mount",
        "mount --options remount,noexec /srv/x",
    ]
    assert mark_changes(str(image)) == {}


def test_a_tool_that_fails_is_named_with_what_it_said():
    result = {"retcode": 1, "stdout": "fixed", "stderr": ""}
    assert printed(("e2fsck", "-p"), result, (0, 1)) == "fixed"
    with pytest.raises(Failure, match="e2fsck -p failed: fixed"):
        printed(("e2fsck", "-p"), result)
