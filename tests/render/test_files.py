"""The files that templates make: what must be in them, and what must not."""

import json
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
            marketplace_root=str(tmp_path),
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


@pytest.fixture
def live(tmp_path):
    """``live(variables)``: a release is live whose container was started with them."""

    def made(variables):
        state = tmp_path / "var/lib/marketplace"
        record = dict.fromkeys(("version", "image", "reason", "colour", "by", "tree", "settings_digest"), "")
        record |= {"release": "20261124T000000Z", "previous": None, "outcome": "live", "steps": []}
        record |= {"started": "2026-11-24T00:00:00+00:00", "seconds": 1.0, "schema": {}}
        for path, text in (
            ("ledger/20261124T000000Z.json", json.dumps(record)),
            (
                "releases/20261124T000000Z/compose.yaml",
                json.dumps({"services": {"backend": {"environment": variables}}}),
            ),
        ):
            (state / path).parent.mkdir(parents=True, exist_ok=True)
            (state / path).write_text(text)

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


def test_firewall_keeps_in_what_is_for_a_container_whose_bridge_is_away(render):
    text = firewall(render, settings(network__app__subnet="10.99.10.0/24"))
    assert 'ip daddr 10.99.10.0/24 oifname != "mkt-app" reject' in text
    assert text.count(" reject with ") == 3


def test_edge_serves_the_webhook_health_and_nothing_else(render):
    text = render("marketplace/files/haproxy.cfg.jinja", settings(edge__webhook_path="/hook/abc"))
    public = text[text.index("frontend https") : text.index("frontend verify")]
    assert "path -m str -f /etc/haproxy/secrets/webhook_paths" in public
    assert "use_backend be_%[var(txn.live)] if update\n" in public
    assert "http-request set-path /hook/abc if update" in public
    assert "use_backend health if { path /healthz }" in public
    assert "default_backend nowhere" in public
    assert "/version" not in public
    assert "ssl-min-ver TLSv1.2" in text


def test_maintenance_closes_the_public_webhook_alone(render):
    text = render("marketplace/files/haproxy.cfg.jinja", settings(edge__webhook_path="/hook/abc"))
    public = text[text.index("frontend https") : text.index("frontend verify")]
    verify = text[text.index("frontend verify") : text.index("frontend metrics")]
    closed = public.index("use_backend maintenance if closed update")
    assert closed < public.index("use_backend be_%[var(txn.live)]")
    for keeper in ("operator", "release"):
        assert f"str({keeper}),map(/var/lib/marketplace/maintenance.map,off)" in public
    # A release is verified behind closed doors.
    assert "maintenance" not in verify


def test_updates_are_judged_before_they_are_let_in(render):
    text = render(
        "marketplace/files/haproxy.cfg.jinja",
        settings(telegram__networks=["192.0.2.0/24", "198.51.100.0/24"], edge__body_limit="64K"),
    )
    public = text[text.index("frontend https") : text.index("frontend verify")]
    assert "acl telegram src 192.0.2.0/24 198.51.100.0/24\n" in public
    order = [
        "return status 429",
        "return status 404",
        "return status 405",
        "return status 403",
        "return status 413",
    ]
    places = [public.index(words) for words in [*order, "http-request set-path"]]
    assert places == sorted(places)
    assert "gt 65536" in public


def test_the_log_has_no_address_that_nobody_may_guess(render):
    text = render("marketplace/files/haproxy.cfg.jinja", settings())
    logged = next(line for line in text.splitlines() if "log-format" in line)
    assert "%(path)[var(txn.path)]" in logged
    assert not any(word in logged for word in ("%HP", "%HU", "%r", "%HQ"))


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
    assert {line[0] for line in lines} == {"local", "hostssl", "include_if_exists"}
    # There while the application's password is being replaced.
    assert [line for line in lines if line[0] == "include_if_exists"] == [
        ["include_if_exists", "rotation.conf"]
    ]
    assert {line[-1] for line in lines if line[0] == "hostssl"} == {"scram-sha-256"}
    everywhere = [line for line in lines if line[0] == "hostssl" and line[3] == "10.213.20.0/24"]
    assert [(line[1], line[2]) for line in everywhere] == [
        ("marketplace", "marketplace_app,marketplace_owner")
    ]


def hosts_without_tls(text):
    return [line for line in text.splitlines() if line.split()[:1] == ["host"]]


def test_only_a_live_release_of_an_older_tree_is_let_in_without_tls(render, live):
    live({"REDIS_PORT": "6379"})
    access = render("marketplace/files/pg_hba.conf.jinja", settings())
    assert [line.split()[2] for line in hosts_without_tls(access)] == [
        "marketplace_app,marketplace_owner",
        "health",
    ]
    listen = render("marketplace/files/redis-listen.conf.jinja", settings())
    assert "\nport 6379\ntls-port 6380\n" in listen
    assert "tcp dport { 6380, 6379 } accept" in render("marketplace/files/isolation.nft.jinja", settings())

    live({"REDIS_PORT": "6380", "REDIS_TLS": "true"})
    assert hosts_without_tls(render("marketplace/files/pg_hba.conf.jinja", settings())) == []
    assert "6379" not in render("marketplace/files/isolation.nft.jinja", settings())


def test_a_new_droplet_never_speaks_without_tls(render):
    listen = render("marketplace/files/redis-listen.conf.jinja", settings())
    assert "\nport 0\ntls-port 6380\n" in listen
    assert 'tls-protocols "TLSv1.2 TLSv1.3"' in listen
    postgres = render("marketplace/files/postgresql.conf.jinja", settings())
    assert "ssl = on\n" in postgres
    assert "ssl_min_protocol_version = 'TLSv1.2'" in postgres
    assert "\nport" not in render("marketplace/files/redis.conf.jinja", settings())


