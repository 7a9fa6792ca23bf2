"""What the parser makes of a right pillar."""

import dataclasses
import ipaddress
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marketplace_durable import digest
from marketplace_formula_inputs import formula_inputs
from marketplace_settings import differences, examine, parse, release_settings, to_dict
from marketplace_settings_fields import public
from marketplace_settings_secrets import Sources
from marketplace_units import GIB, MIB

from tests.support.pillars import DIGEST, ENVIRONMENTS, TOKEN, pillar


def settings(changes=None, minion_id="production"):
    parsed, problems = parse(pillar(changes), minion_id, ENVIRONMENTS)
    assert problems == []
    return to_dict(parsed)


def test_the_least_pillar_is_enough():
    made = settings()
    assert made["schema"] == 1
    assert made["environment"] == "production"
    assert made["postgres"]["reference"] == f"postgres:17.11@{DIGEST}"
    assert made["redis"]["reference"] == f"redis:8.10.1@{DIGEST}"
    assert made["secrets"]["telegram_token"] == "given"
    assert made["secrets"]["webhook_secret"] == "generated"
    assert "registry_password" not in made["secrets"]


def test_settings_are_plain_data_and_frozen():
    parsed, _ = parse(pillar(), "production", ENVIRONMENTS)
    assert json.loads(json.dumps(to_dict(parsed))) == to_dict(parsed)
    with pytest.raises(dataclasses.FrozenInstanceError):
        parsed.postgres.port = 1


def test_sizes_become_bytes_and_durations_seconds():
    made = settings(
        {"postgres.limits": {"memory": "768M"}, "backend.ready_timeout": "2m", "droplet": {"swap": 0}}
    )
    assert made["postgres"]["limits"]["memory"] == 768 * MIB
    assert made["backend"]["ready_timeout"] == 120
    assert made["droplet"]["swap"] == 0


@pytest.mark.parametrize(
    ("minion_id", "environment"),
    [("production", "production"), ("staging-2", "staging"), ("development-a-b", "development")],
)
def test_the_environment_is_the_minion_id_up_to_its_first_dash(minion_id, environment):
    assert settings(minion_id=minion_id)["environment"] == environment


@given(st.integers(0, 255), st.integers(0, 255), st.sampled_from([24, 25, 26, 27]))
def test_every_container_has_an_address_of_its_own_in_its_network(second, third, prefix):
    app, data = f"10.{second}.{third}.0/{prefix}", f"172.20.{third}.0/{prefix}"
    pool = {"docker": {"subnet": "192.168.0.0/24", "pool": "192.168.128.0/17"}}
    made = settings({"network": {"app": {"subnet": app}, "data": {"subnet": data}, **pool}})
    for name, subnet in (("app", app), ("data", data)):
        addresses = [colour[name] for colour in made["backend"]["addresses"].values()]
        addresses.append(made["network"][name]["gateway"])
        if name == "data":
            addresses += [made["postgres"]["address"], made["redis"]["address"]]
        assert len(set(addresses)) == len(addresses)
        hosts = set(map(str, ipaddress.ip_network(subnet).hosts()))
        assert set(addresses) <= hosts


@given(st.integers(256, 65536), st.integers(1, 500), st.integers(1, 64), st.integers(20, 2000))
def test_tuning_fits_the_memory_it_is_given(memory, disk, cpus, connections):
    from marketplace_tuning import postgres_shm_size, postgres_tuning, redis_maxmemory

    tuning = postgres_tuning(memory * MIB, disk * GIB, cpus, connections)
    number = {key: int(value[:-2]) for key, value in tuning.items() if value.endswith("MB")}
    assert number["shared_buffers"] * 4 <= memory
    assert number["shared_buffers"] < number["effective_cache_size"] < memory
    assert number["max_wal_size"] * MIB <= disk * GIB / 8
    assert 32 <= number["min_wal_size"] <= number["max_wal_size"]
    assert postgres_shm_size(memory * MIB) <= memory * MIB // 4 or memory <= 256
    assert redis_maxmemory(memory * MIB) <= memory * MIB * 0.45


def test_postgres_and_redis_listen_on_their_ports_for_tls():
    made = settings()
    assert (made["postgres"]["port"], made["redis"]["port"]) == (5432, 6380)
    assert made["postgres"]["tls"] is made["redis"]["tls"] is True


def test_a_process_for_each_connection_is_enough_with_some_more():
    assert settings({"postgres": {**pillar()["postgres"], "max_connections": 192}})


def test_a_small_redis_fits_a_small_disk():
    assert settings({"redis.disk": "1G"})["redis"]["maxmemory"] == 172 * MIB


def test_parameters_win_over_the_tuning():
    made = settings(
        {"postgres.parameters": {"work_mem": "16MB", "log_min_duration_statement": 500, "jit": True}}
    )
    assert made["postgres"]["tuning"]["work_mem"] == "16MB"
    assert made["postgres"]["tuning"]["log_min_duration_statement"] == "500"
    assert made["postgres"]["tuning"]["jit"] == "on"
    assert made["postgres"]["tuning"]["shared_buffers"] == "256MB"


def test_environment_variables_may_be_whole_numbers():
    assert settings({"backend.environment": {"WORKERS": 4}})["backend"]["environment"] == {"WORKERS": "4"}


def test_hooks_are_commands_in_order():
    said = [["/usr/bin/logger", "release of $VERSION"], ["/usr/bin/logger", "release of $VERSION"]]
    assert settings({"backend.hooks": {"after": said}})["backend"]["hooks"] == {"before": [], "after": said}


