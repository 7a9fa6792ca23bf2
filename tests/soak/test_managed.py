"""A droplet that moves to a provider and back; one that begins there, and a migration that fails half way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.droplet.test_managed import MOVED
from tests.support import backups, shipping
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.progress import Progress
from tests.support.droplet.provider import DATABASE, DATABASE_HOST, DATABASE_PORT, OWNER, Provider
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.load import running
from tests.support.load.running import Load
from tests.support.load.state import Stores, sql
from tests.support.waiting import seconds_until

HALF = "1.1.1"
SERVICES = ("backend", "postgres", "redis", "edge")
PROGRAMS = "/usr/lib/postgresql/17/bin"


def still(droplet: Droplet) -> None:
    """Nobody writes: neither backend nor worker nor job."""
    label = "label=marketplace.release"
    ours = f"docker ps --quiet --filter {label} | xargs --no-run-if-empty docker stop"
    droplet.run(["sh", "-c", ours])


def move(droplet: Droplet, provider: Provider) -> None:
    """The database's content to the provider, as docs/managed.md says."""
    still(droplet)
    droplet.put("/root/provider.pem", provider.authority.certificate)
    dump = ["docker", "exec", "postgres", "pg_dump", "-U", "postgres", "--format=custom", "marketplace"]
    droplet.run(["sh", "-c", 'exec "$@" > /root/moving.dump', "sh", *dump])
    there = f"host={DATABASE_HOST} port={DATABASE_PORT} dbname={DATABASE} user={OWNER}"
    tls = "sslmode=verify-full sslrootcert=/root/provider.pem"
    restore = [f"{PROGRAMS}/pg_restore", "--no-owner", "--no-privileges", "--single-transaction"]
    droplet.run(
        [*restore, f"--dbname={there} {tls}", "/root/moving.dump"],
        environment={"PGPASSWORD": provider.secret},
    )


def asked(droplet: Droplet) -> dict[str, Any]:
    """What health.check says of each service."""
    found: dict[str, Any] = call(droplet, "health.check").value["services"]
    return found


def well(service: dict[str, Any]) -> bool:
    """Whether a service is healthy, but for a flood of log lines that a test before this one made."""
    return service["status"] == "healthy" or "its log is cut off" in service["detail"]


def test_a_droplet_moves_to_a_provider_and_goes_on_there(
    undone: Droplet, site: Site, images: Images, load: Callable[..., Load], progress: Progress
) -> None:
    droplet, provider, local = undone, site.provider(), pillar.local(site, images)
    provider.empty()
    for version in ("1.1.0", "1.2.0"):
        site.backend(version)
    shipping.ensure_live(droplet, "1.0.0")

    droplet.run(["salt-call", "deploy.maintenance", "on"])
    pillar.write(droplet, provider.pillar(local))
    with progress.step("moving to the provider"):
        rows = sql(droplet, "SELECT count(*) FROM users")
        move(droplet, provider)
        assert call(droplet, "state.apply", MOVED).failed == {}
        assert "a move is half done" in call(droplet, "deploy.maintenance", "off").value["reason"]
        assert provider.psql("SELECT count(*) FROM users") == rows
        assert not {"postgres", "redis"} & shipping.containers(droplet).keys()
        # What users wrote is where it was.
        droplet.run(["test", "-s", "/srv/data/postgres/data/17/PG_VERSION"])
        shipping.shipped(shipping.release(droplet, "1.0.0", "soak=0"))
        droplet.run(["salt-call", "deploy.maintenance", "off"])
    assert call(droplet, "state.apply").changed == {}
    services = asked(droplet)
    assert [name for name in SERVICES if not well(services[name])] == [], services
    assert "at its provider (db.test:25060)" in services["postgres"]["detail"]

    with progress.step("two versions under load"):
        users = load(10, 1.0)
        with users.window():
            shipping.shipped(shipping.release(droplet, "1.1.0", "soak=0"))
            record = shipping.shipped(shipping.release(droplet, "1.2.0", "soak=0"))
        assert record["schema"]["after"] == ["0003"]
        users.assert_lossless(droplet, stores=Stores(provider.psql, provider.redis))

    with progress.step("backup, drill, and the provider away"):
        answer = backups.taken(droplet)
        assert {row["what"] for row in answer["backups"]} == {"dump", "house"}
        drill = call(droplet, "backup.drill")
        assert drill.value["outcome"] == "passed", drill.value
        assert drill.value["rows"] > 0
        assert call(droplet, "backup.check").returncode == 0
        assert "at a provider" in call(droplet, "backup.restore", "to=live").value["reason"]
        rotated = call(droplet, "settings.rotate", "postgres_app_password")
        assert "the provider's" in rotated.value["reason"]
        with provider.away(provider.database):
            away = call(droplet, "health.check").value["services"]["postgres"]
            assert away["status"] == "unhealthy"
            assert "db.test" in away["detail"]
            assert call(droplet, "deploy.release", "1.1.0").value["outcome"] == "refused"
        seconds_until(lambda: all(well(asked(droplet)[name]) for name in ("postgres", "backend")), 60)


