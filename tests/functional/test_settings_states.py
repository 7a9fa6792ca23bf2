"""The settings gate and the secret states through Salt's own loaders."""

import hashlib
import json
import os
import stat

import pytest
from marketplace_paths import Paths
from marketplace_settings_secrets import CATALOGUE

from tests.support.minion import Droplet
from tests.support.pillars import DIGEST, TOKEN

ME = {"uid": os.getuid(), "gid": os.getgid()}


@pytest.fixture
def droplet(tmp_path):
    return Droplet(tmp_path)


def test_an_older_tree_is_refused_unless_that_is_meant(converged):
    def run(committed, test=False, **options):
        minion = converged.minion(test=test)
        minion.opts["pillar"] |= options
        minion.opts["pillar"]["settings_gate"] |= {"revision": f"{committed:040}", "committed": committed}
        return minion.run("settings.written", "settings")

    assert run(2000, test=True).changes == {"tree": {"old": None, "new": f"{2000:040}"}}
    assert run(2000).result is True
    assert run(2000).changes == {}
    before = converged.listing()
    for test in (True, False):
        refused = run(1000, test=test)
        assert (refused.result, refused.changes) == (False, {})
        assert "is older than the one that this droplet was converged with" in refused.comment
    assert converged.listing() == before
    assert json.loads(converged.file("tree.json").read_text())["committed"] == 2000
    assert run(1000, allow_older_tree=True).result is True
    assert run(1500).result is True


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def converged(droplet):
    minion = droplet.minion()
    assert minion.run("settings.written", "settings").result is True
    assert minion.run("secret.present", "secrets").result is True
    return droplet


def test_settings_are_written_once(droplet):
    minion = droplet.minion()
    first = minion.run("settings.written", "Ensure the settings are written")
    assert first.result is True
    assert first.changes == {
        "settings": "created",
        "environment": {"old": None, "new": "production"},
    }
    assert json.loads(droplet.file("settings.json").read_text())["environment"] == "production"
    assert droplet.file("environment").read_text() == "production\n"
    assert mode(droplet.file("settings.json")) == 0o644
    again = minion.run("settings.written", "Ensure the settings are written")
    assert (again.result, again.changes) == (True, {})


def test_test_mode_predicts_and_does_nothing(droplet):
    minion = droplet.minion(test=True)
    delivered = {"files": {"database_password": "postgres_app_password"}, **ME}
    users = {"rendered": {"users.acl": "{sha256:redis_app_password}"}, **ME}
    results = [
        minion.run("settings.written", "settings"),
        minion.run("secret.present", "secrets"),
        minion.run("secret.delivered", "backend", **delivered),
        minion.run("secret.delivered", "redis", **users),
        minion.run("secret.docker_login", "login"),
    ]
    assert [result.result for result in results] == [None] * 5
    assert droplet.listing() == []
    acting = droplet.minion()
    for result, function, arguments in zip(
        results,
        ("settings.written", "secret.present", "secret.delivered", "secret.delivered", "secret.docker_login"),
        (
            (("settings",), {}),
            (("secrets",), {}),
            (("backend",), delivered),
            (("redis",), users),
            (("login",), {}),
        ),
        strict=True,
    ):
        done = acting.run(function, *arguments[0], **arguments[1])
        assert done.result is True, done.comment
        assert done.changes == result.changes


def test_a_changed_setting_is_shown(converged):
    converged.say(changes={"postgres.disk": "10G", "backend.stop_grace": "1m"})
    result = converged.minion().run("settings.written", "settings")
    assert result.changes == {
        "settings": {
            "backend.stop_grace": {"old": 30, "new": 60},
            "postgres.disk": {"old": 20 << 30, "new": 10 << 30},
        }
    }


def test_broken_settings_are_written_anew(converged):
    converged.file("settings.json").write_text("{")
    result = converged.minion().run("settings.written", "settings")
    assert result.changes == {"settings": "created"}
    assert json.loads(converged.file("settings.json").read_text())