def test_a_release_is_watched_unless_told_otherwise():
    made = settings()["backend"]
    assert (made["soak"], made["soak_errors"], made["hook_timeout"]) == (20, 5, 60)
    assert (made["disk_reserve"], made["keep_releases"]) == (2 * GIB, 5)
    assert settings({"backend.soak": "2m"})["backend"]["soak"] == 120


def test_a_private_registry_needs_its_password():
    registry = {"server": "ghcr.io", "username": "robot"}
    outcome = examine(
        pillar({"registry": registry, "secrets.registry_password": {"value": "hunter2hunter2"}}),
        "production",
        ENVIRONMENTS,
    )
    assert outcome.problems == []
    assert outcome.settings.secrets["registry_password"] == "given"
    assert outcome.secrets["registry_password"] == "hunter2hunter2"


def test_secrets_from_files_and_the_environment():
    changes = {
        "secrets.telegram_token": {"file": "/root/token"},
        "secrets.webhook_secret": {"environment": "HOOK"},
    }
    sources = Sources(file={"/root/token": TOKEN + "\n"}.__getitem__, environment={"HOOK": "h" * 20}.get)
    outcome = examine(pillar(changes), "production", ENVIRONMENTS, sources)
    assert outcome.problems == []
    assert outcome.secrets == {"telegram_token": TOKEN, "webhook_secret": "h" * 20}
    assert outcome.settings.secrets["webhook_secret"] == "given"
    assert TOKEN not in repr(outcome)


def test_the_settings_never_hold_a_secret():
    assert TOKEN not in json.dumps(settings())


def test_another_token_is_no_change_of_settings():
    other = TOKEN.replace("AAH", "BBH")
    assert digest(settings()) == digest(settings({"secrets.telegram_token": {"value": other}}))


def test_the_digest_does_not_hang_on_the_order_of_keys():
    made = settings()
    assert digest(dict(reversed(list(made.items())))) == digest(made)
    assert digest(made) != digest({**made, "schema": 2})


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_placeholders_are_accepted_where_pillar_says_so_whatever_the_environment(environment):
    changes = {"edge.domains": ["bot.example.com"], "backend.image": "registry.example.com/team/marketplace"}
    _, problems = parse(pillar(changes), environment, ENVIRONMENTS)
    assert [problem.path for problem in problems] == ["edge.domains", "backend.image"]
    said = changes | {"droplet.example_names": True}
    assert settings(said, environment)["edge"]["domains"] == ["bot.example.com"]


def test_environments_differ_in_nothing_but_their_name():
    made = [settings(minion_id=environment) | {"environment": ""} for environment in ENVIRONMENTS]
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"backend.version": "2.0.0"}, True),
        ({"backend.follow_pillar": True}, True),
        ({"backend.keep_releases": 9}, True),
        ({"backend.soak": 0}, True),
        ({"backend.soak_errors": 1.5}, True),
        ({"backend.hooks": {"before": [["/bin/true"]]}}, True),
        ({"backend.hook_timeout": "2m"}, True),
        ({"backend.disk_reserve": "1G"}, True),
        ({"firewall": {"ssh_sources": ["10.0.0.0/8"]}}, True),
        ({"redis.save": ["60 1"]}, True),
        ({"telegram": {"networks": ["10.0.0.0/8"]}}, True),
        ({"postgres.disk": "10G"}, True),
        ({"backend.environment": {"A": "b"}}, False),
        ({"backend.limits": {"memory": "256M"}}, False),
        ({"backend.stop_grace": 10}, False),
        ({"edge.webhook_path": "/hook"}, False),
        ({"telegram": {"api_url": "http://127.0.0.1:8081"}}, False),
        ({"postgres.database": "shop"}, False),
        ({"postgres.roles": {"application": "shop_app"}}, False),
        ({"redis.users": {"application": "shop"}}, False),
        ({"network": {"data": {"subnet": "10.213.30.0/24"}}}, False),
    ],
)
def test_what_makes_a_release_another_release(changes, same):
    before, after = release_settings(settings()), release_settings(settings(changes))
    assert (before["digest"] == after["digest"]) is same


def test_the_run_option_is_no_setting():
    assert digest(settings({"allow_restart": True})) == digest(settings())


def test_keys_of_salt_itself_are_left_out():
    assert settings({"_errors": ["x"]}) == settings()


def test_differences_name_the_paths():
    one = settings()
    other = settings(
        {"postgres.disk": "10G", "backend.environment": {"A": "b"}, "edge.domains": ["x.team.dev"]}
    )
    assert differences(one, other) == ["backend.environment.A", "edge.domains", "postgres.disk"]
    assert differences(one, one) == []


def test_digests_may_be_seen_and_tokens_not():
    seen = public({"a": f"postgres:17@{DIGEST}", "b": [TOKEN, "plain"], "c": 1})
    assert seen == {"a": f"postgres:17@{DIGEST}", "b": ["(not shown)", "plain"], "c": 1}


def test_a_block_volume_takes_nothing_of_the_own_disk():
    large = {"droplet.disk": "60G", "postgres.disk": "100G"}
    _, problems = parse(pillar(large), "production", ENVIRONMENTS)
    assert "droplet.disk" in [problem.path for problem in problems]
    parsed, problems = parse(pillar(large | {"postgres.device": "/dev/sda"}), "production", ENVIRONMENTS)
    assert problems == []
    assert formula_inputs(to_dict(parsed))["volumes"]["mounts"]["/srv/data/postgres"]["device"] == "/dev/sda"
