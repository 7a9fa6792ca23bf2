"""The files that templates make: what must be in them, and what must not."""

from pathlib import Path

import pytest
import salt.config
import salt.loader
from marketplace_formula_inputs import formula_inputs
from marketplace_sandbox import ALWAYS, ENGINE
from marketplace_settings import parse, to_dict

from tests.support.pillars import ENVIRONMENTS, pillar

TREE = Path(__file__).parents[2]


def settings(**changes):
    parsed, problems = parse(
        pillar({path.replace("__", "."): value for path, value in changes.items()}),
        "production",
        ENVIRONMENTS,
    )
    assert problems == []
    return to_dict(parsed)


@pytest.fixture
def render(tmp_path):
    """``render(template, settings, **context)``: the text that file.managed would write."""

    def made(template, given, **context):
        options = salt.config.minion_config(None)
        options.update(
            file_client="local",
            root_dir=str(tmp_path),
            cachedir=str(tmp_path / "cache"),
            extension_modules=str(tmp_path / "extmods"),
            file_roots={"base": [str(TREE / "salt"), str(TREE / "formulas")]},
            module_dirs=[str(TREE / "salt")],
        )
        options["grains"] = {"id": "production"}
        options["pillar"] = {"settings": given, **formula_inputs(given)}
        modules = salt.loader.minion_mods(options)
        source = next(
            root / template for root in (TREE / "salt", TREE / "formulas") if (root / template).exists()
        )
        return str(
            modules["file.apply_template_on_contents"](source.read_text(), "jinja", context, {}, "base")
        )

    return made


def firewall(render, given):
    inputs = {"table": "host", "ssh_port": 22, **formula_inputs(given)["firewall"]}
    return render("firewall/files/firewall.nft.jinja", given, firewall=inputs)


def test_firewall_opens_three_ports_and_drops_the_rest(render):
    text = firewall(render, settings())
    assert "tcp dport { 80, 443 } accept" in text
    assert text.count("policy drop") == 2
    assert "fib daddr . iif type != { local, broadcast, multicast, anycast } drop" in text
    assert "flush ruleset" not in text


def test_firewall_lets_ssh_in_from_given_networks_of_either_family(render):
    text = firewall(render, settings(firewall__ssh_sources=["192.0.2.0/24", "2001:db8::/32"]))
    assert "elements = { 192.0.2.0/24 }" in text
    assert "elements = { 2001:db8::/32 }" in text
    closed = firewall(render, settings(firewall__ssh_sources=["192.0.2.0/24"]))
    ipv6 = closed[closed.index("set ssh_ipv6") : closed.index("set bridges")]
    assert "elements" not in ipv6


def test_firewall_counts_new_ssh_connections_of_each_source_alone(render):
    text = firewall(render, settings(firewall__ssh_rate=45, firewall__ssh_burst=60))
    over = "limit rate over 45/minute burst 60 packets } drop"
    assert f"update @ssh_rate_ipv4 {{ ip saddr {over}" in text
    assert f"update @ssh_rate_ipv6 {{ ip6 saddr & ffff:ffff:ffff:ffff:: {over}" in text
    chain = text[text.index("chain input") : text.index("chain ssh")]
    # No other way in, and what is open already is not counted.
    assert chain.count("dport 22 ") == chain.count("jump ssh") == 2
    assert chain.index("established : accept") < chain.index("jump ssh")


def test_firewall_gives_egress_to_the_application_alone(render):
    text = firewall(render, settings())
    assert 'iifname "mkt-app" oifname != @bridges accept' in text
    assert 'iifname "mkt-data" oifname != @bridges accept' not in text
    assert 'elements = { "docker0", "mkt-app", "mkt-data" }' in text


def test_edge_serves_the_webhook_health_and_nothing_else(render):
    text = render("marketplace/files/haproxy.cfg.jinja", settings(edge__webhook_path="/hook/abc"))
    public = text[text.index("frontend https") : text.index("frontend verify")]
    assert "use_backend be_%[var(txn.live)] if { path /hook/abc }" in public
    assert "use_backend health if { path /healthz }" in public
    assert "default_backend nowhere" in public
    assert "/version" not in public
    assert "ssl-min-ver TLSv1.2" in text


def test_maintenance_closes_the_public_webhook_alone(render):
    text = render("marketplace/files/haproxy.cfg.jinja", settings(edge__webhook_path="/hook/abc"))
    public = text[text.index("frontend https") : text.index("frontend verify")]
    verify = text[text.index("frontend verify") : text.index("frontend metrics")]
    closed = public.index("use_backend maintenance if closed { path /hook/abc }")
    assert closed < public.index("use_backend be_%[var(txn.live)]")
    for keeper in ("operator", "release"):
        assert f"str({keeper}),map(/var/lib/marketplace/maintenance.map,off)" in public
    # A release is verified behind closed doors.
    assert "maintenance" not in verify