def test_another_environment_is_refused(converged):
    converged.id = "staging-1"
    result = converged.minion().run("settings.written", "settings")
    assert result.result is False
    assert "belongs to the environment 'production'" in result.comment
    assert "staging" in result.comment
    assert json.loads(converged.file("settings.json").read_text())["environment"] == "production"


def test_without_the_gate_nothing_is_written(droplet):
    minion = droplet.minion(ext_pillar=[])
    result = minion.run("settings.written", "settings")
    assert result.result is False
    assert "settings gate did not run" in result.comment
    assert droplet.listing() == []


def test_secrets_are_stored_and_never_shown(droplet):
    minion = droplet.minion()
    result = minion.run("secret.present", "secrets")
    assert result.changes["telegram_token"] == "created"
    assert droplet.file("secrets/telegram_token").read_text() == TOKEN
    assert mode(droplet.file("secrets")) == 0o700
    values = {path.read_text() for path in droplet.file("secrets").iterdir()}
    assert len(values) == sum(not secret.needs for secret in CATALOGUE.values())
    for path in droplet.file("secrets").iterdir():
        assert mode(path) == 0o600
    shown = json.dumps(result.raw)
    assert not [value for value in values if value in shown]
    again = minion.run("secret.present", "secrets")
    assert (again.result, again.changes) == (True, {})


def test_a_rotated_secret_reaches_its_consumers(converged):
    files = {"telegram_token": "telegram_token", "webhook_secret": "webhook_secret"}
    target = converged.file("delivered/backend")
    first = converged.minion().run("secret.delivered", "backend", files=files, **ME)
    assert first.changes == {"telegram_token": "created", "webhook_secret": "created", "directory": "created"}
    assert mode(target) == 0o711
    assert mode(target / "telegram_token") == 0o400
    other = TOKEN.replace("AAH", "BBH")
    converged.say(changes={"secrets.telegram_token": {"value": other}})
    minion = converged.minion()
    assert minion.run("secret.present", "secrets").changes == {"telegram_token": "replaced"}
    second = minion.run("secret.delivered", "backend", files=files, **ME)
    assert second.changes == {"telegram_token": "replaced"}
    assert (target / "telegram_token").read_text() == other
    assert minion.run("secret.delivered", "backend", files=files, **ME).changes == {}


def test_a_consumer_loses_what_is_no_longer_its_own(converged):
    minion = converged.minion()
    both = {"a": "webhook_secret", "b": "redis_app_password"}
    minion.run("secret.delivered", "backend", files=both, **ME)
    result = minion.run("secret.delivered", "backend", files={"a": "webhook_secret"}, **ME)
    assert result.changes == {"b": "removed"}
    assert [path.name for path in converged.file("delivered/backend").iterdir()] == ["a"]


def test_rendered_files_hold_digests_and_values(converged):
    template = "user app on #{sha256:redis_app_password} ~*\npw {secret:redis_app_password}\n"
    result = converged.minion().run("secret.delivered", "redis", rendered={"users.acl": template}, **ME)
    assert result.result is True
    password = converged.file("secrets/redis_app_password").read_text()
    text = converged.file("delivered/redis/users.acl").read_text()
    assert text == f"user app on #{hashlib.sha256(password.encode()).hexdigest()} ~*\npw {password}\n"
    assert password not in json.dumps(result.raw)


def test_wrong_modes_are_put_right(converged):
    minion = converged.minion()
    minion.run("secret.delivered", "backend", files={"a": "webhook_secret"}, **ME)
    converged.file("delivered/backend/a").chmod(0o644)
    converged.file("delivered/backend").chmod(0o777)
    result = minion.run("secret.delivered", "backend", files={"a": "webhook_secret"}, **ME)
    assert result.changes == {"a": "protected", "directory": "protected"}
    assert mode(converged.file("delivered/backend/a")) == 0o400
    assert mode(converged.file("delivered/backend")) == 0o711


@pytest.mark.parametrize("test", [True, False])
def test_an_unknown_secret_is_named(converged, test):
    result = converged.minion(test=test).run("secret.delivered", "backend", files={"a": "no_such"}, **ME)
    assert result.result is False
    assert "no_such" in result.comment
    assert not converged.file("delivered/backend").exists()


