"""What the audit makes of the tools' reports."""

import copy

import pytest

from audit import cis, host, ssh, units
from audit.cis_facts import FILES, Facts
from audit.outcome import Finding, Outcome, explained, explanations
from audit.summary import clean, parts

CONTAINER = {
    "Name": "/redis",
    "Image": "sha256:1",
    "AppArmorProfile": "docker-default",
    "Config": {"Image": "redis:8@sha256:1", "User": "999:999", "Healthcheck": {"Test": ["CMD"]}},
    "State": {"Health": {"Status": "healthy"}},
    "Mounts": [{"Source": "/srv/data/redis/data", "Propagation": "rprivate"}],
    "NetworkSettings": {"Networks": {"data": {}}},
    "HostConfig": {
        "CapAdd": None, "CapDrop": ["ALL"], "Privileged": False, "PortBindings": {}, "PublishAllPorts": False,
        "NetworkMode": "data", "Memory": 1, "NanoCpus": 1, "ReadonlyRootfs": True, "PidsLimit": 64, "PidMode": "",
        "RestartPolicy": {"Name": "unless-stopped"}, "IpcMode": "private", "Devices": None, "Ulimits": None,
        "UTSMode": "", "SecurityOpt": ["no-new-privileges:true"], "CgroupParent": "", "UsernsMode": "",
    },
}  # fmt: skip


def test_what_belongs_to_the_machine_below_a_container_is_not_counted_by_lynis():
    profile = (
        "config-data=sysctl;fs.suid_dumpable;0;1;Restrict core dumps;-\n"
        "config-data=sysctl;kernel.kptr_restrict;2;1;Restrict access to kernel symbols;-\n"
        "config-data=sysctl;net.ipv4.conf.all.rp_filter;1;1;Enforce filtering;-\n"
        "#config-data=sysctl;kernel.panic;0;1;-;-\n"
    )
    assert host.without_the_machines(profile) == (
        "skip-test=KRNL-6000:fs.suid_dumpable\nskip-test=KRNL-6000:kernel.kptr_restrict\n"
    )


def facts(**changes):
    made = Facts(
        info={
            "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin"],
            "RegistryConfig": {"IndexConfigs": {"docker.io": {"Secure": True}}},
            "Driver": "overlay2",
            "Plugins": {"Authorization": None},
            "LoggingDriver": "journald",
            "LiveRestoreEnabled": True,
            "Swarm": {"LocalNodeState": "inactive"},
        },
        version={"Experimental": False},
        daemon={"no-new-privileges": True, "userland-proxy": False, "default-ulimits": {"core": {}}},
        arguments="/usr/sbin/dockerd -H fd://",
        bridge={"Options": {"com.docker.network.bridge.enable_icc": "false"}},
        containers={"redis": copy.deepcopy(CONTAINER)},
        images={"sha256:1": {"RepoTags": ["redis:8"], "Config": {"Env": ["PATH=/bin"]}}},
        processes={"redis": ["redis-server"]},
        files={
            path: ("root:docker" if path.endswith("docker.sock") else "root:root", 0o600) for path in FILES
        },
        group=[],
    )
    for name, value in changes.items():
        object.__setattr__(made, name, value)
    return made


def failed(given):
    return {finding.id for finding in cis.outcome(given).findings}


def test_all_that_a_right_droplet_fails_is_explained():
    result = cis.outcome(facts())
    assert result.unexplained == []
    assert result.passed
    assert {"2.1", "2.9", "5.15"} <= failed(facts())
    assert "2.9" in result.report
    assert "no-user-namespaces" in result.report


@pytest.mark.parametrize(
    ("number", "key", "value"),
    [
        ("5.4", "CapAdd", ["NET_ADMIN"]),
        ("5.5", "Privileged", True),
        ("5.8", "PortBindings", {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}),
        ("5.10", "NetworkMode", "host"),
        ("5.11", "Memory", 0),
        ("5.13", "ReadonlyRootfs", False),
        ("5.16", "PidMode", "host"),
        ("5.22", "SecurityOpt", ["no-new-privileges:true", "seccomp=unconfined"]),
        ("5.26", "SecurityOpt", []),
        ("5.29", "PidsLimit", None),
    ],
)
def test_a_wrong_container_is_an_unexplained_failure(number, key, value):
    given = facts()
    given.containers["redis"]["HostConfig"][key] = value
    assert number in {finding.id for finding in cis.outcome(given).unexplained}


@pytest.mark.parametrize(
    ("number", "change"),
    [
        ("1.1.2", {"group": ["deploy"]}),
        ("2.2", {"bridge": {"Options": {"com.docker.network.bridge.enable_icc": "true"}}}),
        ("2.7", {"arguments": "dockerd -H tcp://0.0.0.0:2375"}),
        ("3.15-16", {"files": dict.fromkeys(FILES, ("root:root", 438))}),
        ("4.10", {"images": {"sha256:1": {"RepoTags": [], "Config": {"Env": ["REDIS_PASSWORD=x"]}}}}),
        ("5.7", {"processes": {"redis": ["redis-server", "sshd"]}}),
    ],
)
def test_a_wrong_engine_is_an_unexplained_failure(number, change):
    assert number in {finding.id for finding in cis.outcome(facts(**change)).unexplained}


def test_lynis_is_read():
    data = "hardening_index=83\nwarning[]=NETW-1|Nameserver|-|-|\nsuggestion[]=AUTH-2|Install it|pam|-|\n"
    assert host.read(data) == (83, [("NETW-1", "Nameserver")], [("AUTH-2", "Install it pam")])
    with pytest.raises(ValueError, match="no hardening index"):
        host.read("")


def test_ssh_audit_is_read():
    report = "(kex) a  -- [info] available\n(kex) b  -- [fail] using NIST\n(mac) c  -- [warn] weak\n"
    assert ssh.read(report) == (["(kex) b -- [fail] using NIST"], ["(mac) c -- [warn] weak"])


def test_exposure_is_read():
    assert units.exposure("x\n→ Overall exposure level for firewall.service: 1.9 OK 🙂\n") == 1.9


def test_a_goal_that_is_missed_needs_reasons():
    def outcome(met, *findings):
        return Outcome("t", "goal", "figure", met, "report", findings)

    assert outcome(True).passed
    assert not outcome(False).passed
    assert outcome(False, Finding("a", "says", "because")).passed
    assert not outcome(True, Finding("a", "says")).passed
    assert "**missed**" in "\n".join(parts([outcome(False)]))


def test_an_explanation_may_stand_for_many():
    written = {"tool": {"unit-*": "all", "unit-a-*": "some", "unit-a-b": "one"}}
    found = explained("tool", [(name, "") for name in ("unit-x", "unit-a-x", "unit-a-b", "other")], written)
    assert [finding.why for finding in found] == ["all", "some", "one", ""]


def test_every_explanation_is_a_text():
    for reasons in explanations().values():
        assert all(isinstance(key, str) and isinstance(why, str) and why for key, why in reasons.items())


def test_reports_say_nothing_of_where_they_were_made():
    assert clean("\x1b[1mfrom http://mirror.example/debian  \r\n\n\n\nend", ["mirror.example"]) == (
        "from http://(mirror)/debian\n\nend\n"
    )
