"""state.apply: the second time nothing, in test mode nothing, on a wrong pillar nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml

from tests.support.droplet import pillar
from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.droplet.site import Images, Site

# Salt's own log, Python's, what the kernel, systemd and Docker keep moving, and what the watchdog and
# the scheduler of jobs write down as it happens: that the machine is busy, for one.
NOISE = (
    "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log", "*/__pycache__",
    "/var/lib/docker", "/var/lib/systemd", "/var/lib/chrony", "/etc/resolv.conf",
    "/var/lib/marketplace/watch.json", "/var/lib/marketplace/slo", "/var/lib/marketplace/spool",
    "/var/lib/marketplace/jobs*",
)  # fmt: skip


def listing(droplet: Droplet) -> str:
    """Every path with type, mode, owner and target, every file's digest, and every package, outside NOISE."""
    prune = [word for path in NOISE for word in ("-path", path, "-prune", "-o")]
    # /var is a file system of its own, and so are the data services', which are at work and left out.
    roots = ["find", "/", "/var", "-xdev", *prune]
    files = droplet.run([*roots, "-printf", "%p %y %m %u %g %l\\n"]).stdout
    contents = droplet.run(
        [*roots, "-type", "f", "!", "-name", "*.img", "-exec", "sha256sum", "{}", "+"]
    ).stdout
    packages = droplet.run(["dpkg-query", "--show"]).stdout
    return "\n".join(sorted(files.splitlines()) + sorted(contents.splitlines()) + packages.splitlines())


def difference(before: str, after: str) -> set[str]:
    return set(before.splitlines()) ^ set(after.splitlines())


def test_second_run_changes_nothing(droplet: Droplet) -> None:
    again = call(droplet, "state.apply")
    assert again.failed == {}
    assert again.changed == {}
    assert again.returncode == 0
    assert len(again.states) > 40


def test_bootstrap_again_is_harmless(droplet: Droplet) -> None:
    before = listing(droplet)
    again = droplet.run(["/srv/deploy/bootstrap.sh", "development"])
    assert re.search(r"^Failed:\s+0$", again.stdout, re.MULTILINE)
    assert difference(before, listing(droplet)) == set()


def test_nothing_is_pending_on_a_converged_droplet(droplet: Droplet) -> None:
    plan = call(droplet, "state.apply", "test=True")
    assert plan.failed == {}
    assert plan.changed == {}


def test_plan_on_a_fresh_droplet_does_nothing_at_all(fresh: Callable[[str], Droplet]) -> None:
    bare = fresh("bare")
    bare.run(["/srv/deploy/bootstrap.sh", "development", "--no-apply"])
    before = listing(bare)
    plan = call(bare, "state.apply", "test=True")
    assert plan.failed == {}
    assert difference(before, listing(bare)) == set()
    would = plan.changed
    assert "Ensure the backend is released" in would
    assert "Ensure the engine is installed" in would
    assert bare.run(["which", "docker"], check=False).returncode != 0


TEN_MISTAKES = {
    "backend": {
        "image": "registry.test/marketplace:latest",
        "limits": {"memory": "lots", "cpus": -1, "pids": 256},
    },
    "postgres": {"digest": "sha256:123", "max_connections": "many"},
    "redis": {"dsik": "1G"},
    "edge": {"domains": ["not a domain"]},
    "telegram": {"api_url": "ftp://example.com", "networks": ["149.154.160.0/99"]},
    "secrets": {"telegram_token": {"value": "not-a-token-but-secret"}},
}
PATHS = (
    "backend.image", "backend.limits.memory", "backend.limits.cpus", "postgres.digest", "postgres.max_connections",
    "redis.dsik", "edge.domains", "telegram.api_url", "telegram.networks", "secrets.telegram_token",
)  # fmt: skip


def test_ten_mistakes_are_reported_at_once_and_change_nothing(
    droplet: Droplet, site: Site, images: Images
) -> None:
    right = pillar.local(site, images)
    wrong = {key: {**right.get(key, {}), **TEN_MISTAKES.get(key, {})} for key in {**right, **TEN_MISTAKES}}
    before = listing(droplet)
    pillar.write(droplet, wrong)
    try:
        refused = droplet.run(["salt-call", "--retcode-passthrough", "state.apply"], check=False)
        release = call(droplet, "deploy.release", "1.0.0")
    finally:
        pillar.write(droplet, right)
    text = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert [path for path in PATHS if path not in text] == []
    assert "not-a-token-but-secret" not in text
    assert difference(before, listing(droplet)) == set()
    assert release.returncode != 0
    assert release.value["outcome"] == "refused"
    assert [path for path in PATHS if path not in release.value["reason"]] == []


def test_missing_token_is_named(droplet: Droplet, site: Site, images: Images) -> None:
    right = pillar.local(site, images)
    pillar.write(droplet, {key: value for key, value in right.items() if key != "secrets"})
    try:
        refused = droplet.run(["salt-call", "--retcode-passthrough", "state.apply"], check=False)
    finally:
        pillar.write(droplet, right)
    assert refused.returncode != 0
    assert "secrets.telegram_token" in refused.stdout + refused.stderr


def test_run_without_the_gate_stops_at_the_first_state(droplet: Droplet) -> None:
    configuration = droplet.get("/etc/salt/minion.d/marketplace.conf").decode()
    without = yaml.safe_load(configuration)
    del without["ext_pillar"]
    droplet.put("/etc/ungated/minion", yaml.safe_dump(without))
    run = droplet.run(
        ["salt-call", "--config-dir=/etc/ungated", "--id=development", "--out=json", "--retcode-passthrough",
         "state.apply", "marketplace.gate"], check=False,
    )  # fmt: skip
    droplet.run(["rm", "-r", "/etc/ungated"])
    assert run.returncode != 0
    assert "ext_pillar" in run.stdout


def test_unknown_environment_and_another_identity_are_refused(droplet: Droplet) -> None:
    unknown = droplet.run(["/srv/deploy/bootstrap.sh", "producton"], check=False)
    assert unknown.returncode != 0
    assert "unknown environment 'producton'" in unknown.stderr
    assert "development production staging" in unknown.stderr
    other = droplet.run(["/srv/deploy/bootstrap.sh", "production"], check=False)
    assert other.returncode != 0
    assert "this host is 'development'" in other.stderr
    stamped = droplet.run(["salt-call", "--id=staging", "--retcode-passthrough", "state.apply"], check=False)
    assert stamped.returncode != 0


def test_changed_settings_refuse_a_release_until_they_are_applied(
    droplet: Droplet, site: Site, images: Images
) -> None:
    right = pillar.local(site, images)
    changed = right | {"backend": {**right["backend"], "environment": {"LOG_LEVEL": "warning"}}}
    pillar.write(droplet, changed)
    try:
        release = call(droplet, "deploy.release", "1.0.0")
        assert release.value["outcome"] == "refused"
        assert "run state.apply" in release.value["reason"]
        assert "backend.environment" in release.value["reason"]
    finally:
        pillar.write(droplet, right)