def test_the_edge_asks_the_data_services_who_they_are(render):
    text = render("marketplace/files/haproxy.cfg.jinja", settings())
    for service in ("postgres", "redis"):
        section = text[text.index(f"backend check_{service}") :].split("\n\n")[0]
        alpn = "alpn postgresql check-" if service == "postgres" else ""
        assert f"check-ssl check-{alpn}sni {service}" in section
        assert f"verify required verifyhost {service} ca-file /etc/haproxy/services/ca.pem" in section


def test_data_services_do_not_reach_each_other(render):
    text = render("marketplace/files/isolation.nft.jinja", settings())
    data = text[text.index("chain data") :]
    pair = "{ 10.213.20.10, 10.213.20.11 }"
    assert data.index(f"ip saddr {pair} ip daddr {pair} drop") < data.index("accept")
    assert data.rstrip("}\n\t ").endswith("drop")
    assert "ip daddr 10.213.10.0/24 drop" in text


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


def measuring(render):
    """The drop-in of Prometheus and of each exporter, by unit."""
    given = settings(monitoring__strength="full", backend__limits={"memory": "384M"})
    inputs = formula_inputs(given)
    made = {
        unit: render("exporters/files/exporter.conf.jinja", given, unit=unit, exporter=exporter)
        for unit, exporter in inputs["exporters"]["units"].items()
    }
    prometheus = {"port": 9090, **inputs["prometheus"]}
    return made | {
        "prometheus": render("prometheus/files/prometheus.conf.jinja", given, prometheus=prometheus)
    }


def test_what_measures_is_alone_on_the_loopback_and_may_little(render):
    for unit, text in measuring(render).items():
        lines = text.splitlines()
        starts = [line for line in lines if line.startswith("ExecStart=")]
        assert starts[0] == "ExecStart="
        assert len(starts) == 2
        assert starts[1].startswith(f"ExecStart=/usr/bin/{unit} ")
        assert "--web.listen-address=127.0.0.1:" in starts[1]
        wanted = {
            *ALWAYS,
            "CapabilityBoundingSet=",
            "ProtectSystem=strict",
            "IPAddressDeny=any",
            "NoNewPrivileges=yes",
        }
        assert wanted <= set(lines), unit
        size = 128 << 20 if unit == "prometheus" else 32 << 20
        assert f"MemoryMax={size}" in lines
        # The world is not let to, by any address.
        allowed = next(line for line in lines if line.startswith("IPAddressAllow="))
        assert all(
            word == "localhost" or word.startswith("10.213.20.") for word in allowed.split("=")[1].split()
        )


def test_exporters_are_users_of_their_own_and_show_no_secret(render):
    for unit, text in measuring(render).items():
        if unit != "prometheus":
            assert "\nUser=\nDynamicUser=yes\n" in text
            assert "PASSWORD=" not in text
    # A dollar sign is systemd's own.
    assert "/var/backups/marketplace)$$ " in measuring(render)["prometheus-node-exporter"]


def test_prometheus_keeps_what_it_is_given_room_for(render):
    given = settings(monitoring__metrics={"keep_days": 7, "size": "256M", "memory": "200M"})
    inputs = {"port": 9090, **formula_inputs(given)["prometheus"]}
    text = render("prometheus/files/prometheus.conf.jinja", given, prometheus=inputs)
    assert f"--storage.tsdb.retention.time=7d --storage.tsdb.retention.size={256 << 20}B" in text
    assert f"MemoryMax={200 << 20}\n" in text


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


THERE = {"host": "db.team.dev", "ca": "system"}
MANAGED = {
    "postgres__managed": THERE,
    "redis__managed": THERE | {"host": "10.9.8.7"},
    "secrets__postgres_app_password": {"value": "x"},
    "secrets__redis_app_password": {"value": "x"},
}


def test_the_edge_checks_a_provider_by_its_name_without_a_login(render):
    text = render("marketplace/files/haproxy.cfg.jinja", settings(**MANAGED))
    postgres = text.split("backend check_postgres")[1].split("\nbackend")[0]
    assert "server postgres db.team.dev:25060 check inter 5s" in postgres
    assert "send-binary 0000000804d2162f" in postgres
    redis = text.split("backend check_redis")[1].split("\nbackend")[0]
    assert "verify required verifyhost 10.9.8.7 ca-file /etc/haproxy/services/redis.pem" in redis
    assert 'send "AUTH' not in redis
    # A name that nobody knows at the moment must not keep the edge from starting.
    assert text.count("resolvers system init-addr last,libc,none") == 2
    assert "resolvers" not in render("marketplace/files/haproxy.cfg.jinja", settings())


def test_the_isolation_knows_no_address_that_is_elsewhere(render):
    rules = render("marketplace/files/isolation.nft.jinja", settings(**MANAGED))
    assert "db.team.dev" not in rules
    assert "10.9.8.7" not in rules
    assert "jump data" in rules
    one = {name: value for name, value in MANAGED.items() if "redis" not in name}
    rules = render("marketplace/files/isolation.nft.jinja", settings(**one))
    assert "ip daddr 10.213.20.11 tcp dport { 6380 } accept" in rules
    assert "10.213.20.10" not in rules


def test_the_data_services_unit_is_about_those_that_are_here(render):
    unit = render("marketplace/files/marketplace-data.service.jinja", settings(**MANAGED))
    assert "/srv/data" not in unit
    assert "docker compose" not in unit
    one = {name: value for name, value in MANAGED.items() if "postgres" not in name}
    unit = render("marketplace/files/marketplace-data.service.jinja", settings(**one))
    assert "RequiresMountsFor=/srv/data/postgres" in unit
    assert "/srv/data/redis" not in unit
    assert unit.count("AssertPathExists=") == 2
