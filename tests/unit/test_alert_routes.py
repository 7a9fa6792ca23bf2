"""Whom Alertmanager tells, by the settings; amtool looks at the routes on a droplet."""

from marketplace_alert_routes import CREDENTIALS, configuration, credentials, ways
from marketplace_settings import parse, to_dict

from tests.support.pillars import ENVIRONMENTS, TOKEN, pillar

TELEGRAM = {
    "alerts.telegram.chat": "-1001234567890",
    "secrets.alerts_telegram_token": {"value": TOKEN},
}
EMAIL = {
    "alerts.email.to": "ops@team.dev",
    "alerts.email.sender": "alerts@team.dev",
    "alerts.email.server": "smtp.team.dev:587",
}
LOGIN = {"alerts.email.username": "alerts", "secrets.alerts_email_password": {"value": "hunter2hunter2"}}
WEBHOOK = {
    "alerts.webhook": True,
    "secrets.alerts_webhook_url": {"value": "https://hooks.team.dev/services/T0/B0"},
}


def settings(**changes):
    parsed, problems = parse(pillar(changes), "production", ENVIRONMENTS)
    assert problems == []
    return to_dict(parsed)


def receivers(given):
    made = configuration(given, "/templates/*.tmpl")
    return {receiver["name"]: receiver for receiver in made["receivers"]}


def test_by_default_nobody_is_told():
    given = settings()
    assert ways(given) == ()
    assert credentials(given) == []
    assert configuration(given, "x") == {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}


def test_settings_of_an_older_tree_tell_nobody():
    given = settings()
    del given["alerts"]
    assert ways(given) == ()


def test_a_chat():
    given = settings(**TELEGRAM)
    assert ways(given) == ("telegram",)
    told = receivers(given)["conditions"]["telegram_configs"][0]
    assert told["chat_id"] == -1001234567890
    assert told["api_url"] == "https://api.telegram.org"
    assert told["bot_token_file"] == f"{CREDENTIALS}/{credentials(given)[0]}"
    assert TOKEN not in str(configuration(given, "x"))


def test_a_mailbox_with_and_without_login():
    plain = receivers(settings(**EMAIL))["conditions"]["email_configs"][0]
    assert (plain["to"], plain["smarthost"]) == ("ops@team.dev", "smtp.team.dev:587")
    assert "auth_username" not in plain
    given = settings(**EMAIL, **LOGIN)
    login = receivers(given)["conditions"]["email_configs"][0]
    assert login["auth_password_file"] == f"{CREDENTIALS}/{credentials(given)[0]}"
    assert "hunter2" not in str(configuration(given, "x"))


def test_everybody_at_once():
    given = settings(**TELEGRAM, **EMAIL, **LOGIN, **WEBHOOK)
    assert ways(given) == ("telegram", "email", "webhook")
    for receiver in receivers(given).values():
        assert {"telegram_configs", "email_configs", "webhook_configs"} < receiver.keys()
    assert len(credentials(given)) == 3


def test_events_have_no_end_and_are_told_once():
    made = configuration(settings(**TELEGRAM), "x")
    events = receivers(settings(**TELEGRAM))["events"]["telegram_configs"][0]
    conditions = receivers(settings(**TELEGRAM))["conditions"]["telegram_configs"][0]
    assert (events["send_resolved"], conditions["send_resolved"]) == (False, True)
    [route] = made["route"]["routes"]
    assert (route["matchers"], route["group_by"]) == (['kind="event"'], ["event"])
    assert made["route"]["group_by"] == ["service"]