def test_a_droplet_begins_at_a_provider_and_comes_home(
    fresh: Callable[[str], Droplet], site: Site, images: Images, note: Callable[[str], None]
) -> None:
    local, provider = pillar.local(site, images), site.provider()
    provider.empty()
    droplet = fresh("managed")
    pillar.write(droplet, provider.pillar(local))
    droplet.run(["/srv/deploy/bootstrap.sh", "development"])
    assert call(droplet, "state.apply").changed == {}
    assert not {"postgres", "redis"} & shipping.containers(droplet).keys()
    assert not droplet.run(["test", "-e", "/srv/data/postgres/data"], check=False).ok
    assert call(droplet, "health.check").value["status"] == "healthy"

    # What fails half way is taken back by the dump from before it, and users lose nothing.
    site.backend("1.1.0")
    site.backend(HALF, VARIANT="migration-half")
    shipping.shipped(shipping.release(droplet, "1.1.0", "soak=0"))
    with running.users(site.neighbour(), droplet, 10, 1.0) as users:
        failed = shipping.release(droplet, HALF, "maintenance=True")
        assert failed.value["outcome"] == "failed", failed.value
        assert "division by zero" in failed.value["reason"]
        (point,) = (step for step in failed.value["steps"] if step["name"] == "restore-point")
        assert "rows, as the database has" in point["detail"]
        assert provider.psql("SELECT to_regclass('half_done') IS NULL") == "t"
        assert provider.psql("SELECT version_num FROM alembic_version") == "0002"
        found = users.assert_lossless(droplet, failed=None, stores=Stores(provider.psql, provider.redis))
    assert set(found.failures) <= {"HTTP 503"}, found
    assert not droplet.run(["ls", "/var/backups/marketplace/data/points"]).stdout
    # The one that bootstrap took is of a database in which nobody was yet.
    backups.taken(droplet)
    assert call(droplet, "backup.drill").value["outcome"] == "passed"
    scratch = call(droplet, "backup.restore").value
    assert scratch["outcome"] == "restored", scratch
    assert scratch["rows"]["public.users"] == 10
    assert call(droplet, "backup.discard").returncode == 0

    home(droplet, provider, local)
    assert sql(droplet, "SELECT count(*) FROM users") == "10"
    assert {row["what"] for row in backups.taken(droplet)["backups"]} >= {"postgres", "redis", "house"}
    assert call(droplet, "backup.drill").value["outcome"] == "passed"
    note(
        f"a migration that failed half way at a provider: {found}; in all {point['seconds']} s for its restore point"
    )


def home(droplet: Droplet, provider: Provider, local: dict[str, object]) -> None:
    """Back to the droplet, as docs/managed.md says."""
    call(droplet, "deploy.maintenance", "on")
    still(droplet)
    there = f"host={DATABASE_HOST} port={DATABASE_PORT} dbname={DATABASE} user={OWNER}"
    tls = "sslmode=verify-full sslrootcert=/etc/marketplace/tls/postgres-provider.pem"
    dump = [f"{PROGRAMS}/pg_dump", "--format=custom", "--file=/root/moving.dump", f"--dbname={there} {tls}"]
    droplet.run(dump, environment={"PGPASSWORD": provider.secret})
    pillar.write(droplet, local)
    assert "from db.test:25060 to this droplet" in str(call(droplet, "state.apply").failed)
    # It began at the provider: nothing was ever here, and there have been releases.
    marks = (f"/var/lib/marketplace/volumes/{service}.start-empty" for service in ("postgres", "redis"))
    droplet.run(["touch", *marks])
    assert call(droplet, "state.apply", MOVED).failed == {}
    imported = call(droplet, "backup.import", "dump=/root/moving.dump", "replace=True").value
    assert imported["outcome"] == "imported", imported
    shipping.shipped(shipping.release(droplet, "1.1.0", "soak=0"))
    call(droplet, "deploy.maintenance", "off")
    assert call(droplet, "state.apply").changed == {}
