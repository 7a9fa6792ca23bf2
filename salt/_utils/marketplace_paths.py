"""Where everything lives on the droplet.

One place for the paths that states, engine and checks share. Every path hangs from ``root`` so that tests can
put a whole droplet's files into a temporary directory.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    """The droplet's file layout below ``root`` (``/`` in production)."""

    root: Path = Path("/")

    @property
    def etc(self) -> Path:
        return self.root / "etc/marketplace"

    @property
    def settings(self) -> Path:
        """The effective settings, written by state.apply and read by everything that runs without pillar."""
        return self.etc / "settings.json"

    @property
    def environment(self) -> Path:
        """The environment this droplet was first converged as."""
        return self.etc / "environment"

    @property
    def tree(self) -> Path:
        """Which commit of the tree was applied last, and when that was made."""
        return self.etc / "tree.json"

    @property
    def secrets(self) -> Path:
        """The secret store: one 0600 file a secret."""
        return self.etc / "secrets"

    @property
    def rotation(self) -> Path:
        """Which secrets are being replaced; gone when that is done."""
        return self.state / "rotation.json"

    @property
    def rotation_lock(self) -> Path:
        """Held while secrets are being replaced."""
        return self.state / "rotation.lock"

    @property
    def rotation_access(self) -> Path:
        """Included by PostgreSQL's access rules; there only while the application's password is being replaced."""
        return self.etc / "postgres/rotation.conf"

    @property
    def delivered(self) -> Path:
        """Per consumer, the secrets it may read, owned by its uid; containers mount these directories."""
        return self.etc / "delivered"

    @property
    def trusted(self) -> Path:
        """The authorities by which services of this host are known to each other; no secret."""
        return self.etc / "tls/services.pem"

    @property
    def docker_config(self) -> Path:
        """DOCKER_CONFIG directory with the private registry's credentials."""
        return self.etc / "docker"

    @property
    def state(self) -> Path:
        return self.root / "var/lib/marketplace"

    @property
    def releases(self) -> Path:
        return self.state / "releases"

    @property
    def ledger(self) -> Path:
        return self.state / "ledger"

    @property
    def journal(self) -> Path:
        return self.state / "journal"

    @property
    def spool(self) -> Path:
        return self.state / "spool"

    @property
    def live_map(self) -> Path:
        """Decides which colour is live; HAProxy reads it at start, the engine writes it before it switches."""
        return self.state / "live.map"

    @property
    def maintenance_map(self) -> Path:
        """Who keeps the edge closed for updates: one line each for ``operator`` and ``release``, ``on`` or ``off``."""
        return self.state / "maintenance.map"

    @property
    def lock(self) -> Path:
        return self.state / "lock"

    @property
    def backups(self) -> Path:
        """What is kept of the data elsewhere, on a file system of its own; belongs to who takes the backups."""
        return self.root / "var/backups/marketplace/data"

    @property
    def backup_lock(self) -> Path:
        """Held by whatever reads or writes backups: one at a time."""
        return self.state / "backup.lock"

    @property
    def restore(self) -> Path:
        """What a restore in the live database's place has begun; gone when it is finished."""
        return self.state / "restore.json"

    @property
    def jobs(self) -> Path:
        """How each scheduled job went last, a file a job."""
        return self.state / "jobs"

    @property
    def jobs_looked(self) -> Path:
        """When it was last asked which jobs are due, and which of those wait."""
        return self.state / "jobs.json"

    @property
    def jobs_lock(self) -> Path:
        """Held while jobs are started, stopped or looked after."""
        return self.state / "jobs.lock"

    @property
    def rebuild(self) -> Path:
        """How far a rebuild of this droplet has come; gone when it is done."""
        return self.state / "rebuild.json"

    @property
    def rebuild_lock(self) -> Path:
        return self.state / "rebuild.lock"

    @property
    def pending(self) -> Path:
        """What state.apply found to need a restart it was not allowed to do."""
        return self.state / "pending.json"

    @property
    def applied(self) -> Path:
        """Which tree and pillar the last state.apply that went well has applied (digests only)."""
        return self.state / "applied.json"

    @property
    def inventory(self) -> Path:
        """What no state owns, as it was taken for right (marketplace_inventory)."""
        return self.state / "inventory.json"

    @property
    def inventory_before(self) -> Path:
        """What no state owned before a run of states that applies another tree or pillar; gone when it went well."""
        return self.state / "inventory-before.json"

    @property
    def before(self) -> Path:
        """What the host was before any state wrote to it (marketplace_before)."""
        return self.state / "before.json"

    @property
    def removed(self) -> Path:
        """There while all of this is removed from the host: says what is left, and how to read it."""
        return self.root / "srv/data/README"

    @property
    def drift(self) -> Path:
        """What the last look for drift has found."""
        return self.state / "drift.json"

    @property
    def drift_lock(self) -> Path:
        return self.state / "drift.lock"

    @property
    def renewals(self) -> Path:
        """When the services' certificates end, and when somebody has to know that they were not renewed."""
        return self.state / "renewals.json"

    @property
    def webhook(self) -> Path:
        """What was last registered at the Bot API (digests only)."""
        return self.state / "webhook.json"

    @property
    def acme(self) -> Path:
        """What went wrong with the certificate's authority, and how often, since it last went well."""
        return self.state / "acme.json"

    @property
    def letsencrypt(self) -> Path:
        """certbot's own directory."""
        return self.root / "etc/letsencrypt"

    @property
    def edge_certificates(self) -> Path:
        """Where HAProxy reads certificate and key, together in one file."""
        return self.root / "etc/haproxy/certs"

    @property
    def tls(self) -> Path:
        """Certificates without keys, for everybody."""
        return self.etc / "tls"

    @property
    def asked(self) -> Path:
        """By which name and certificate the edge answers since it was converged last."""
        return self.etc / "edge.json"

    @property
    def watch(self) -> Path:
        """What the watchdog knows: what is wrong, since when, and who was told of it."""
        return self.state / "watch.json"

    @property
    def watched(self) -> Path:
        """What the watchdog saw last, for health.check; gone after a reboot."""
        return self.run / "watch.json"

    @property
    def slo(self) -> Path:
        """The record of how well the bot was reached."""
        return self.state / "slo"

    def surveyed(self, part: str) -> Path:
        """How far the last survey of a part has read, where the next one has to go on."""
        return self.run / f"surveyed-{part}.json"

    @property
    def file_systems(self) -> dict[str, Path]:
        """Where the file systems are that may run full, by whose they are."""
        data = {service: self.root / "srv/data" / service for service in ("postgres", "redis")}
        return {"droplet": self.root, **data, "backups": self.root / "var/backups/marketplace"}

    @property
    def docker_socket(self) -> Path:
        return self.root / "run/docker.sock"

    @property
    def run(self) -> Path:
        """What may be gone after a reboot: tickets of the releases that somebody asked for."""
        return self.root / "run/marketplace"

    @property
    def admin_socket(self) -> Path:
        return self.root / "run/haproxy/admin.sock"