def test_a_target_outside_its_directory_is_refused(converged):
    result = converged.minion().run("secret.delivered", "backend", files={"../a": "webhook_secret"}, **ME)
    assert result.result is False
    assert "plain file name" in result.comment


def test_a_registry_login(converged):
    empty = converged.file("docker/config.json")
    converged.minion().run("secret.docker_login", "login")
    assert json.loads(empty.read_text()) == {"auths": {}}
    converged.say(
        changes={
            "registry": {"server": "ghcr.io", "username": "robot"},
            "secrets.registry_password": {"value": "pass-word-1"},
        }
    )
    minion = converged.minion()
    minion.run("secret.present", "secrets")
    result = minion.run("secret.docker_login", "login")
    assert result.changes == {str(empty): "replaced"}
    assert json.loads(empty.read_text())["auths"]["ghcr.io"]["auth"] == "cm9ib3Q6cGFzcy13b3JkLTE="
    assert mode(empty) == 0o600
    assert "pass-word-1" not in json.dumps(result.raw)


def test_check_lists_all_problems_and_exits_with_one(droplet):
    droplet.say(changes={"postgres.disk": 1, "redis.tag": "7", "backend.image": "x"})
    minion = droplet.minion()
    problems = minion.modules["settings.check"]()
    assert [problem.split(" ")[0] for problem in problems] == ["backend.image", "postgres.disk", "redis.tag"]
    assert minion.context["retcode"] == 1


def test_check_is_silent_where_all_is_well(droplet):
    minion = droplet.minion()
    assert minion.modules["settings.check"]() == []
    assert "retcode" not in minion.context


def test_show_tells_where_a_value_comes_from(droplet):
    (droplet.pillar / "production/init.sls").write_text("redis: {disk: 3G}\n")
    (droplet.pillar / "local").mkdir()
    (droplet.pillar / "local/init.sls").write_text("backend: {environment: {LOG_LEVEL: debug}}\n")
    (droplet.pillar / "local/init.sls").chmod(0o600)
    shown = droplet.minion().modules["settings.show"]()
    base, local = "pillar/base/init.sls", "pillar/local/init.sls"
    assert shown["postgres.tag"] == {"value": "17.11", "origin": base}
    assert shown["postgres.digest"]["value"] == DIGEST
    assert shown["redis.disk"] == {"value": 3 << 30, "origin": "pillar/production/init.sls"}
    assert shown["backend.environment"] == {"value": {"LOG_LEVEL": "debug"}, "origin": local}
    assert shown["redis.port"] == {"value": 6380, "origin": "derived"}
    assert shown["redis.maxmemory"]["origin"] == "derived"
    assert shown["redis.stop_grace"] == {"value": 30, "origin": "default"}
    assert shown["secrets.telegram_token"] == {"value": "given", "origin": base}
    assert shown["secrets.webhook_secret"] == {"value": "generated", "origin": "generated"}
    assert TOKEN not in json.dumps(shown)
    assert set(droplet.minion().modules["settings.show"]("redis.users")) == {
        "redis.users.application",
        "redis.users.operator",
        "redis.users.health",
        "redis.users.monitoring",
    }


def test_show_of_what_there_is_not_says_what_there_is(droplet):
    minion = droplet.minion()
    assert minion.modules["settings.show"]("redis.dsik")["problems"][0].startswith(
        "redis.dsik is not a known"
    )
    assert minion.context["retcode"] == 1


def test_diff_compares_environments_without_what_a_host_has_of_its_own(droplet):
    (droplet.pillar / "production/init.sls").write_text("redis: {disk: 3G}\n")
    (droplet.pillar / "staging/init.sls").write_text("redis: {tag: '8.0'}\n")
    (droplet.pillar / "local").mkdir(mode=0o700)
    (droplet.pillar / "local/init.sls").write_text("redis: {disk: 5G}\n")
    minion = droplet.minion()
    base = "pillar/base/init.sls"
    assert minion.modules["settings.diff"]("staging", "production") == {
        "redis.tag": {
            "staging": {"value": "8.0", "origin": "pillar/staging/init.sls"},
            "production": {"value": "8.10.1", "origin": base},
        },
        "redis.disk": {
            "staging": {"value": 2 << 30, "origin": "default"},
            "production": {"value": 3 << 30, "origin": "pillar/production/init.sls"},
        },
    }
    assert minion.modules["settings.diff"]("production", "production") == {}
    assert "retcode" not in minion.context


