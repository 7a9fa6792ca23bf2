"""What is measured, what people are told of by it, and that it stays on the loopback; judged by promtool and amtool."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml
from marketplace_alert_routes import configuration as routes
from marketplace_metrics import EXPORTERS, RULES, configuration, exporters, units, wanted
from marketplace_settings import parse, to_dict

from tests.support.pillars import ENVIRONMENTS, TOKEN, pillar
from tests.support.programs import program

TREE = Path(__file__).parents[2]
FULL = {"monitoring.strength": "full", "backend.limits": {"memory": "384M"}}
TOLD = {"alerts.telegram.chat": "-1001234567890", "secrets.alerts_telegram_token": {"value": TOKEN}}


def settings(**changes):
    parsed, problems = parse(pillar(FULL | changes), "production", ENVIRONMENTS)
    assert problems == []
    return to_dict(parsed)


def run(name, *arguments, **options):
    done = subprocess.run([program(name), *arguments], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def source(address):
    """The file of the tree that Salt finds at ``address``."""
    path = address.removeprefix("salt://")
    return next(root / path for root in (TREE / "salt", TREE / "formulas") if (root / path).exists())


ALERTS = [
    rule
    for address in RULES.values()
    for group in yaml.safe_load(source(address).read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


@pytest.mark.parametrize(
    "cases", sorted((TREE / "tests/unit/rules").glob("*.yml")), ids=lambda path: path.stem
)
def test_rules_fire_and_do_not_where_they_should(cases):
    run("promtool", "test", "rules", str(cases))


def test_every_alert_has_a_case():
    cases = "".join(path.read_text() for path in (TREE / "tests/unit/rules").glob("*.yml"))
    assert len(ALERTS) >= 5
    for alert in ALERTS:
        assert f"alertname: {alert['alert']}\n" in cases


def test_prometheus_takes_its_configuration(tmp_path):
    made = configuration(settings())
    assert made["rule_files"] == [f"/etc/prometheus/rules/{name}.yml" for name in RULES]
    made["rule_files"] = [str(source(address)) for address in RULES.values()]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(made))
    shown = run("promtool", "check", "config", "--lint-fatal", str(tmp_path / "prometheus.yml"))
    assert "FAILED" not in shown
    assert "SUCCESS: 2 rule files found" in shown


def test_nothing_listens_or_asks_beyond_the_loopback():
    made = configuration(settings())
    jobs = made["scrape_configs"]
    asked = [target for job in jobs for static in job["static_configs"] for target in static["targets"]]
    assert {target.split(":")[0] for target in asked} == {"127.0.0.1"}
    assert {int(target.split(":")[1]) for target in asked} >= set(EXPORTERS.values())
    found = exporters(settings())
    assert found.keys() == EXPORTERS.keys()
    assert {one["listen"].split(":")[0] for one in found.values()} == {"127.0.0.1"}
    # Of the network, each is let to whom it asks.
    assert {name: one["reaches"] for name, one in found.items() if one["reaches"]} == {
        "prometheus-postgres-exporter": ["10.213.20.10"],
        "prometheus-redis-exporter": ["10.213.20.11"],
    }


def test_every_target_says_whose_it_is_and_what_runs_it():
    for job in configuration(settings())["scrape_configs"]:
        for static in job["static_configs"]:
            assert static["labels"].keys() == {"service", "unit"}


def test_data_services_are_asked_by_roles_of_their_own_through_tls():
    found = exporters(settings())
    postgres, redis = (found[f"prometheus-{name}-exporter"] for name in ("postgres", "redis"))
    assert "sslmode=verify-full" in postgres["environment"]["DATA_SOURCE_URI"]
    assert postgres["environment"]["DATA_SOURCE_USER"] == "marketplace_monitor"
    assert redis["environment"]["REDIS_ADDR"] == "rediss://10.213.20.11:6380"
    assert redis["environment"]["REDIS_USER"] == "monitoring"
    for name, one in found.items():
        given = [f"/run/credentials/{name}.service/{credential}" for credential in one["credentials"]]
        assert all(any(path in value for value in one["environment"].values()) for path in given)


def test_statements_of_others_are_not_kept():
    jobs = {job["job_name"]: job for job in configuration(settings())["scrape_configs"]}
    keep = jobs["postgres"]["metric_relabel_configs"][-1]
    assert (keep["action"], keep["source_labels"]) == ("keep", ["__name__", "user"])
    assert "pg_stat_statements_(calls|seconds)_total;marketplace_app|" in keep["regex"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_every_alert_finds_its_way_and_says_what_to_type(alert, tmp_path):
    assert alert["annotations"].keys() == {"summary", "cause", "command"}
    made = routes(settings(**TOLD), "/none/*.tmpl")
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(made))
    labels = {"alertname": alert["alert"], "service": "any", "droplet": "production", **alert["labels"]}
    words = [f"{name}={value}" for name, value in labels.items()]
    where = f"--config.file={tmp_path / 'alertmanager.yml'}"
    assert run("amtool", "config", "routes", "test", where, *words).strip() == "conditions"


def rendered(template, alerts):
    """What people read of some alerts."""
    return run(
        "amtool",
        "template",
        "render",
        f"--template.glob={TREE}/formulas/alertmanager/files/messages.tmpl",
        f'--template.text={{{{ template "{template}" . }}}}',
        "--template.data=/dev/stdin",
        input=json.dumps({"receiver": "conditions", "status": alerts[0]["status"], "alerts": alerts}),
        env={"TZ": "UTC"},
    ).split("\n")


def alert_of(status="firing", labels=None, **annotations):
    """One as Alertmanager hands it to its templates."""
    about = {"droplet": "production", "service": "postgres", "severity": "warning", "kind": "condition"}
    return {
        "status": status,
        "labels": about | (labels or {}),
        "annotations": {"summary": "it is slow", **annotations},
        "startsAt": "2026-11-25T03:12:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
    }


def message(**more):
    return rendered("alerts.text", [alert_of(**more)])


@pytest.mark.parametrize(
    ("status", "rest"),
    [("firing", "and 2 more: salt-call health.check"), ("resolved", "and 2 more are over")],
)
def test_of_many_the_first_eight_are_told_and_how_many_more_there_are(status, rest):
    lines = rendered("alerts.html", [alert_of(status, summary=f"number {n}") for n in range(10)])
    assert sum("number " in line for line in lines) == 8
    assert rest in lines


def test_a_message_says_since_when_whoever_hands_it_over():
    assert message(since="24 Nov 07:00 UTC")[2] == "since 24 Nov 07:00 UTC"
    assert message()[:3] == ["warning: production: postgres", "it is slow", "since 25 Nov 03:12 UTC"]
    assert message(labels={"kind": "event"})[2] == ""


def test_only_who_wants_it_has_it():
    assert units(settings()) == ("prometheus", *EXPORTERS)
    assert not wanted(settings(**{"monitoring.strength": "minimal"}))
    # Of an older tree.
    assert units({"monitoring": {"thresholds": {}}}) == units({}) == ()
