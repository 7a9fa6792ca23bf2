"""Every SLS file renders for every environment, through the real state.show_sls, gate and pillar included."""

import copy
from pathlib import Path

import pytest
import salt.config
import salt.loader
import salt.pillar
import yaml
from marketplace_log_places import docker_logging
from marketplace_metrics import EXPORTERS

from tests.support.pillars import ENVIRONMENTS, PEM, TOKEN

TREE = Path(__file__).parents[2]
ROOTS = (TREE / "salt", TREE / "formulas")
# What only the operator of an environment has; the shipped names are examples and refused.
OWN = {
    "backend": {"image": "registry.team.dev/marketplace"},
    "edge": {"domains": ["bot.team.dev", "bot2.team.dev"]},
    "secrets": {"telegram_token": {"value": TOKEN}},
}


def name_of(path, root):
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "init" else parts)


SLS = sorted(name_of(path, root) for root in ROOTS for path in root.rglob("*.sls") if path.name != "top.sls")


@pytest.fixture(scope="session", params=ENVIRONMENTS)
def minion(request, tmp_path_factory):
    """Salt's execution modules for one environment, over the tree's own states and pillar."""
    base = tmp_path_factory.mktemp(request.param)
    local = base / "pillar/local"
    local.mkdir(parents=True)
    own = OWN | {"edge": OWN["edge"] | {"root": PEM}} if request.param == "staging" else OWN
    (local / "init.sls").write_text(yaml.safe_dump(own))
    (local / "init.sls").chmod(0o600)
    for entry in (TREE / "pillar").iterdir():
        if entry.name != "local":
            (base / "pillar" / entry.name).symlink_to(entry)
    options = salt.config.minion_config(None)
    options.update(yaml.safe_load((TREE / "minion.conf").read_text()))
    options.update(
        id=request.param,
        root_dir=str(base),
        cachedir=str(base / "cache"),
        extension_modules=str(base / "extmods"),
        file_roots={"base": [str(root) for root in ROOTS]},
        pillar_roots={"base": [str(base / "pillar")]},
        module_dirs=[str(TREE / "salt")],
    )
    options["grains"] = {
        "id": request.param,
        "os": "Debian",
        "os_family": "Debian",
        "osmajorrelease": 13,
        "init": "systemd",
        "kernel": "Linux",
        "saltversion": "3008",
        "saltpath": "/opt/salt",
    }
    compiled = salt.pillar.Pillar(options, options["grains"], options["id"], "base").compile_pillar()
    assert "_errors" not in compiled, compiled["_errors"]
    options["pillar"] = compiled
    modules = salt.loader.minion_mods(options)
    modules.pillar = compiled
    return modules


def rendered(minion, sls):
    """The SLS as Salt compiles it; Salt answers with a list of errors where it cannot."""
    answer = minion["state.show_sls"](sls, pillar=minion.pillar)
    assert isinstance(answer, dict), answer
    return answer


@pytest.mark.parametrize("sls", SLS)
def test_it_renders_and_its_states_exist(minion, sls):
    states = salt.loader.states(minion.opts, minion, {}, {})
    for identifier, body in rendered(minion, sls).items():
        for module, arguments in body.items():
            if module.startswith("__"):
                continue
            function = next(argument for argument in arguments if isinstance(argument, str))
            assert f"{module}.{function}" in states, f"{identifier}: no state {module}.{function}"


@pytest.mark.parametrize("sls", [sls for sls in SLS if sls.startswith("marketplace")])
def test_every_state_of_ours_is_behind_the_gate(minion, sls):
    gate = rendered(minion, sls)["Ensure the settings are valid and written"]["settings"]
    assert {"order": 1} in gate
    assert {"failhard": True} in gate


def test_the_highstate_compiles_with_every_requisite(minion):
    low = minion["state.show_lowstate"](pillar=minion.pillar)
    assert all(isinstance(chunk, dict) for chunk in low), low
    identifiers = {chunk["__id__"] for chunk in low}
    assert len(identifiers) > 50
    wanted = {"require", "watch", "onchanges"}
    for chunk in low:
        for requisite in wanted & chunk.keys():
            for reference in chunk[requisite]:
                ((kind, name),) = reference.items()
                assert kind == "sls" or name in identifiers, f"{chunk['__id__']} requires unknown {name}"


def test_the_first_state_is_the_gate(minion):
    low = minion["state.show_lowstate"](pillar=minion.pillar)
    first = min(low, key=lambda chunk: chunk["order"])
    assert (first["state"], first["fun"]) == ("settings", "written")


@pytest.mark.parametrize("sls", ["alertmanager", "exporters", "prometheus"])
def test_a_service_is_confined_before_its_package_starts_it(minion, sls):
    low = minion["state.show_low_sls"](sls, pillar=minion.pillar)
    [installed] = [chunk for chunk in low if chunk["state"] == "apt_package"]
    required = {name for requirement in installed.get("require", ()) for name in requirement.values()}
    before = {"apt_package": installed["__id__"]}
    required |= {chunk["__id__"] for chunk in low if before in chunk.get("require_in", ())}
    confined = {chunk["__id__"] for chunk in low if chunk["__id__"].endswith(" is confined")}
    assert len(confined) == len(installed["pkgs"]) == (len(EXPORTERS) if sls == "exporters" else 1)
    assert confined <= required


