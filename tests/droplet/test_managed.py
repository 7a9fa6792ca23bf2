"""PostgreSQL and Redis at a managed provider: moved there, released onto, away for a while, and backed up here.

Breaking migrations, the way back here and a fresh droplet are for `make soak`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support import backups, shipping
from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.progress import Progress
from tests.support.droplet.provider import DATABASE, DATABASE_HOST, DATABASE_PORT, OWNER, Provider
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site
from tests.support.load.running import Load
from tests.support.load.state import Stores, sql
from tests.support.waiting import seconds_until

GATE = "Ensure the settings are valid and written"
MOVED = "pillar={data_moved: true}"
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
    settings = droplet.get("/etc/marketplace/settings.json")

    # Whoever does not prove who it is gets no password, and nothing changes.
    pillar.write(droplet, provider.pillar(local, authority=site.authority.certificate))
    droplet.run(["salt-call", "deploy.maintenance", "on"])
    refused = call(droplet, "state.apply", MOVED)
    assert "does not prove that it is db.test" in refused.failed[GATE]
    # Nor does a move that nobody says was made.
    pillar.write(droplet, provider.pillar(local))
    unsaid = call(droplet, "state.apply")
    assert "from this droplet to db.test:25060" in unsaid.failed[GATE]
    assert unsaid.changed == {}
    # Nor one that was said to be made, and was not.
    unmade = call(droplet, "state.apply", MOVED)
    assert "does not hold what the one of before does" in unmade.failed[GATE]
    assert droplet.get("/etc/marketplace/settings.json") == settings

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
