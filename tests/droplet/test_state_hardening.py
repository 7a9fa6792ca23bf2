"""What keeps a converged droplet closed and up to date: kernel settings, updates, sandboxes, bounded logs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from testinfra.host import Host

from tests.support.droplet.droplets import Droplet
from tests.support.droplet.salt import call
from tests.support.waiting import seconds_until

SETTINGS = "Ensure the kernel's settings are in force"


def test_the_networks_settings_are_in_force_and_put_back(droplet: Droplet) -> None:
    droplet.run(["sysctl", "--write", "net.ipv4.conf.all.accept_redirects=1"])
    assert set(call(droplet, "state.apply", "kernel", "test=True").changed) == {SETTINGS}
    done = call(droplet, "state.apply", "kernel")
    assert done.failed == {}
    assert done.changed == {SETTINGS: {"net.ipv4.conf.all.accept_redirects": {"old": "1", "new": "0"}}}
    assert call(droplet, "state.apply", "kernel").changed == {}
    assert droplet.get("/proc/sys/net/ipv4/conf/all/rp_filter") == b"1\n"
    # What is the machine's own is named, and written for a host that may set it.
    (comment,) = [state["comment"] for state in done.states if state["__id__"] == SETTINGS]
    assert "kernel.kptr_restrict" in comment
    assert "-kernel.kptr_restrict = 2" in droplet.get("/etc/sysctl.d/60-host.conf").decode()


def test_a_droplet_cannot_change_the_machine_below_it(droplet: Droplet) -> None:
    for name in ("kernel/randomize_va_space", "fs/suid_dumpable", "vm/overcommit_memory"):
        assert not droplet.run(["sh", "-c", f"cat /proc/sys/{name} > /proc/sys/{name}"], check=False).ok


def test_containers_still_reach_what_they_may(host: Host) -> None:
    assert host.file("/proc/sys/net/ipv4/ip_forward").content_string == "1\n"


def test_services_leave_no_core_dumps(host: Host) -> None:
    assert host.check_output("systemctl show --value --property=DefaultLimitCORE") == "0"
    assert (
        host.check_output(
            "docker run --rm --entrypoint sh $(docker inspect -f '{{.Image}}' redis) -c 'ulimit -c'"
        )
        == "0"
    )


def test_security_updates_install_themselves_but_not_what_carries_the_traffic(host: Host) -> None:
    said = host.check_output("apt-config dump")
    assert 'APT::Periodic::Unattended-Upgrade "1";' in said
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in said
    for package in (r"docker\.io", "containerd", "haproxy"):
        assert f'Unattended-Upgrade::Package-Blacklist:: "{package}$";' in said
    assert said.count("Unattended-Upgrade::Origins-Pattern:: ") == 1
    assert host.service("apt-daily-upgrade.timer").is_running
    assert host.run("perl -c /etc/needrestart/conf.d/host.conf").rc == 0


@pytest.fixture
def upgrade(droplet: Droplet) -> Iterator[None]:
    """An upgrade that takes its time, begun as the timer begins it."""
    override = "/run/systemd/system/apt-daily-upgrade.service.d/zz-test.conf"
    # All of the unit is as it was but for what it does.
    slow = "[Service]\nExecCondition=\nExecStartPre=\nExecStart=\nExecStart=/bin/sleep 300\n"
    droplet.run(["mkdir", "-p", override.rpartition("/")[0]])
    droplet.put(override, slow)
    droplet.run(["systemctl", "daemon-reload"])
    droplet.run(["systemctl", "start", "--no-block", "apt-daily-upgrade.service"])
    yield
    droplet.run(["rm", "-f", override])
    droplet.run(["systemctl", "daemon-reload"])
    droplet.run(["systemctl", "kill", "--kill-whom=all", "apt-daily-upgrade.service"], check=False)
    droplet.run(["systemctl", "reset-failed", "apt-daily-upgrade.service"], check=False)


def _holds_shutdowns_up(droplet: Droplet) -> bool:
    return "Unattended Upgrades Shutdown" in droplet.run(["systemd-inhibit", "--list", "--no-pager"]).stdout


def test_a_shutdown_is_held_up_while_an_upgrade_runs_and_only_then(droplet: Droplet, upgrade: None) -> None:
    seconds_until(lambda: _holds_shutdowns_up(droplet), 30)
    droplet.run(["systemctl", "kill", "--kill-whom=all", "apt-daily-upgrade.service"])
    seconds_until(lambda: not _holds_shutdowns_up(droplet), 30)
    # It lets go first and ends then.
    state = ["systemctl", "is-active", "unattended-upgrades"]
    seconds_until(lambda: droplet.run(state, check=False).stdout == "inactive\n", 30)
    assert call(droplet, "state.apply", "updates").changed == {}


@pytest.fixture
def reboot_asked_for(droplet: Droplet) -> Iterator[None]:
    droplet.put("/run/reboot-required", "*** System restart required ***\n")
    yield
    droplet.run(["rm", "-f", "/run/reboot-required"])


@pytest.mark.usefixtures("reboot_asked_for")
def test_a_reboot_waits_for_a_release(droplet: Droplet) -> None:
    assert droplet.run(["systemctl", "is-enabled", "updates-reboot.timer"]).stdout == "enabled\n"
    assert "*-*-* 03:30:00" in droplet.run(["systemctl", "show", "updates-reboot.timer"]).stdout
    droplet.run(
        [
            "systemd-run",
            "--quiet",
            "--collect",
            "--unit=holder",
            "flock",
            "/var/lib/marketplace/lock",
            "sleep",
            "60",
        ]
    )
    try:
        held = ["flock", "--nonblock", "/var/lib/marketplace/lock", "true"]
        seconds_until(lambda: not droplet.run(held, check=False).ok, 10)
        droplet.run(["systemctl", "start", "--no-block", "updates-reboot.service"])
        show = ["systemctl", "show", "--value", "--property=ActiveState", "updates-reboot.service"]
        seconds_until(lambda: droplet.run(show).stdout == "activating\n", 10)
        assert droplet.run(["systemctl", "is-system-running"], check=False).stdout != "stopping\n"
    finally:
        droplet.run(["systemctl", "stop", "updates-reboot.service"])
        droplet.run(["systemctl", "reset-failed", "updates-reboot.service"], check=False)
        droplet.run(["systemctl", "stop", "holder"])


@pytest.mark.parametrize(
    ("unit", "most"),
    [
        ("firewall", 2.0),
        ("marketplace-data", 2.0),
        ("volumes-allocate", 2.0),
        ("updates-reboot", 2.0),
        ("haproxy", 4.0),
        ("marketplace-backend", 5.0),
    ],
)
def test_units_are_confined(host: Host, unit: str, most: float) -> None:
    said = host.check_output(f"systemd-analyze security --json=short --no-pager {unit}.service | cat")
    assert json.loads(said)
    figure = (
        host.check_output(f"systemd-analyze security --no-pager {unit}.service").rsplit(": ", 1)[1].split()[0]
    )
    assert float(figure) <= most