def test_diff_of_what_is_no_environment_says_what_there_is(droplet):
    minion = droplet.minion()
    answer = minion.modules["settings.diff"]("producton", "staging")
    wrong = "there is no environment 'producton'. Try: one of production, staging"
    assert answer == {"problems": [wrong]}
    assert minion.context["retcode"] == 1


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), "which secrets?"),
        (("telegram_token",), "telegram_token can't be replaced like this. Try: one of webhook_secret"),
        (("webhook_secret",), "pillar gives webhook_secret"),
    ],
)
def test_rotate_refuses_what_it_cannot_do_and_changes_nothing(converged, names, says):
    converged.say(changes={"secrets.webhook_secret": {"value": "w" * 20}})
    assert converged.minion().run("settings.written", "settings").result is True
    before = converged.listing()
    minion = converged.minion()
    answer = minion.modules["settings.rotate"](*names)
    assert answer["outcome"] == "refused"
    assert says in answer["reason"]
    assert minion.context["retcode"] == 1
    assert converged.listing() == before


def test_rotate_says_how_to_go_on_where_nobody_can_tell_what_was_begun(converged):
    paths = Paths(converged.root)
    paths.rotation.parent.mkdir(parents=True, exist_ok=True)
    paths.rotation.write_text("[")
    minion = converged.minion()
    answer = minion.modules["settings.rotate"]("webhook_path")
    assert answer["outcome"] == "unfinished"
    assert f"{paths.rotation} is not valid JSON" in answer["reason"]
    assert "move it away" in answer["reason"]
    paths.rotation.unlink()


def test_rotate_refuses_before_the_droplet_is_converged_and_without_its_pillar(droplet):
    answer = droplet.minion().modules["settings.rotate"]("webhook_path")
    assert "run state.apply first" in answer["reason"]
    assert droplet.minion().run("settings.written", "settings").result is True
    (droplet.pillar / "top.sls").unlink()
    answer = droplet.minion().modules["settings.rotate"]("webhook_path")
    assert "salt-ssh TARGET settings.rotate" in answer["reason"]


def test_rotate_asks_the_controller_for_states_where_the_pillar_is_there(converged, monkeypatch):
    """Whether it may is judged by what the controller says of its pillar."""
    gate = converged.minion().opts["pillar"]["settings_gate"]
    (converged.pillar / "top.sls").unlink()
    minion = converged.minion()
    stale = minion.modules["settings.rotate"]("webhook_path", controller=gate | {"digest": "sha256:0"})
    assert stale == {"outcome": "refused", "reason": "settings have changed: run state.apply"}
    asked = minion.modules["settings.rotate"]("telegram_token", controller=gate)
    assert "telegram_token can't be replaced like this" in asked["reason"]


@pytest.mark.parametrize("rights", [0o640, 0o604, 0o644])
def test_a_local_pillar_that_others_may_read_is_refused(droplet, rights):
    local = droplet.pillar / "local"
    local.mkdir(mode=0o755)
    file = local / "init.sls"
    file.write_text("{}\n")
    file.chmod(rights)
    minion = droplet.minion()
    wrong = "pillar/local/init.sls can be read by others than its owner, and secrets belong there"
    assert minion.modules["settings.check"]() == [f"{wrong}. Try: chmod 600 {file}"]
    assert minion.run("settings.written", "settings").result is False
    assert droplet.listing() == []


@pytest.mark.parametrize(("directory", "rights"), [(0o755, 0o600), (0o700, 0o644)])
def test_a_local_pillar_that_is_its_owners_alone_is_fine(droplet, directory, rights):
    local = droplet.pillar / "local"
    local.mkdir()
    (local / "init.sls").write_text("{}\n")
    (local / "init.sls").chmod(rights)
    local.chmod(directory)
    assert droplet.minion().modules["settings.check"]() == []