@pytest.mark.parametrize(("strength", "there"), [("minimal", "removed"), ("full", "installed")])
def test_what_measures_is_there_or_gone_by_strength(minion, strength, there):
    asked = {"monitoring": {"strength": strength}, "backend": {"limits": {"memory": "384M"}}}
    states = minion["state.show_sls"]("role.monitoring", pillar=asked)
    packages = {
        package
        for body in states.values()
        if there in body.get("apt_package", ())
        for argument in body["apt_package"]
        if isinstance(argument, dict)
        for package in argument.get("pkgs", ())
    }
    assert {"prometheus", *EXPORTERS} <= packages


def test_of_what_measured_here_before_only_ours_goes_and_it_runs_without(minion):
    low = minion["state.show_low_sls"]("marketplace.no_metrics", pillar=minion.pillar)
    gone = [chunk["name"] for chunk in low if (chunk["state"], chunk["fun"]) == ("file", "absent")]
    ours = (
        "/etc/exporters/",
        "/etc/marketplace/delivered/",
        "/etc/prometheus/rules/",
        "/etc/systemd/system/",
    )
    assert [name for name in gone if not name.startswith(ours)] == [
        "/var/lib/prometheus/node-exporter/logs.prom"
    ]
    again = {chunk["name"]: chunk for chunk in low if chunk["state"] == "systemd_unit"}
    confined = {name for name in gone if name.endswith("/confined.conf")}
    assert {f"/etc/systemd/system/{unit}.d/confined.conf" for unit in again} == confined
    for unit, chunk in again.items():
        assert f"/etc/systemd/system/{unit}.d" in chunk["files"]
        assert chunk["onchanges"]
    (back,) = [chunk for chunk in low if chunk["state"] == "before"]
    assert (back["below"], back["package"]) == ("/etc/prometheus/prometheus.yml", "prometheus")
    assert {"before": back["__id__"]} in again["prometheus.service"]["require"]


THERE = {"managed": {"host": "db.team.dev", "ca": PEM}}
PASSWORDS = {name: {"value": "x"} for name in ("postgres_app_password", "redis_app_password")}


@pytest.mark.parametrize("places", [("postgres",), ("redis",), ("postgres", "redis")])
def test_what_is_at_a_provider_has_no_container_and_no_certificate(minion, places):
    secrets = {f"{name}_app_password": PASSWORDS[f"{name}_app_password"] for name in places}
    asked = {**{name: copy.deepcopy(THERE) for name in places}, "secrets": secrets}
    states = minion["state.show_sls"](
        ["marketplace.backup", "marketplace.edge", "marketplace.database", "marketplace.cache"],
        pillar=asked,
    )
    assert isinstance(states, dict), states
    described = states["Ensure the data services are described"]["file"]
    (dataset,) = (argument["dataset"] for argument in described if "dataset" in argument)
    assert set(dataset["services"] or ()) == {"postgres", "redis"} - set(places)
    for name in places:
        assert f"Ensure {name} has a certificate" not in states
    assert ("Ensure PostgreSQL answers at its provider" in states) == ("postgres" in places)
    assert ("Ensure Redis answers at its provider" in states) == ("redis" in places)
    assert ("Ensure the database's log is received" in states) == ("postgres" not in places)


def service(minion, name):
    states = rendered(minion, "marketplace.data")["Ensure the data services are described"]["file"]
    dataset = next(argument["dataset"] for argument in states if "dataset" in argument)
    return dataset["services"][name]


@pytest.mark.parametrize("name", ["postgres", "redis"])
def test_data_containers_are_confined(minion, name):
    described = service(minion, name)
    settings = minion.pillar["settings"][name]
    assert "ports" not in described
    assert described["image"] == settings["reference"]
    assert "@sha256:" in described["image"]
    assert described["user"] == "999:999"
    assert described["read_only"] is True
    assert described["cap_drop"] == ["ALL"]
    assert described["security_opt"] == ["no-new-privileges:true"]
    assert described["mem_limit"] == described["memswap_limit"] == settings["limits"]["memory"]
    assert described["cpus"] == settings["limits"]["cpus"]
    assert described["pids_limit"] == settings["limits"]["pids"]
    assert described["restart"] == "unless-stopped"
    assert described["stop_grace_period"] == f"{settings['stop_grace']}s"
    assert described["networks"] == {"data": {"ipv4_address": settings["address"]}}
    assert described["logging"] == docker_logging(name, name)
    assert all(mount["bind"] == {"create_host_path": False} for mount in described["volumes"])
    data = next(mount for mount in described["volumes"] if not mount.get("read_only"))
    assert data["source"] == f"/srv/data/{name}/data"


def test_postgres_keeps_its_files_inside_the_mounted_directory(minion):
    described = service(minion, "postgres")
    target = next(
        mount["target"] for mount in described["volumes"] if mount["source"].startswith("/srv/data")
    )
    assert described["environment"]["PGDATA"].startswith(f"{target}/")
    assert "--data-checksums" in described["environment"]["POSTGRES_INITDB_ARGS"]


def test_no_secret_is_in_any_state(minion):
    assert TOKEN not in str(minion["state.show_lowstate"](pillar=minion.pillar))
