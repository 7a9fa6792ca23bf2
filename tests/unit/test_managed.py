"""PostgreSQL or Redis at a managed provider: what the settings make of it, and everything that is otherwise then."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from marketplace_backup_status import judge
from marketplace_backup_world import BackupError
from marketplace_backups import Backup, Catalogue, kinds
from marketplace_census import Census
from marketplace_database import DatabaseError
from marketplace_dump import due
from marketplace_dump_server import choose_dump
from marketplace_formula_inputs import formula_inputs
from marketplace_managed import ours, place, theirs
from marketplace_metrics import POSTGRES, REDIS, exporters
from marketplace_moved import unlike
from marketplace_paths import Paths
from marketplace_provider_database import Login, ProviderDatabase, login_of, rows_of
from marketplace_release_compose import environment, one_off
from marketplace_rotation import WAYS, refusal
from marketplace_secrets import Store
from marketplace_settings import parse, release_settings, to_dict
from marketplace_settings_fixed import moved
from marketplace_settings_kinds_net import Authorities
from marketplace_settings_moving import changing, unproven
from marketplace_settings_moving import refusal as stays
from marketplace_watch_heal import cures
from marketplace_watch_rules import findings

from tests.support.looks import LIMITS, history, look, silent
from tests.support.pillars import ENVIRONMENTS, PEM, pillar
from tests.unit.test_states import load

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
PASSWORD = {"value": "AVNS_1:\\'x"}
DATABASE = {
    "postgres.managed": {"host": "db.team.dev", "port": 25060, "database": "bot", "user": "app", "ca": PEM},
    "secrets.postgres_app_password": PASSWORD,
}
CACHE = {
    "redis.managed": {"host": "cache.team.dev", "user": "default", "ca": "system"},
    "secrets.redis_app_password": PASSWORD,
}
OWNED = {
    "postgres.managed": {**DATABASE["postgres.managed"], "owner": "chief"},
    "secrets.postgres_app_password": PASSWORD,
    "secrets.postgres_owner_password": PASSWORD,
}


def settings(*changes):
    parsed, problems = parse(
        pillar({key: value for part in changes for key, value in part.items()}), "production", ENVIRONMENTS
    )
    assert problems == []
    return to_dict(parsed)


def problems(*changes):
    return {
        problem.path: problem.wrong
        for problem in parse(
            pillar({key: value for part in changes for key, value in part.items()}),
            "production",
            ENVIRONMENTS,
        )[1]
    }


def test_each_is_at_a_provider_or_here_by_itself():
    assert (ours(settings()), theirs(settings())) == (("postgres", "redis"), ())
    assert (ours(settings(DATABASE)), theirs(settings(DATABASE))) == (("redis",), ("postgres",))
    assert ours(settings(DATABASE, CACHE)) == ()
    # An older tree's settings know nothing of it.
    assert ours({"postgres": {}, "redis": {"managed": {"host": ""}}}) == ("postgres", "redis")


def test_what_is_at_a_provider_is_found_there():
    made = settings(DATABASE, CACHE)
    assert place(made, "postgres") == "db.team.dev:25060"
    assert made["postgres"]["roles"] | {"backup": "", "monitoring": ""} == {
        "application": "app", "owner": "app", "backup": "", "monitoring": "",
    }  # fmt: skip
    assert made["postgres"]["owner_secret"] == "postgres_app_password"
    assert made["redis"]["authority"] == "/etc/ssl/certs/ca-certificates.crt"
    owned = settings(OWNED)["postgres"]
    assert (owned["roles"]["owner"], owned["owner_secret"]) == ("chief", "postgres_owner_password")


def test_secrets_are_the_providers_or_of_no_use():
    kept = settings(DATABASE, CACHE)["secrets"]
    assert (kept["postgres_app_password"], kept["redis_app_password"]) == ("given", "given")
    for name in ("superuser", "owner", "backup", "monitoring"):
        assert f"postgres_{name}_password" not in kept
    assert "redis_operator_password" not in kept
    missing = problems({name: value for name, value in OWNED.items() if "owner" not in name})
    assert "password of postgres.managed.owner" in missing["secrets.postgres_owner_password"]
    useless = problems(DATABASE, {"secrets.postgres_superuser_password": {"value": "x" * 20}})
    assert "a provider has no such user" in useless["secrets.postgres_superuser_password"]
    assert (
        "owner is not set"
        in problems(DATABASE, {"secrets.postgres_owner_password": PASSWORD})[
            "secrets.postgres_owner_password"
        ]
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("postgres.disk", "40G"),
        ("postgres.device", "/dev/sda"),
        ("postgres.limits", {"cpus": 0.5}),
        ("postgres.parameters", {"work_mem": "8MB"}),
        ("postgres.database", "other"),
    ],
)
def test_what_is_for_a_container_has_no_effect_and_is_named(path, value):
    (found,) = problems(DATABASE, {path: value}).items()
    assert found[0].startswith(path)
    assert "no effect while postgres.managed.host is set" in found[1]


def test_what_is_elsewhere_takes_nothing_of_the_droplet():
    # Both of them, and the backend, would not fit.
    large = {"backend.limits": {"memory": "1200M", "cpus": 1.75}}
    assert problems(large).keys() == {"droplet.memory", "droplet.cpus"}
    assert problems(large, DATABASE, CACHE) == {}


def test_exporters_that_are_not_started_take_no_memory():
    full = {"monitoring.strength": "full", "droplet.memory": "1G"}
    for changes, times in (((), 4), ((DATABASE,), 3), ((DATABASE, CACHE), 2)):
        assert (
            f" {times} x monitoring.metrics.exporter_memory 32M" in problems(full, *changes)["droplet.memory"]
        )


def test_authorities_are_certificates_or_the_systems():
    kind = Authorities("", "")
    assert kind.read(f"\n {PEM}\n# in between\n{PEM}".replace("# in between\n", "")) == PEM + PEM
    assert kind.read(" system ") == "system"


def test_the_backend_is_told_where_and_by_whom_it_knows_them():
    given = environment(settings(OWNED, CACHE), "r", "1.0.0", "blue", "application")
    assert (given["DATABASE_HOST"], given["DATABASE_USER"], given["DATABASE_NAME"]) == (
        "db.team.dev",
        "app",
        "bot",
    )
    assert given["DATABASE_SSLMODE"] == "verify-full"
    assert given["DATABASE_CA_FILE"] == "/run/secrets/database_ca.pem"
    assert (given["REDIS_HOST"], given["REDIS_USER"]) == ("cache.team.dev", "default")
    assert given["REDIS_CA_FILE"] == "/run/secrets/redis_ca.pem"
    migration = environment(settings(OWNED), "r", "1.0.0", "blue", "owner")
    assert migration["DATABASE_USER"] == "chief"
    assert migration["REDIS_CA_FILE"] == "/run/secrets/ca.pem"


@pytest.mark.parametrize(("changes", "names"), [({}, ["data"]), (DATABASE, ["app", "data"])])
def test_a_migration_has_a_way_out_only_where_the_database_is_there(changes, names):
    arguments = one_off(settings(changes), "r", "1.0.0", "image", "blue", ("migrate",), "/d", 10)
    assert [
        word.split("name=")[1].split(",")[0] for word in arguments if word.startswith("--network=")
    ] == names


def test_a_release_is_another_one_by_where_its_data_are():
    digests = {release_settings(made)["digest"] for made in (settings(), settings(DATABASE), settings(CACHE))}
    assert len(digests) == 3
    assert not [key for key in release_settings(settings()) if "provider" in key]


def test_nothing_that_is_fixed_here_is_fixed_of_what_is_elsewhere():
    assert moved(settings(), settings(DATABASE), live=True) == []
    assert moved(settings(DATABASE), settings(), live=True) == []
    assert moved(settings(DATABASE), settings(DATABASE, {"redis.users": {"application": "x"}}), live=False)


def test_a_service_moves_only_with_its_data_and_while_nobody_writes():
    here, there = settings(), settings(DATABASE)
    assert changing(here, there) == ("postgres",)
    assert changing(there, here) == ("postgres",)
    another = settings({**DATABASE, "postgres.managed": DATABASE["postgres.managed"] | {"database": "other"}})
    assert changing(there, another) == ("postgres",)
    assert changing(None, there) == changing(there, there) == changing(here, here) == ()
    assert stays(here, there, moved=True, live=True, closed=True) is None
    assert stays(here, there, moved=True, live=False, closed=False) is None
    assert stays(None, there, moved=False, live=False, closed=False) is None
    unsaid = stays(here, there, moved=False, live=True, closed=True)
    assert "PostgreSQL from this droplet to db.team.dev:25060" in unsaid
    assert "data_moved" in unsaid
    assert "maintenance on" in stays(there, here, moved=True, live=True, closed=False)


def test_a_provider_proves_itself_when_the_way_there_is_new():
    there = settings(DATABASE)
    assert unproven(None, there) == unproven(settings(), there) == ("postgres",)
    assert unproven(there, there) == ()
    other = {**DATABASE, "postgres.managed": DATABASE["postgres.managed"] | {"ca": "system"}}
    assert unproven(there, settings(other)) == ("postgres",)


def test_formulas_get_to_know_of_what_is_here_alone():
    inputs = formula_inputs(settings(DATABASE))
    assert inputs["services"] == {"ours": ["redis"], "theirs": ["postgres"]}
    assert inputs["docker"]["mounts"] == ["/srv/data/redis"]
    assert set(inputs["volumes"]["mounts"]) == {"/srv/data/redis", "/var/backups/marketplace"}


def test_what_is_elsewhere_is_not_measured_here():
    full = {"monitoring.strength": "full", "backend.limits": {"memory": "384M"}}
    made = settings(DATABASE, full)
    assert POSTGRES not in exporters(made)
    assert REDIS in exporters(made)
    jobs = {job["job_name"] for job in formula_inputs(made)["prometheus"]["config"]["scrape_configs"]}
    assert "postgres" not in jobs
    assert {"redis", "edge", "host"} < jobs


@pytest.mark.parametrize("name", [name for name in WAYS if name.startswith("postgres")])
def test_a_providers_password_is_not_replaced_here(name):
    assert "the provider's: change it there" in refusal([name], {name: "given"}, ("postgres",))
    assert refusal([name], {name: "generated"}, ("redis",)) is None


ELSEWHERE = {"elsewhere": {"postgres": "db.team.dev:25060"}}


def told(seen):
    return {finding.key: finding for finding in findings(seen, history(seen), LIMITS, ())}


def without_container(seen):
    return replace(
        seen, containers={name: state for name, state in seen.containers.items() if name != "postgres"}
    )


def test_a_provider_that_is_away_is_told_and_nobody_is_restarted():
    assert told(without_container(look(**ELSEWHERE))) == {}
    seen = without_container(look(**ELSEWHERE, checks={"postgres": silent(90, "L4TOUT")}))
    down = told(seen)["service.down/postgres"]
    assert "at its provider (db.team.dev:25060)" in down.summary
    assert "the provider has trouble" in down.cause
    assert down.command == "salt-call health.check"
    assert cures(seen, history(seen)) == []


def backup(hours, **facts):
    ended = (NOW - timedelta(hours=hours)).isoformat()
    return Backup(
        "dump",
        f"{hours}",
        ended,
        ended,
        1,
        {},
        {"rows": {}, "heads": [], "place": "db.team.dev:25060/bot"} | facts,
    )


def test_of_a_database_elsewhere_the_dump_is_the_backup():
    assert kinds(settings(DATABASE)) == ("dump", "redis", "house")
    assert kinds(settings(DATABASE, CACHE)) == ("dump", "house")
    assert judge({"dump": backup(20)}, None, [], NOW, {}) == []
    assert "30 h old" in judge({"dump": backup(30)}, None, [], NOW, {})[0]


def test_the_dump_that_is_restored_is_not_younger_than_asked_for():
    there = settings(DATABASE)
    dumps = [backup(50), backup(26), replace(backup(2), problems=("broken",))]
    assert choose_dump(dumps, there, None, NOW).id == "26"
    assert choose_dump(dumps, there, NOW - timedelta(hours=30), NOW).id == "50"
    for time, words in ((NOW + timedelta(1), "still to come"), (NOW - timedelta(9), "oldest good dump")):
        with pytest.raises(BackupError, match=words):
            choose_dump(dumps, there, time, NOW)
    # One of an older tree was not counted: nothing could be compared with it.
    with pytest.raises(BackupError, match="no good dump"):
        choose_dump([replace(backup(2), facts={"tables": 3})], there, None, NOW)


def test_a_dump_from_before_a_move_is_no_backup_of_the_new_place():
    here, there = settings(), settings(DATABASE)
    old = replace(backup(2), facts={"rows": {}, "heads": []})
    with pytest.raises(BackupError, match=r"no good dump of the database at db\.team\.dev:25060/bot"):
        choose_dump([old], there, None, NOW)
    assert choose_dump([old, backup(9)], there, None, NOW).id == "9"
    assert choose_dump([old, backup(1)], here, None, NOW).id == "2"
    other = {**DATABASE, "postgres.managed": DATABASE["postgres.managed"] | {"database": "other"}}
    assert not backup(1).of_now(settings(other))


def test_a_move_makes_a_dump_of_the_new_place_due(monkeypatch, tmp_path):
    catalogue = Catalogue(tmp_path)
    for kind in ("postgres", "redis", "house", "dump"):
        catalogue.add(replace(backup(2), kind=kind, facts={"tables": 1, "rows": {"public.users": 1}}))
    world = SimpleNamespace(catalogue=catalogue, clock=SimpleNamespace(now=lambda: NOW))
    assert not due(world, settings())
    for now, wanted in (
        (settings(), {}),
        (settings(DATABASE), {"dump": {"old": None, "new": "backed up"}}),
    ):
        state = load("backup", __pillar__={"settings": now}, __opts__={"test": True})
        monkeypatch.setattr(state, "_world", lambda: world)
        assert state.present("Ensure it")["changes"] == wanted
    # And back: the one that was taken there is none of here.
    catalogue.forget(replace(backup(2), kind="dump"))
    catalogue.add(replace(backup(1), facts=backup(1).facts | {"tables": 1}))
    assert due(world, settings())


def test_rows_of_a_dump_are_counted_and_nothing_else():
    script = ["SET x = 1;", "COPY public.a (x, y) FROM stdin;", "1\t2", "COPY z", "\\N\t3", "\\.", "-- 1"]
    script += ["COPY b (x) FROM stdin;", "\\."]
    assert rows_of(f"{line}\n".encode() for line in script) == 3


def test_a_login_verifies_whom_it_talks_to_and_hides_its_password():
    login = login_of(settings(OWNED), "owner", "s3cret")
    assert login.environment["PGSSLMODE"] == "verify-full"
    assert login.environment["PGSSLROOTCERT"] == "/etc/marketplace/tls/postgres-provider.pem"
    assert (login.user, login.environment["PGPASSWORD"]) == ("chief", "s3cret")
    assert "s3cret" not in repr(login)
    assert isinstance(login, Login)


@pytest.mark.parametrize("given", [{}, {"redis_app_password": "new"}])
def test_in_test_mode_a_provider_gets_the_password_that_the_run_would_have(monkeypatch, tmp_path, given):
    Store(Paths(tmp_path).secrets).write("redis_app_password", "old")
    state = load(
        "provider",
        __pillar__={"settings": settings(CACHE), "secrets_given": given},
        __opts__={"test": True, "marketplace_root": str(tmp_path)},
    )
    monkeypatch.setattr(state, "prove", lambda settings, service, secret: secret("redis_app_password"))
    assert state.answers("redis")["comment"] == given.get("redis_app_password", "old")


_RESTORE = """#!/bin/sh
case "$*" in
  *--list*) printf '1; EXTENSION - hstore\\n2; COMMENT - EXTENSION hstore\\n3; COMMENT public TABLE a chief\\n' ;;
  *) for word; do case "$word" in --use-list=*) cat "${word#*=}" ;; esac; done ;;
