"""What stands on a converged droplet: packages, units, files, mounts, listeners, limits."""

from __future__ import annotations

import json

import pytest
from marketplace_log_places import docker_logging
from testinfra.host import Host

from tests.support.droplet.droplets import Droplet

CONTAINERS = ("postgres", "redis")


@pytest.mark.parametrize(
    "name", ["cron", "chrony", "docker.io", "docker-compose", "haproxy", "nftables", "logrotate"]
)
def test_packages(host: Host, name: str) -> None:
    assert host.package(name).is_installed


@pytest.mark.parametrize(
    "name",
    [
        "cron",
        "chrony",
        "docker",
        "haproxy",
        "marketplace-data",
        "marketplace-backend",
        "marketplace-watch",
        "prometheus-alertmanager",
        "volumes-allocate.timer",
    ],
)
def test_units_run_now_and_at_boot(host: Host, name: str) -> None:
    assert host.service(name).is_running
    assert host.service(name).is_enabled


def test_the_firewall_is_loaded_at_boot_by_its_own_unit(host: Host) -> None:
    assert host.service("firewall").is_enabled
    assert host.service("nftables").is_masked
    shown = host.check_output("systemctl show firewall --property=Before,ExecStop")
    assert "network-pre.target" in shown
    assert "ExecStop" not in shown


def test_nothing_failed(host: Host) -> None:
    failed = host.check_output("systemctl list-units --state=failed --plain --no-legend")
    ours = ("marketplace", "docker", "haproxy", "firewall", "srv-data", "volumes")
    assert [line for line in failed.splitlines() if line.startswith(ours)] == []


@pytest.mark.parametrize(
    ("path", "mode", "owner"),
    [
        ("/etc/marketplace/secrets", 0o700, "root"),
        ("/etc/marketplace/secrets/postgres_owner_password", 0o600, "root"),
        ("/etc/haproxy/certs", 0o700, "root"),
        ("/etc/haproxy/certs/bot.test.pem", 0o600, "root"),
        ("/etc/marketplace/tls/bot.test.crt", 0o644, "root"),
        ("/etc/haproxy/haproxy.cfg", 0o640, "root"),
        ("/etc/firewall.nft", 0o640, "root"),
        ("/run/haproxy/admin.sock", 0o600, "root"),
        ("/var/lib/marketplace/volumes", 0o700, "root"),
    ],
)
def test_who_may_read_what(host: Host, path: str, mode: int, owner: str) -> None:
    file = host.file(path)
    assert file.mode == mode
    assert file.user == owner


def test_the_public_certificate_holds_no_key(host: Host) -> None:
    assert host.file("/etc/marketplace/tls/bot.test.crt").content_string.count("-----BEGIN") == 1


@pytest.mark.parametrize("name", CONTAINERS)
def test_each_service_has_a_fixed_and_fully_allocated_file_system(host: Host, name: str) -> None:
    mount = host.mount_point(f"/srv/data/{name}")
    assert mount.exists
    assert mount.filesystem == "ext4"
    assert {"nodev", "nosuid", "noexec"} <= set(mount.options)
    size, allocated = map(
        int, host.check_output(f"stat --format='%s %b' /var/lib/marketplace/volumes/{name}.img").split()
    )
    assert allocated * 512 >= size * 0.99
    data = host.file(f"/srv/data/{name}/data")
    assert (data.uid, data.gid, data.mode) == (999, 999, 0o700)


def test_the_engine_needs_every_mount(host: Host) -> None:
    required = host.check_output("systemctl show docker --property=RequiresMountsFor")
    for name in CONTAINERS:
        assert f"/srv/data/{name}" in required


def test_the_engine_keeps_containers_over_its_restart_and_logs_to_the_journal(host: Host) -> None:
    info = json.loads(host.check_output("docker info --format '{{json .}}'"))
    assert info["LiveRestoreEnabled"] is True
    assert info["LoggingDriver"] == "journald"


def test_the_journals_survive_a_reboot(host: Host) -> None:
    kept = host.check_output("ls /var/log/journal").split()
    assert {name.partition(".")[2] for name in kept} >= {"", "backend", "postgres", "redis", "edge"}


def inspect(host: Host, name: str) -> dict:
    return json.loads(host.check_output(f"docker inspect {name}"))[0]


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_are_confined_as_described(host: Host, name: str) -> None:
    settings = json.loads(host.file("/etc/marketplace/settings.json").content_string)[name]
    found = inspect(host, name)
    config = found["HostConfig"]
    assert config["Memory"] == settings["limits"]["memory"]
    assert config["NanoCpus"] == pytest.approx(settings["limits"]["cpus"] * 1e9)
    assert config["PidsLimit"] == settings["limits"]["pids"]
    assert config["ReadonlyRootfs"] is True
    assert config["CapDrop"] == ["ALL"]
    assert config["CapAdd"] is None
    assert config["SecurityOpt"] == ["no-new-privileges:true"]
    assert config["Privileged"] is False
    assert config["RestartPolicy"]["Name"] == "unless-stopped"
    assert config["LogConfig"] == {
        "Type": "syslog",
        "Config": docker_logging(name, name)["options"],
    }
    assert found["Config"]["StopTimeout"] == settings["stop_grace"]
    assert found["Config"]["User"] == "999:999"
    assert found["State"]["Health"]["Status"] == "healthy"
    assert found["NetworkSettings"]["Networks"]["data"]["IPAddress"] == settings["address"]


def test_no_container_publishes_a_port(host: Host) -> None:
    for name in host.check_output("docker ps --all --format '{{.Names}}'").split():
        assert not inspect(host, name)["HostConfig"]["PortBindings"], name


def test_nothing_else_listens_to_the_world(host: Host) -> None:
    listening = [
        line.split()[3]
        for line in host.check_output("ss --no-header --tcp --listening --numeric").splitlines()
    ]
    public = {
        int(address.rsplit(":", 1)[1])
        for address in listening
        if not address.startswith(("127.", "[::1]", "[::ffff:127."))
    }
    assert public == {22, 80, 443}


def test_the_data_network_leads_nowhere(host: Host) -> None:
    network = json.loads(host.check_output("docker network inspect data"))[0]
    assert network["Internal"] is True
    assert network["Options"]["com.docker.network.bridge.name"] == "mkt-data"
    assert host.run("docker exec postgres bash -c 'exec 3<>/dev/tcp/1.1.1.1/443'").rc != 0


def test_containers_cannot_reach_the_hosts_services(droplet: Droplet) -> None:
    probe = (
        "import socket, sys\n"
        "for host, port in (('10.213.10.1', 22), ('10.213.20.1', 443), ('10.213.20.10', 5432)):\n"
        "    try: socket.create_connection((host, port), 1.5).close(); print(port)\n"
        "    except OSError: pass\n"
    )
    live = json.loads(droplet.run(["salt-call", "--out=json", "deploy.status"]).stdout)["local"]["live"][
        "colour"
    ]
    reached = droplet.run(["docker", "exec", f"backend-{live}", "python3", "-c", probe]).stdout.split()
    assert reached == ["5432"]
