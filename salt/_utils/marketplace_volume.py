"""Pure decisions about a fixed-size file system in an image file: what to do, and what never to do."""

import struct
from dataclasses import dataclass
from pathlib import Path

SUPERBLOCK_OFFSET = 1024
SUPERBLOCK_SIZE = 1024
_MAGIC = 0xEF53


@dataclass(frozen=True)
class Image:
    """What stands on disk: sizes in bytes; ``filesystem`` is the ext file system's size, None when there is none."""

    size: int
    allocated: int
    filesystem: int | None


@dataclass(frozen=True)
class Plan:
    """What ``volume.mounted`` has to do.

    Attributes:
        create: make the image and its file system.
        allocate: reserve the image's blocks up to ``size`` (grow, or fill holes).
        resize: grow the file system to the image.
        note: what the operator should know although nothing is done about it.
    """

    create: bool = False
    allocate: bool = False
    resize: bool = False
    note: str = ""


@dataclass(frozen=True)
class Marks:
    """Files beside the image that outlive it.

    Attributes:
        made: says that the image was made once, so that one that is gone is not taken for one that never was.
        start_empty: an operator's word that a new, empty one is wanted all the same; used up by making it.
    """

    made: Path
    start_empty: Path

    @classmethod
    def beside(cls, image: str) -> "Marks":
        return cls(Path(image).with_suffix(".made"), Path(image).with_suffix(".start-empty"))


class Refusal(Exception):
    """The image must not be touched; the message says why and what to do."""


def filesystem_size(superblock: bytes) -> int | None:
    """Size in bytes of the ext file system with this superblock (the image's bytes 1024 to 2047), or None."""
    if len(superblock) < 0x154 or struct.unpack_from("<H", superblock, 0x38)[0] != _MAGIC:
        return None
    blocks = struct.unpack_from("<I", superblock, 0x04)[0]
    block_size = 1024 << struct.unpack_from("<I", superblock, 0x18)[0]
    if struct.unpack_from("<I", superblock, 0x60)[0] & 0x80:  # 64bit: the block count has a high half
        blocks |= struct.unpack_from("<I", superblock, 0x150)[0] << 32
    return int(blocks * block_size)


def plan(path: str, image: Image | None, size: int, used: str = "") -> Plan:
    """Decide how to get from what stands to a fully allocated file system of ``size`` bytes.

    Args:
        path: the image file, for messages.
        image: what stands, None when there is no such file.
        size: bytes asked for.
        used: why a missing image must have held data, empty when it may be made.

    Raises:
        Refusal: the file holds something that is not an ext file system, or is gone although there was one.
    """
    if image is None and used:
        raise Refusal(
            f"{path} is not there, but {used}, so no empty one is made in its place. "
            "Bring the image back and apply again; to start with an empty one on purpose: "
            f"touch {Marks.beside(path).start_empty}, then apply again."
        )
    if image is None:
        return Plan(create=True)
    if image.filesystem is None:
        raise Refusal(
            f"{path} exists but holds no ext4 file system, so it will not be touched. "
            f"A damaged superblock has copies: e2fsck -b 32768 {path} repairs it from one. "
            f"What holds something else (file {path} tells) is to be moved away by hand."
        )
    wanted = max(size, image.size)
    note = ""
    if size < image.size:
        note = f"stays at {image.size} bytes: a volume is never shrunk (asked for {size})"
    # Zeroing inside the file system punches small holes all the time; a timer fills them. What lacks more than one
    # part in a hundred was given away at once. A file system may end a few blocks before its image does.
    return Plan(
        allocate=image.size < wanted or image.allocated < wanted - wanted // 100,
        resize=wanted - image.filesystem >= 1 << 20,
        note=note,
    )


@dataclass(frozen=True)
class Device:
    """A block device: its size in bytes; what is on it (``ext4``, another signature's name, or None); the ext file
    system's size in bytes."""

    size: int
    holds: str | None
    filesystem: int | None = None


def plan_device(path: str, device: Device | None, size: int, image: str, used: str = "") -> Plan:
    """Decide how to get from a block volume to a file system that fills it; ``create`` formats, ``resize`` grows.

    Args:
        path: the device, for messages.
        device: what stands, None where there is no such block device.
        size: bytes that it must have at least.
        image: where the image file would be, had no device been asked for; its marks serve the device as well.
        used: why a blank device must have held data, empty when it may be formatted.

    Raises:
        Refusal: it is missing, too small, holds something else, or is blank although there were data.
    """
    if device is None:
        raise Refusal(
            f"{path} is no block device here. Attach the volume to the droplet (ls /dev/disk/by-id shows what is"
            " attached), or put its right name into pillar"
        )
    if device.size < size:
        raise Refusal(
            f"{path} has {device.size} bytes, and {size} are asked for. Enlarge the volume at the provider, then apply"
            " again; or ask for a smaller disk in pillar"
        )
    if device.holds is None and used:
        raise Refusal(
            f"{path} is blank, but {used}, so it is not formatted. Attach the volume with the data; to start with an"
            f" empty one on purpose: install -D /dev/null {Marks.beside(image).start_empty}, then apply again"
        )
    if device.holds is None:
        return Plan(create=True)
    if device.holds != "ext4" or device.filesystem is None:
        raise Refusal(
            f"{path} holds {device.holds}, not an ext4 file system, so it will not be touched. Attach another volume,"
            f" or blank this one by hand (wipefs --all {path} destroys what is on it)"
        )
    return Plan(resize=device.size - device.filesystem >= 1 << 20)


def is_built(volumes: Path) -> bool:
    """Whether states have made a volume: of a block volume there is its mark alone.

    Args:
        volumes: where images and marks are. A rebuild says there beforehand which volumes may be empty.
    """
    return any(file.suffix in (".img", ".made") for file in volumes.glob("*"))
