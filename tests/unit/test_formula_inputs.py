"""What the formulas are given follows from the settings."""

from marketplace_formula_inputs import by_family, formula_inputs
from marketplace_settings import parse, to_dict

from tests.support.pillars import ENVIRONMENTS, pillar


def inputs(**changes):
    parsed, problems = parse(pillar(changes), "production", ENVIRONMENTS)
    assert problems == []
    return formula_inputs(to_dict(parsed))


def test_networks_are_sorted_by_family():
    assert by_family(["192.0.2.7/24", "::/0"]) == {"ipv4": ["192.0.2.0/24"], "ipv6": ["::/0"]}


def test_volumes_follow_the_disks_and_users():
    mounts = inputs(**{"postgres.disk": "25G"})["volumes"]["mounts"]
    assert mounts["/srv/data/postgres"] == {
        "image": "/var/lib/marketplace/volumes/postgres.img",
        "device": "",
        "size": 25 << 30,
        "directory": "data",
        "user": 999,
        "group": 999,
    }
    assert set(mounts) == {"/srv/data/postgres", "/srv/data/redis", "/var/backups/marketplace"}


def test_backups_may_be_new_on_a_droplet_that_has_had_releases():
    backups = inputs(**{"backup.disk": "5G"})["volumes"]["mounts"]["/var/backups/marketplace"]
    assert (backups["size"], backups["with_releases"], backups["user"]) == (5 << 30, False, 34)


def test_the_engine_waits_for_every_volume_with_data():
    given = inputs()
    volumes = [path for path in given["volumes"]["mounts"] if path.startswith("/srv/data/")]
    assert given["docker"]["mounts"] == sorted(volumes)


def test_the_engine_takes_its_addresses_from_the_settings():
    daemon = inputs(**{"network.docker.subnet": "10.99.0.0/24", "network.docker.pool": "10.99.128.0/17"})[
        "docker"
    ]["daemon"]
    assert daemon == {
        "bip": "10.99.0.1/24",
        "default-address-pools": [{"base": "10.99.128.0/17", "size": 24}],
    }


def test_only_the_application_gets_out():
    bridges = inputs()["firewall"]["bridges"]
    assert {name for name, rules in bridges.items() if rules["egress"]} == {"mkt-app"}


def test_every_service_that_logs_much_has_a_journal_of_its_own():
    given = inputs(**{"logs.size": "1G", "logs.keep_days": 10})
    logs = given["logs"]
    assert logs["journal"]["MaxRetentionSec"] == "11day"
    assert set(logs["namespaces"]) == {"backend", "worker", "postgres", "redis", "edge"}
    sizes = [logs["journal"], *logs["namespaces"].values()]
    assert sum(int(entries["SystemMaxUse"].removesuffix("K")) for entries in sizes) <= 1 << 20
    assert given["haproxy"]["log_socket"] == "/run/systemd/journal.edge/dev-log"