esac
"""


@pytest.fixture
def there(monkeypatch, tmp_path):
    """The database at its provider, with programs that say what they are given, and a restore point ``one``."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("pg_restore", _RESTORE), ("psql", f"#!/bin/sh\ncat > {tmp_path}/restored\n")):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setattr("marketplace_provider_database.PROGRAMS", programs)
    paths = Paths(tmp_path / "root")
    Store(paths.secrets).write("postgres_app_password", "x")
    point = paths.backups / "points/one.dump"
    point.parent.mkdir(parents=True)
    point.touch()
    return ProviderDatabase(None, paths, settings(DATABASE))


def test_a_way_back_says_nothing_of_what_is_not_the_owners(there, tmp_path):
    there.use_point("bot", "one")
    restored = (tmp_path / "restored").read_text()
    assert "COMMENT public TABLE a" in restored
    assert "1; EXTENSION - hstore" in restored
    assert "COMMENT - EXTENSION" not in restored
    assert there.points() == []
    assert list((tmp_path / "root/var/backups/marketplace/data/points").iterdir()) == []


def test_an_extension_that_could_not_be_made_anew_bars_the_way_back(monkeypatch, there):
    monkeypatch.setattr(
        there, "ask", lambda database, query, **_: "postgis" if "pg_extension" in query else ""
    )
    with pytest.raises(DatabaseError, match="app could not make the extension postgis anew"):
        there.prove_point("bot", "one", 10)


def test_what_is_said_to_have_moved_is_counted(monkeypatch, there, tmp_path):
    old, new = Census({"public.users": 2, "public.ads": 1}, ("0002",)), Census({"_dodb.x": 1}, ())
    counted = {"marketplace": old, "bot": new}

    def asked(database, name):
        if counted[name] is None:
            raise DatabaseError("away")
        return counted[name]

    def answer():
        return unlike(
            Paths(tmp_path), settings(), settings(DATABASE), {"postgres_app_password": "x"}.__getitem__
        )

    monkeypatch.setattr("marketplace_moved.PROGRAMS", tmp_path / "bin")
    monkeypatch.setattr("marketplace_moved.census", asked)
    assert "public.ads has none rows" in answer()
    assert "db.team.dev:25060/bot does not hold what" in answer()
    counted["bot"] = None
    assert "cannot be counted there: away" in answer()
    # What a provider has of its own is no matter.
    counted["bot"] = Census(old.rows | new.rows, old.heads)
    assert answer() is None
    counted |= {"marketplace": None, "bot": new}
    assert answer() is None
