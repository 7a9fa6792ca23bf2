"""A fresh droplet with PostgreSQL and Redis at a provider, a migration that fails half way, and the way back."""

from __future__ import annotations

from collections.abc import Callable

from tests.droplet.test_managed import MOVED, PROGRAMS, still
from tests.support import backups, shipping
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.provider import DATABASE, DATABASE_HOST, DATABASE_PORT, OWNER, Provider
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.load import running
from tests.support.load.state import Stores, sql

HALF = "1.1.1"


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
