"""Wrong pillars: each mistake is named by its path, all at once, and no secret is repeated."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from marketplace_database import PREFIX
from marketplace_import import ASIDE, LOADING
from marketplace_settings import examine, parse
from marketplace_settings_fields import read_section, settable, walk
from marketplace_settings_model import Settings
from marketplace_settings_secrets import CATALOGUE, Sources

from tests.support.pillars import ENVIRONMENTS, PEM, REMOVED, TEN_MISTAKES, TOKEN, pillar

BIG = {"limits": {"memory": "3G"}}

# path that is changed, wrong value, path that is blamed, what the message says
WRONG = [
    ("droplet", "4G", "droplet", "not a mapping"),
    ("droplet.memory", "lots", "droplet.memory", "not a size"),
    ("droplet.memory", "256M", "droplet.memory", "at least 512M"),
    ("droplet.memory", None, "droplet.memory", "is empty"),
    ("droplet.memory", "2G", "droplet.memory", r"80% \(1\.6G\)"),
    ("droplet.disk", "30G", "droplet.disk", r"postgres\.disk 20G"),
    ("droplet.cpus", 0, "droplet.cpus", "1 to 256"),
    ("droplet.cpus", 1.5, "droplet.cpus", "not a whole number"),
    ("droplet.cpus", 1, "droplet.cpus", "more"),
    ("droplet.cpus", True, "droplet.cpus", "not a whole number"),
    ("droplet.timezone", "etc utc", "droplet.timezone", "time zone"),
    ("droplet.reserve.memory", "2G", "droplet.memory", r"reserve\.memory 2G"),
    ("droplet.reserve.cpu", 1, "droplet.reserve.cpu", "not a known setting"),
    ("network.app.subnet", "10.213.10.0", "network.app.subnet", r"/32|prefix"),
    ("network.app.subnet", "10.213.10.1/24", "network.app.subnet", "host bits"),
    ("network.app.subnet", "8.8.8.0/24", "network.app.subnet", "RFC 1918"),
    ("network.app.subnet", "127.0.0.0/24", "network.app.subnet", "RFC 1918"),
    ("network.app.subnet", "169.254.0.0/24", "network.app.subnet", "RFC 1918"),
    ("network.data.subnet", "192.0.2.0/24", "network.data.subnet", "RFC 1918"),
    ("network.docker.pool", "172.0.0.0/8", "network.docker.pool", "RFC 1918"),
    ("network.app.subnet", "10.213.10.0/28", "network.app.subnet", "/28|prefix of 28"),
    ("network.app.subnet", "fd00::/64", "network.app.subnet", "IPv4"),
    ("network.app.subnet", "10.213.20.0/25", "network.data.subnet", "overlaps network.app.subnet"),
    ("network.docker.pool", "10.213.0.0/20", "network.docker.pool", "overlaps"),
    ("network.docker.pool", "10.214.0.0/26", "network.docker.pool", "prefix"),
    ("network.app.gateway", "10.213.10.9", "network.app.gateway", "computed"),
    ("registry.server", "https://ghcr.io", "registry.server", "no https://"),
    ("registry.server", "ghcr.io", "registry.username", "missing"),
    ("registry.username", "robot", "registry.server", "missing"),
    ("registry", {"server": "quay.io", "username": "robot"}, "registry.server", "no image comes from"),
    ("registry", {"server": "ghcr.io", "username": "robot"}, "secrets.registry_password", "missing"),
    ("backend.image", REMOVED, "backend.image", "missing"),
    ("backend.image", "team/marketplace", "backend.image", "names no registry"),
    ("backend.image", "ghcr.io/team/marketplace:1.0.0", "backend.image", "tag"),
    ("backend.image", "ghcr.io/team/marketplace@sha256:00", "backend.image", "digest"),
    ("backend.image", "https://ghcr.io/team/marketplace", "backend.image", "tag|repository"),
    ("backend.image", "ghcr.io/Team/marketplace", "backend.image", "lower case"),
    ("backend.image", "registry.example.com/a/b", "backend.image", "placeholder"),
    ("backend.version", 1.1, "backend.version", "quotes"),
    ("backend.version", 2, "backend.version", "quotes"),
    ("backend.version", "latest", "backend.version", "latest"),
    ("backend.version", "a b", "backend.version", "tag"),
    ("backend.verson", "1.0.0", "backend.verson", "did you mean version"),
    ("backend.follow_pillar", "yes", "backend.follow_pillar", "true or false"),
    ("backend.keep_releases", 0, "backend.keep_releases", "2 to 50"),
    ("backend.user", "app", "backend.user", "numeric"),
    ("backend.user", "0:0", "backend.user", "root"),
    ("backend.user", "1000:0", "backend.user", "root"),
    ("backend.user", 620, "backend.user", "quotes"),
    ("backend.port", 80, "backend.port", "1024 to 65535"),
    ("backend.port", "8080", "backend.port", "not a whole number"),
    ("backend.limits.memory", "512MB", "backend.limits.memory", "not a size"),
    ("backend.limits.memory", "16M", "backend.limits.memory", "at least 64M"),
    ("backend.limits.memory", "1500M", "droplet.memory", r"2 x backend\.limits\.memory 1500M"),
    ("backend.limits.cpus", "0.5", "backend.limits.cpus", "not a number"),
    ("backend.limits.cpus", float("nan"), "backend.limits.cpus", "allowed"),
    ("backend.limits.cpu", 1, "backend.limits.cpu", "did you mean cpus"),
    ("backend.limits.pids", 1, "backend.limits.pids", "16 to"),
    ("backend.environment", ["A=b"], "backend.environment", "mapping"),
    ("backend.environment", {"log_level": "x"}, "backend.environment", "upper case"),
    ("backend.environment", {"DATABASE_HOST": "x"}, "backend.environment", "sets itself"),
    ("backend.environment", {"DEBUG": True}, "backend.environment", "quotes"),
    ("backend.environment", {"A": "x\ny"}, "backend.environment", "several lines"),
    ("backend.environment", {"A": TOKEN}, "backend.environment", "secret"),
    ("backend.environment", {"A": "redis://user:pass@host/0"}, "backend.environment", "secret"),
    ("backend.ready_timeout", "1.5m", "backend.ready_timeout", "not a duration"),
    ("backend.ready_timeout", "2h", "backend.ready_timeout", "5 to 900"),
    ("backend.soak", "2h", "backend.soak", "0 to 3600"),
    ("backend.soak_errors", 0, "backend.soak_errors", "0.1 to 100"),
    ("backend.soak_errors", "5%", "backend.soak_errors", "not a number"),
    ("backend.hook_timeout", 0, "backend.hook_timeout", "1 to 3600"),
    ("backend.disk_reserve", "33G", "backend.disk_reserve", "leave 33G of droplet"),
    ("backup.storage.target", "s3:Bucket", "backup.storage.target", r"not s3:BUCKET"),
    ("backup.storage.target", "s3:bucket", "backup.storage.endpoint", "is not set"),
    ("backup.storage.target", "s3:bucket", "backup.storage.access_key", "is not set"),
    ("backup.storage.endpoint", "https://a.test", "backup.storage.endpoint", "target is not set"),
    ("alerts.email.to", "ops@team.dev", "alerts.email.sender", "is missing"),
    ("alerts.email.to", "ops@team.dev", "alerts.email.server", "is missing"),
    ("alerts.email.server", "smtp.team.dev:587", "alerts.email.server", "alerts.email.to is not"),
    ("alerts.telegram.chat", "-100123", "secrets.alerts_telegram_token", "is missing"),
    ("alerts.dead_man", True, "secrets.alerts_dead_man_url", "is missing"),
    ("monitoring.limits.memory", "96M", "droplet.memory", "monitoring.limits.memory"),
    ("monitoring.strength", "medium", "monitoring.strength", "not one of minimal, full"),
    ("monitoring.strength", "full", "droplet.memory", "metrics.memory 128M .* 4 x .*exporter_memory 32M"),
    ("monitoring.metrics.size", "64M", "monitoring.metrics.size", "at least 128M"),
    ("postgres.managed.host", "https://db.test", "postgres.managed.host", "no scheme"),
    ("postgres.managed.host", "db.team.dev", "postgres.managed.ca", "anybody could be the server"),
    (
        "postgres.managed.host",
        "db.team.dev",
        "secrets.postgres_app_password",
        "password of postgres.managed.user",
    ),
    ("postgres.managed.port", 5432, "postgres.managed.port", "postgres.managed.host is not"),
    (
        "redis.managed",
        {"host": "10.213.20.9", "ca": "system"},
        "redis.managed.host",
        "in network.data.subnet",
    ),
    ("redis.managed.ca", "MIIB", "redis.managed.ca", "neither system nor certificates"),
    ("backup.storage.target", "/var/backups/marketplace/x", "backup.storage.target", "themselves"),
    (
        "secrets.backup_storage_secret",
        {"value": "x"},
        "secrets.backup_storage_secret",
        "access_key is not set",
    ),
    ("backend.disk_reserve", "2GB", "backend.disk_reserve", "not a size"),
    ("backend.hooks", ["/bin/true"], "backend.hooks", "not a mapping"),
    ("backend.hooks.afterwards", [], "backend.hooks.afterwards", "did you mean after"),
    ("backend.hooks.before", "/bin/true", "backend.hooks.before", "not a list of commands"),
    ("backend.hooks.before", ["/bin/true", "-x"], "backend.hooks.before", "number 1, which is '/bin/true'"),
    ("backend.hooks.before", [["/bin/true"], []], "backend.hooks.before", "number 2, which is empty"),
    ("backend.hooks.before", [["true"]], "backend.hooks.before", "program is 'true', not an absolute path"),
    ("backend.hooks.before", [["/bin/"]], "backend.hooks.before", "not an absolute path"),
    ("backend.hooks.after", [["/bin/echo", 1.10]], "backend.hooks.after", "word number 2 is the number 1.1"),
    ("backend.hooks.after", [["/bin/echo", TOKEN]], "backend.hooks.after", "secret"),
    ("postgres.tag", 17.6, "postgres.tag", "quotes"),
    ("postgres.tag", "18.1", "postgres.tag", "PostgreSQL 17"),
    ("postgres.tag", "170", "postgres.tag", "PostgreSQL 17"),
    ("postgres.digest", REMOVED, "postgres.digest", "missing"),
    ("postgres.digest", "sha256:abc", "postgres.digest", "64 hexadecimal"),
    ("postgres.digest", "0" * 64, "postgres.digest", "64 hexadecimal"),
    ("postgres.database", "Market-Place", "postgres.database", "lower-case"),
    ("postgres.database", "postgres", "postgres.database", "can't be used"),
    (
        "postgres.database",
        f"{LOADING}bot",
        "postgres.database",
        "does not begin with import_, before_import_",
    ),
    ("postgres.database", f"{ASIDE}bot", "postgres.database", "does not begin with"),
    ("postgres.database", f"{PREFIX}1", "postgres.database", "does not begin with"),
    ("postgres.database", f"spoiled_{PREFIX}1", "postgres.database", "does not begin with"),
    ("postgres.disk", "100M", "postgres.disk", "at least 256M"),
    ("postgres.disk", "60G", "droplet.disk", r"postgres\.disk 60G"),
    ("postgres.max_connections", 10, "postgres.max_connections", "20 to 2000"),
    ("postgres.max_connections", 900, "postgres.max_connections", "too many"),
    ("postgres.port", 5433, "postgres.port", "computed"),
    ("postgres.limits.pids", 163, "postgres.limits.pids", "max_connections 100 is a process, and 64 more"),
    ("postgres.max_connections", 193, "postgres.limits.pids", "max_connections 193"),
    ("postgres.roles.owner", "pg_owner", "postgres.roles.owner", "lower-case"),
    ("postgres.roles.owner", "marketplace_app", "postgres.roles.application", "the same as"),
    ("postgres.parameters", {"port": 1}, "postgres.parameters", "sets itself"),
    ("postgres.parameters", {"work_mem": "1' x"}, "postgres.parameters", "plain value"),
    ("postgres.tuning", {"work_mem": "8MB"}, "postgres.tuning", "computed"),
    ("postgres", {**BIG, "tag": "17.1", "digest": "sha256:" + "0" * 64}, "droplet.memory", "promised"),
    ("redis.port", 6380, "redis.port", "computed"),
    ("redis.tag", "7.4", "redis.tag", "Redis 8"),
    ("redis.disk", "128M", "redis.disk", "too small"),
    ("redis.save", [], "redis.save", "empty list"),
    ("redis.save", "300 100", "redis.save", "not a list"),
    ("redis.save", ["300 100", "often"], "redis.save", "number 2"),
    ("redis.users.application", "default", "redis.users.application", "can't be used"),
    ("redis.users.health", "operator", "redis.users.health", "the same as"),
    ("edge.domains", REMOVED, "edge.domains", "missing"),
    ("edge.domains", "bot.team.dev", "edge.domains", "not a list"),
    ("edge.domains", ["https://bot.team.dev"], "edge.domains", "without scheme"),
    ("edge.domains", ["Bot.team.dev"], "edge.domains", "lower case"),
    ("edge.domains", ["bot"], "edge.domains", "fully qualified"),
    ("edge.domains", ["a.team.dev", "a.team.dev"], "edge.domains", "twice"),
    ("edge.domains", ["bot.example.com"], "edge.domains", "placeholder"),
    ("edge.webhook_path", "telegram", "edge.webhook_path", "path"),
    ("edge.webhook_path", "/", "edge.webhook_path", "path"),
    ("edge.webhook_path", "/healthz", "edge.webhook_path", "can't be used"),
    ("edge.certificate", "acme2", "edge.certificate", "not one of"),
    ("edge.certificate", "http://ca.team.dev/directory", "edge.certificate", "nor an https URL"),
    ("edge.certificate", "https://ca.team.dev/directory", "edge.root", "Telegram does not trust"),
    ("edge.certificate", "letsencrypt-staging", "edge.root", "Telegram does not trust"),
    ("edge.root", PEM, "edge.root", "needs none"),
    ("edge.root", "MIIB", "edge.root", "PEM form"),
    ("edge.root", PEM + PEM, "edge.root", "not one certificate"),
    ("postgres.device", "sda", "postgres.device", "below /dev"),
    ("redis.device", "/dev/../etc/passwd x", "redis.device", "below /dev"),
    ("edge.email", "ops", "edge.email", "e-mail"),
    ("edge.body_limit", "1K", "edge.body_limit", "16K"),
    ("edge.body_limit", "1G", "edge.body_limit", "64M"),
    ("telegram.api_url", "\x08https://api.telegram.org", "telegram.api_url", "URL"),
    ("telegram.api_url", "api.telegram.org", "telegram.api_url", "URL"),
    ("telegram.api_url", "http://api.telegram.org", "telegram.api_url", "in clear"),
    ("telegram.api_url", f"https://api.telegram.org/bot{TOKEN}", "telegram.api_url", "token"),
    ("telegram.networks", ["149.154.160.0/33"], "telegram.networks", "CIDR"),
    ("telegram.networks", ["anywhere"], "telegram.networks", "CIDR"),
    ("telegram.allowed_updates", ["messages"], "telegram.allowed_updates", "not one of"),
    ("telegram.max_connections", 101, "telegram.max_connections", "1 to 100"),
    ("firewall.ssh_sources", [], "firewall.ssh_sources", "empty list"),
    ("firewall.ssh_source", ["0.0.0.0/0"], "firewall.ssh_source", "did you mean ssh_sources"),
    ("firewall", ["0.0.0.0/0"], "firewall", "not a mapping"),
    ("secrets", REMOVED, "secrets.telegram_token", "missing"),
    ("secrets", "x", "secrets", "not a mapping"),
    ("secrets.telegram_token", TOKEN, "secrets.telegram_token", "exactly one"),
    ("secrets.telegram_token", {"value": "12:short"}, "secrets.telegram_token", "8 characters"),
    ("secrets.telegram_token", {"value": 12}, "secrets.telegram_token", "no text"),
    ("secrets.telegram_token", {"value": TOKEN, "file": "/x"}, "secrets.telegram_token", "exactly one"),
    ("secrets.telegram_token", {"vault": "x"}, "secrets.telegram_token", "exactly one"),
    ("secrets.telegram_token", {"file": "token"}, "secrets.telegram_token", "absolute"),
    ("secrets.telegram_token", {"file": "/nowhere"}, "secrets.telegram_token", "No such file"),
    ("secrets.telegram_token", {"environment": "NOWHERE"}, "secrets.telegram_token", "not set"),
    (
        "secrets.telegram_token",
        {"value": "-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n"},
        "secrets.telegram_token",
        "still encrypted",
    ),
    ("secrets.webhook_secret", {"value": "has a space in it"}, "secrets.webhook_secret", "17 characters"),
    ("secrets.webhok_secret", {"value": "x" * 20}, "secrets.webhok_secret", "did you mean webhook_secret"),
    ("secrets.registry_password", {"value": "x"}, "secrets.registry_password", "registry.username"),
    ("allow_restart", "yes", "allow_restart", "true or false"),
    ("bakend", {}, "bakend", "did you mean backend"),
    ("docker", {}, "docker", "not a known setting"),
]


@pytest.mark.parametrize(("path", "value", "blamed", "says"), WRONG)
def test_a_wrong_pillar_is_refused_by_path(path, value, blamed, says):
    parsed, problems = parse(pillar({path: value}), "production", ENVIRONMENTS)
    assert parsed is None
    named = [problem for problem in problems if problem.path == blamed]
    assert named, [str(problem) for problem in problems]
    assert re.search(says, named[0].wrong), named[0].wrong
    assert named[0].example
    assert not problems[len(named) + 1 :], "one mistake makes two problems at most"


def test_there_are_as_many_wrong_pillars_as_promised():
    assert len(WRONG) >= 100


def test_ten_mistakes_are_ten_problems():
    parsed, problems = parse(pillar(TEN_MISTAKES), "production", ENVIRONMENTS)
    assert parsed is None
    assert sorted(problem.path for problem in problems) == [
        "backend.image",
        "backend.limits.memory",
        "backend.version",
        "droplet.cpus",
        "edge.domains",
        "network.app.subnet",
        "postgres.digest",
        "redis.save",
        "secrets.telegram_token",
        "telegram.api_urll",
    ]


def of_itself(path, value):
    """Whether setting ``path`` is wrong whatever the others say."""
    problems = []
    raw = pillar({path: value})
    raw.pop("secrets", None)
    read_section(Settings, raw, "", problems)
    return any(problem.path == path for problem in problems)


APART = [(path, value) for path, value, *_ in WRONG if of_itself(path, value)]


@given(
    st.lists(st.sampled_from(APART), min_size=2, max_size=12, unique_by=lambda wrong: wrong[0]),
    st.sampled_from(ENVIRONMENTS),
)
def test_whatever_is_wrong_is_named_all_at_once(wrong, environment):
    paths = {path for path, _ in wrong}
    assume(not any(path.startswith(f"{other}.") for path in paths for other in paths))
    parsed, problems = parse(pillar(dict(wrong)), environment, ENVIRONMENTS)
    assert parsed is None
    assert paths <= {problem.path for problem in problems}


def sections(cls=Settings, prefix=""):
    """Paths of all sections, with the names in each."""
    yield prefix, [item.name for item in settable(cls)]
    for item in settable(cls):
        if "section" in item.metadata:
            path = f"{prefix}.{item.name}" if prefix else item.name
            yield from sections(item.metadata["section"], path)


@pytest.mark.parametrize(("path", "names"), list(sections()))
def test_at_every_level_unknown_names_and_what_is_no_mapping_are_named(path, names):
    slip = f"{names[0]}s_"
    at = f"{path}.{slip}" if path else slip
    _, problems = parse(pillar({at: 1}), "production", ENVIRONMENTS)
    unknown = [problem for problem in problems if problem.path == at]
    assert f"did you mean {names[0]}?" in unknown[0].wrong
    for value in ("text", 5, True, ["a"]) if path else ():
        _, problems = parse(pillar({path: value}), "production", ENVIRONMENTS)
        assert "not a mapping" in next(problem.wrong for problem in problems if problem.path == path)


def test_a_mistake_does_not_hide_one_between_other_settings():
    _, problems = parse(pillar({"edge.domains": [], "postgres.disk": "70G"}), "production", ENVIRONMENTS)
    assert [problem.path for problem in problems] == ["edge.domains", "droplet.disk"]


def test_an_unknown_environment_says_what_there_is_and_what_to_do():
    _, problems = parse(pillar(), "foo-1", ENVIRONMENTS)
    assert [str(problem) for problem in problems] == [
        "minion id 'foo-1' has environment 'foo'; expected one of development, production, staging."
        " Try: ./bootstrap.sh production"
    ]


def test_an_unknown_environment_does_not_blame_what_its_pillar_would_say():
    _, problems = parse({}, "foo-1", ENVIRONMENTS)
    assert [problem.path for problem in problems] == ["minion id", "secrets.telegram_token"]


@pytest.mark.parametrize("path", [path for path, _ in walk(Settings)])
@pytest.mark.parametrize("value", [object(), {"x": object()}, [object()], -1, "", "\x00", None, 10**30])
def test_nonsense_anywhere_is_a_problem_and_never_a_crash(path, value):
    _, problems = parse(pillar({path: value}), "production", ENVIRONMENTS)
    accepted = value == "" and path in (
        "registry.server",
        "registry.username",
        "edge.email",
        "edge.root",
        "postgres.device",
        "redis.device",
        "backup.device",
        "backup.storage.target",
        "postgres.managed.host",
        "postgres.managed.owner",
        "postgres.managed.ca",
        "redis.managed.host",
        "redis.managed.ca",
        "backup.storage.endpoint",
        "backup.storage.region",
        "backup.storage.access_key",
        "alerts.telegram.chat",
        "alerts.email.to",
        "alerts.email.sender",
        "alerts.email.server",
        "alerts.email.username",
    )
    large = value == 10**30 and path.split(".")[-1] in (
        "memory",
        "job_memory",
        "exporter_memory",
        "disk",
        "swap",
        "size",
    )
    if not (accepted or large):
        assert any(problem.path == path for problem in problems)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=20), children, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.sampled_from(
    [path for path, _ in walk(Settings)] + ["secrets", "secrets.telegram_token", "backend"]
)


@given(st.dictionaries(NAMES, JSON, min_size=1, max_size=4))
def test_any_data_is_read_or_refused(changes):
    made = {}
    for path, value in changes.items():
        try:
            made = pillar({**made, path: value})
        except (AttributeError, TypeError):
            assume(False)
    outcome = examine(made, "production", ENVIRONMENTS)
    assert (outcome.settings is None) == bool(outcome.problems)


# What is generated or handed out as a secret: long, and of several kinds of characters.
SECRETS = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=20, max_size=60
).filter(lambda text: re.search("[a-z]", text) and re.search("[A-Z]", text) and re.search("[0-9]", text))
PLACES = st.sampled_from(
    [path for path, _ in walk(Settings)] + list(CATALOGUE) + ["backend", "edge", "new.key"]
)


@given(SECRETS, PLACES, st.sampled_from(["value", "list", "mapping", "key", "sentence", "token"]))
@settings(max_examples=300)
def test_a_secret_in_a_wrong_place_is_never_repeated(secret, place, shape):
    place = f"secrets.{place}" if place in CATALOGUE else place
    token = f"110201543:{secret}"
    value = {
        "value": secret,
        "list": [secret],
        "mapping": {"value": secret, "file": secret},
        "key": {secret: "x", "A": {secret: secret}},
        "sentence": f"the password is {secret}",
        "token": token,
    }[shape]
    _, problems = parse(pillar({place: value}), "production", ENVIRONMENTS)
    for problem in problems:
        assert secret not in str(problem)


@given(st.text(min_size=6, max_size=40), PLACES)
def test_what_stands_under_secrets_is_never_repeated_wherever_else_it_stands(secret, place):
    changes = {"secrets.postgres_app_password": {"value": secret}, place: secret}
    assume(place not in CATALOGUE)
    _, problems = parse(pillar(changes), "production", ENVIRONMENTS)
    spoken = " ".join(f"{problem.path} {problem.wrong}" for problem in problems)
    _, elsewhere = parse(pillar({place: "x" * 300}), "production", ENVIRONMENTS)
    # A secret that is an ordinary word of the messages can't be told from them.
    ordinary = " ".join([place, *(f"{problem.path} {problem.wrong}" for problem in elsewhere)])
    assert secret not in spoken or secret in ordinary


@given(SECRETS)
def test_a_file_of_a_wrong_form_is_not_repeated(secret):
    sources = Sources(file=lambda _path: f"password={secret}", environment=lambda _name: None)
    changes = {"secrets.telegram_token": {"file": "/root/token"}}
    outcome = examine(pillar(changes), "production", ENVIRONMENTS, sources)
    assert outcome.problems
    assert secret not in str(outcome)
