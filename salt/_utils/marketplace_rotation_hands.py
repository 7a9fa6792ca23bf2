"""What a rotation of secrets does to a droplet: access rules, states, a release."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from marketplace_container import DockerError
from marketplace_database import DatabaseError
from marketplace_durable import read_json, to_json, write_atomic
from marketplace_ledger import LedgerError
from marketplace_pending import record
from marketplace_rotation import WAYS, RotationError
from marketplace_salt import SaltCallError, apply, function
from marketplace_secrets import Store, before_of
from marketplace_undisturbed import Busy, undisturbed
from marketplace_world import World

_FINDER = "rotation"
_RELEASE_SECONDS = 7200
_LOAD_SECONDS = 10
_RULES = """SELECT coalesce(string_agg(concat(file_name, ' line ', line_number, ': ', error), '; '), '')
FROM pg_hba_file_rules WHERE error IS NOT NULL"""


@dataclass(frozen=True)
class DropletHands:
    """:class:`marketplace_rotation.Hands` of a real droplet.

    Args:
        world: the droplet; settings: the effective ones; by: who has asked.
        states: applies states, or raises SaltCallError.
    """

    world: World
    settings: Mapping[str, Any]
    by: str
    states: Callable[..., object] = apply

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Holds off releases, backups and jobs.

        Raises:
            RotationError: one is at work, or was interrupted and is not settled yet.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(undisturbed(self.world.paths, self.by, "new secrets"))
            except Busy as error:
                raise RotationError(str(error)) from error
            yield

    def admit(self) -> None:
        """Containers of the backend that run keep the password in mind that they read when they started.

        An address of the data network is as good as a password for as long as its container runs: nobody else can take
        it (docs/decisions/isolation-on-the-bridge.md), and who starts anew reads the new one.
        """
        postgres = self.settings["postgres"]
        with _failing("letting the running backend into the database"):
            lines = [
                f"hostssl {postgres['database']} {postgres['roles']['application']} {address}/32 trust"
                for address in self._addresses()
            ]
            write_atomic(self.world.paths.rotation_access, "".join(f"{line}\n" for line in lines))
            self._load()

    def readmit(self) -> None:
        """Nobody's address is a password any longer."""
        with _failing("asking everybody for a password again"):
            if self.world.paths.rotation_access.exists():
                self.world.paths.rotation_access.unlink()
                self._load()

    def apply(self, states: tuple[str, ...]) -> None:
        """Apply states."""
        with _failing("applying states"):
            self.states(*states)

    def ship(self) -> str:
        """Release the live image again: its secrets have changed, so that it is another release.

        Raises:
            RotationError: the ledger can't be read, or the release gives no answer or does not become live.
        """
        with _failing("releasing the backend"):
            live = self.world.ledger.live()
            if live is None:
                return ""
            words = (f"version='{live.version}'", f"image='{live.image}'")
            done = function("deploy.release", *words, timeout=_RELEASE_SECONDS)
        if not isinstance(done, dict) or "outcome" not in done:
            raise RotationError(f"releasing the backend failed: {done}")
        if done["outcome"] not in ("live", "unchanged"):
            raise RotationError(f"releasing the backend failed ({done['outcome']}): {done.get('reason')}")
        return str(done.get("release") or live.release)

    def note(self, names: Collection[str]) -> None:
        """deploy.status shows it under what is pending."""
        why = "the value before is still taken; settings.rotate goes on with it"
        paths = self.world.paths
        with _failing("keeping in mind what is replaced"):
            if names:
                write_atomic(paths.rotation, to_json(sorted(names)))
            record(paths.pending, _FINDER, dict.fromkeys(names, why))
            if not names:
                paths.rotation.unlink(missing_ok=True)

    def noted(self) -> list[str]:
        """From the file of :meth:`note`; where a rebuild has brought back the store alone, by the values before.

        Raises:
            RotationError: the file can't be read.
        """
        store = Store(self.world.paths.secrets)
        with _failing("looking which secrets are being replaced"):
            try:
                told = [str(name) for name in read_json(self.world.paths.rotation) or []]
            except ValueError as error:
                raise ValueError(f"{error}; move it away, the values before say it as well") from error
        return list(dict.fromkeys([*told, *(name for name in WAYS if store.has(before_of(name)))]))

    def _addresses(self) -> list[str]:
        network = self.settings["network"]["data"]["name"]
        running = self.world.docker.run("ps", "--quiet", "--filter=label=marketplace.release").stdout.split()
        if not running:
            return []
        form = f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}'
        return sorted(self.world.docker.run("inspect", f"--format={form}", *running).stdout.split())

    def _load(self) -> None:
        """Have PostgreSQL read its access rules, and wait until it has; sessions that are open stay open."""
        wrong = self.world.database.ask("postgres", _RULES)
        if wrong:
            raise DatabaseError(f"PostgreSQL refuses its access rules: {wrong}")
        before = self._loaded()
        self.world.database.ask("postgres", "SELECT pg_reload_conf()")
        if not self.world.clock.wait_until(lambda: self._loaded() > before, timeout=_LOAD_SECONDS):
            raise DatabaseError(
                "PostgreSQL did not load its access rules; deploy.logs service=postgres shows why"
            )

    def _loaded(self) -> float:
        return float(self.world.database.ask("postgres", "SELECT extract(epoch FROM pg_conf_load_time())"))


@contextmanager
def _failing(what: str) -> Iterator[None]:
    try:
        yield
    except (DatabaseError, DockerError, LedgerError, SaltCallError, OSError, ValueError) as error:
        raise RotationError(f"{what} failed: {error}") from error
