"""New secrets for old ones, without anybody being turned away: for a while both are taken.

    new value beside the old -> whoever asks for it takes both -> a release with the new one -> old one gone

What is there says how far it is: which secrets are being replaced is noted from the first moment to the last, and the
value before is in the secret store for as long as it counts. So a rotation that was cut off anywhere is gone on with by
asking for it again.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from marketplace_secrets import Store, UnknownSecret

_DATABASE = ("marketplace.secrets", "marketplace.database", "marketplace.backup")
_CACHE = ("marketplace.secrets", "marketplace.cache")
# Exporters log in as well, where there are any.
_MEASURED = "marketplace.measured"
_WEBHOOK = ("marketplace.edge", "marketplace.webhook")


@dataclass(frozen=True)
class Way:
    """How a secret is replaced.

    Args:
        states: what brings it to those who ask for it and those who show it.
        ships: whether the running backend read it when it started.
    """

    states: tuple[str, ...]
    ships: bool = False


WAYS: dict[str, Way] = {
    "webhook_secret": Way(_WEBHOOK),
    "webhook_path": Way(_WEBHOOK),
    "redis_app_password": Way(_CACHE, ships=True),
    "redis_operator_password": Way(_CACHE),
    "redis_monitoring_password": Way((*_CACHE, _MEASURED)),
    "postgres_app_password": Way(_DATABASE, ships=True),
    "postgres_owner_password": Way(_DATABASE),
    "postgres_backup_password": Way(_DATABASE),
    "postgres_monitoring_password": Way((*_DATABASE, _MEASURED)),
    "postgres_superuser_password": Way(_DATABASE),
}
DATABASE_LOGIN = "postgres_app_password"
# Those that nobody can take two of for a while, and why.
_NOT_BESIDE = {
    "backend_webhook_secret": "backend_webhook_secret is known to the edge and the backend alone, and the edge gives"
    " every colour the same one: deploy.maintenance on, another value in pillar (secrets.backend_webhook_secret),"
    " state.apply, deploy.release of the live version, deploy.maintenance off",
    "backup_key": "backup_key is what the backups that are elsewhere can be read with, and they need it to stay",
}


class RotationError(Exception):
    """A step failed; the message says which and why. Both values are taken, and the rotation can be gone on with."""


class Hands(Protocol):
    """What a rotation does to the droplet. Each may be done again; each raises RotationError where it fails."""

    def alone(self) -> AbstractContextManager[None]:
        """No release, backup or job begins during the block: it would read one value, and meet the other."""

    def admit(self) -> None:
        """Let those containers of the backend that run now into the database, whatever password they know."""

    def readmit(self) -> None:
        """Let nobody into the database without today's password."""

    def apply(self, states: tuple[str, ...]) -> None:
        """Apply states."""

    def ship(self) -> str:
        """Release the live version again; the release's id, or "" where nothing is live."""

    def note(self, names: Collection[str]) -> None:
        """Keep in mind, for people as well, which secrets are being replaced; none: no longer any."""

    def noted(self) -> list[str]:
        """Which are."""


def refusal(names: Collection[str], kinds: dict[str, str], managed: Collection[str] = ()) -> str | None:
    """Why the secrets ``names`` are not replaced; None where they may be.

    Args:
        kinds: ``given`` or ``generated`` for each secret of the settings.
        managed: services at a provider.
    """
    for name in names:
        if name in _NOT_BESIDE:
            return _NOT_BESIDE[name]
        if name not in WAYS:
            return f"{name} can't be replaced like this. Try: one of {', '.join(WAYS)}"
        if name.partition("_")[0] in managed:
            return (
                f"{name} is the provider's: change it there, put the new one into pillar (secrets.{name}), then "
                "state.apply and deploy.release of the live version (docs/managed.md)"
            )
        if kinds.get(name) == "given":
            return (
                f"pillar gives {name}: take it out there, state.apply, then settings.rotate {name}. Another value in"
                " its place turns whoever runs with the one before away at once: the backend until deploy.release"
            )
    return None


def rotate(names: list[str], store: Store, hands: Hands, say: Callable[[str], None]) -> dict[str, Any]:
    """Replace secrets; those whose replacement was cut off before are gone on with as well.

    Args:
        names: of the secrets; all of :data:`WAYS`.
        store: the droplet's secrets.
        hands: the effects.
        say: hears of each step.

    Returns:
        ``{"outcome": "rotated", "secrets": names, "release": its id or ""}``

    Raises:
        RotationError: a step failed.
    """
    wanted = list(dict.fromkeys([*hands.noted(), *names]))
    states = tuple(dict.fromkeys(state for name in wanted for state in WAYS[name].states))
    with hands.alone():
        hands.note(wanted)
        if DATABASE_LOGIN in wanted:
            say("the running backend keeps its way into the database")
            hands.admit()
        with _storing():
            for name in wanted:
                if store.replace(name):
                    say(f"{name} has a new value")
        say("the new values are taken beside those before")
        hands.apply(states)
    release = ""
    if any(WAYS[name].ships for name in wanted):
        say("the backend is released again, with the new values")
        release = hands.ship()
    say("the values before are no longer taken")
    hands.readmit()
    with _storing():
        for name in wanted:
            store.forget(name)
    hands.apply(states)
    hands.note(())
    return {"outcome": "rotated", "secrets": wanted, "release": release}


@contextmanager
def _storing() -> Iterator[None]:
    """The store may lack a secret, or its disk be full."""
    try:
        yield
    except (UnknownSecret, OSError) as error:
        raise RotationError(str(error)) from error