def test_edge_never_marks_a_serving_server_down(render):
    text = render("marketplace/files/haproxy.cfg.jinja", settings())
    for colour in ("blue", "green"):
        serving = text[text.index(f"backend be_{colour}") :].split("\n\n")[0]
        assert "check" not in serving
        assert f"backend check_{colour}" in text


def test_metrics_and_verification_stay_on_loopback(render):
    text = render("marketplace/files/haproxy.cfg.jinja", settings())
    binds = [line.split()[1] for line in text.splitlines() if line.strip().startswith("bind ")]
    assert binds == [":80", ":::80", ":443", ":::443", "127.0.0.1:8443", "127.0.0.1:8405"]


def test_postgres_lets_nobody_in_without_a_password(render):
    text = render("marketplace/files/pg_hba.conf.jinja", settings())
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    assert ["local", "all", "postgres", "peer"] in lines
    assert {line[-1] for line in lines if line[0] == "host"} == {"scram-sha-256"}
    everywhere = [line for line in lines if line[0] == "host" and line[3] == "10.213.20.0/24"]
    assert [(line[1], line[2]) for line in everywhere] == [
        ("marketplace", "marketplace_app,marketplace_owner")
    ]


def test_postgres_follows_the_memory_it_is_given(render):
    small = render("marketplace/files/postgresql.conf.jinja", settings(postgres__limits__memory="512M"))
    large = render("marketplace/files/postgresql.conf.jinja", settings(postgres__limits__memory="1G"))
    assert "shared_buffers = '128MB'" in small
    assert "shared_buffers = '256MB'" in large


def test_redis_persists_and_never_evicts(render):
    given = settings(redis__save=["900 1", "60 1000"])
    text = render("marketplace/files/redis.conf.jinja", given)
    assert "save 900 1\nsave 60 1000\n" in text
    assert "maxmemory-policy noeviction" in text
    assert "stop-writes-on-bgsave-error yes" in text
    assert f"maxmemory {given['redis']['maxmemory']}" in text
    assert given["redis"]["maxmemory"] < given["redis"]["limits"]["memory"]


def test_units_wait_longer_than_the_grace_they_give(render):
    given = settings(postgres__stop_grace=90, backend__stop_grace=40)
    data = render("marketplace/files/marketplace-data.service.jinja", given)
    backend = render("marketplace/files/marketplace-backend.service.jinja", given)
    assert "TimeoutStopSec=120" in data
    assert "TimeoutStopSec=75" in backend
    assert "docker stop --time 45 backend-blue backend-green worker-blue worker-green" in backend
    for unit in (data, backend):
        assert "Requires=docker" not in unit
        # One that fails once at boot is tried again, and so gets its orderly stop back.
        assert "Restart=on-failure" in unit
        assert "StartLimitIntervalSec=0" in unit
        assert "PartOf" not in unit


def test_boot_has_time_to_finish_what_was_interrupted(render):
    given = settings(backend__soak=900, backend__migration_timeout=7200, backend__stop_grace=40)
    unit = render("marketplace/files/marketplace-backend.service.jinja", given)
    assert "TimeoutStartSec=8700" in unit
    assert "KillMode=mixed" in unit
    assert "deploy.resume" in unit


def test_nothing_is_pulled_or_waited_for_at_boot(render):
    unit = render("marketplace/files/marketplace-data.service.jinja", settings())
    start = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    assert "--no-recreate --pull never" in start
    assert "--wait" not in start


def test_boot_is_confined_as_releases_are(render):
    unit = render("marketplace/files/marketplace-backend.service.jinja", settings()).splitlines()
    assert set(ENGINE) <= set(unit)
    # What is set twice is added up or replaced, by rules that differ from line to line.
    names = [line.split("=")[0] for line in ENGINE]
    assert len(names) == len(set(names))


def test_the_data_services_unit_is_a_client_and_no_more(render):
    unit = render("marketplace/files/marketplace-data.service.jinja", settings()).splitlines()
    assert {*ALWAYS, "CapabilityBoundingSet=", "PrivateNetwork=yes", "ProtectSystem=strict"} <= set(unit)


def test_updates_hold_back_what_carries_the_traffic(render):
    text = render("updates/files/apt.conf.jinja", settings(), held=["docker.io", "haproxy"])
    assert '"docker\\.io$";' in text
    assert '"haproxy$";' in text
    assert 'Automatic-Reboot "false"' in text


def test_a_reboot_takes_the_release_lock(render):
    given = settings(updates__reboot_time="04:15")
    inputs = formula_inputs(given)["updates"]
    unit = render(
        "updates/files/updates-reboot.service.jinja", given, lock=inputs["reboot_lock"], patience=3600
    )
    assert "flock --wait 3600 --conflict-exit-code 75 /var/lib/marketplace/lock /usr/bin/systemctl" in unit
    assert "ConditionPathExists=/run/reboot-required" in unit
    assert "ReadWritePaths=/var/lib/marketplace\n" in unit
    assert "OnCalendar=*-*-* 04:15:00" in render(
        "updates/files/updates-reboot.timer.jinja", given, time=inputs["reboot_time"]
    )
