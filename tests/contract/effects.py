"""What the checks work with."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketplace_lock import Lock
from marketplace_world import World

# The containers, the compose project and the image name of the checks.
PROBE, PROJECT, ONE_OFF, NAME = "contract-probe", "contract", "contract-one-off", "contract:probe"


@dataclass(frozen=True)
class Effects:
    """The effects of a droplet on which a release is live.

    Attributes:
        place: an empty directory for the checks; lock: not the droplet's own.
        settings: the effective ones; image: of the live release, with tag and digest.
        compose: a compose document whose service ``probe`` is ``good`` or ``exits``.
        one_off: arguments of a one-off container that ``prints`` (``out`` and ``err``), ``fails`` (with code 3),
            ``hangs`` or has an image that is ``missing``.
        leave_stray: makes the half-made container that a killed compose leaves of the probe; its name.
        change_database: writes something; database_changed: whether that is there.
        dies_holding: a process takes the lock and dies.
        post: Telegram posts something to the bot, at its public address, that is no update; the answer's status.
    """

    world: World
    place: Path
    lock: Lock
    settings: Mapping[str, Any]
    image: str
    compose: Callable[[str], str]
    one_off: Callable[[str], Sequence[str]]
    leave_stray: Callable[[], str]
    change_database: Callable[[], None]
    database_changed: Callable[[], bool]
    dies_holding: Callable[[Lock], None]
    post: Callable[[], int]

    @property
    def database(self) -> str:
        return str(self.settings["postgres"]["database"])


Check = Callable[[Effects], None]


@contextmanager
def raises(kind: type[Exception], words: str = "") -> Iterator[None]:
    """The block raises ``kind``, with ``words`` in its message. (There is no pytest on a droplet.)"""
    caught: Exception | None = None
    try:
        yield
    except kind as error:
        caught = error
    assert caught is not None, f"nothing raised {kind.__name__}"
    assert words in str(caught), f"{words!r} is not in {caught!r}"
