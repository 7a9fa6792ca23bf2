"""Salt's commands from the checkout's root, as on a laptop: the Saltfile and minion.conf find the tree."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.pillars import TOKEN

TREE = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a pillar/local of its own."""
    made = tmp_path / "checkout"
    made.mkdir()
    for name in ("salt", "formulas", "pillar", "controller"):
        shutil.copytree(
            TREE / name, made / name, symlinks=False, ignore=shutil.ignore_patterns("__pycache__", "local")
        )
    for name in ("Saltfile", "minion.conf"):
        shutil.copy(TREE / name, made / name)
    return made


def salt_call(checkout: Path, *arguments: str, minion_id: str = "production") -> tuple[int, object]:
    done = run(checkout, "--out=json", *arguments, minion_id=minion_id)
    assert done.stdout.startswith("{"), done.stderr
    return done.returncode, json.loads(done.stdout)["local"]


def run(checkout: Path, *arguments: str, minion_id: str = "production") -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("salt-call")), f"--id={minion_id}"]
    scratch = [f"--cachedir={checkout / 'cache'}", f"--log-file={checkout / 'log'}"]
    environment = os.environ | {"SALT_MINION_CONFIG": str(checkout / "minion.conf")}
    return subprocess.run(
        [*command, *scratch, *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def local(checkout: Path, content: dict[str, object]) -> None:
    """What only this host has."""
    (checkout / "pillar/local").mkdir(mode=0o700)
    (checkout / "pillar/local/init.sls").write_text(yaml.safe_dump(content))


OWN = {
    "secrets": {"telegram_token": {"value": TOKEN}},
    "edge": {"domains": ["bot.team.dev"]},
    "backend": {"image": "ghcr.io/team/bot"},
}


def test_settings_are_checked_without_a_droplet(checkout: Path) -> None:
    code, problems = salt_call(checkout, "settings.check")
    assert code == 1
    assert [problem.split()[0] for problem in problems] == [  # type: ignore[attr-defined]
        "secrets.telegram_token",
        "edge.domains",
        "backend.image",
    ]
    local(checkout, OWN)
    (checkout / "pillar/local").chmod(0o755)
    file = checkout / "pillar/local/init.sls"
    file.chmod(0o644)
    code, problems = salt_call(checkout, "settings.check")
    assert (code, [problem.split()[-1] for problem in problems]) == (1, [str(file)])  # type: ignore[attr-defined]
    file.chmod(0o600)
    assert salt_call(checkout, "settings.check") == (0, [])


def test_settings_are_a_table_for_people_and_data_for_programs(checkout: Path) -> None:
    local(checkout, OWN)
    lines = run(checkout, "settings.show").stdout.splitlines()
    shown = {line.split()[0]: line.split()[1:] for line in lines}
    assert shown["postgres.disk"] == ["pillar/base/init.sls", "20G"]
    assert shown["edge.domains"] == ["pillar/local/init.sls", "bot.team.dev"]
    assert shown["secrets.telegram_token"] == ["pillar/local/init.sls", "given"]
    code, rows = salt_call(checkout, "settings.show", "postgres.disk")
    assert (code, rows) == (0, {"postgres.disk": {"value": 20 << 30, "origin": "pillar/base/init.sls"}})
    assert TOKEN not in "".join(lines)


def test_environments_are_compared_without_any_droplets_secrets(checkout: Path) -> None:
    said = run(checkout, "settings.diff", "staging", "production")
    assert said.returncode == 0
    assert said.stdout.splitlines()[:3] == [
        "edge.domains",
        "    staging     staging.bot.example.com  (pillar/staging/init.sls)",
        "    production  bot.example.com  (pillar/production/init.sls)",
    ]
    code, found = salt_call(checkout, "settings.diff", "staging", "production", minion_id="development")
    assert code == 0
    assert list(found) == ["edge.domains", "edge.certificate"]  # type: ignore[call-overload]


def test_a_pillar_that_cannot_be_read_is_not_compared(checkout: Path) -> None:
    (checkout / "pillar/staging/init.sls").write_text("redis: {disk: 3G\n")
    code, answer = salt_call(checkout, "settings.diff", "staging", "production")
    assert code == 1
    assert "the pillar of staging can't be read" in answer["problems"][0]  # type: ignore[call-overload]


def test_a_new_environment_is_one_directory(checkout: Path) -> None:
    local(checkout, OWN)
    code, problems = salt_call(checkout, "settings.check", minion_id="rehearsal-2")
    assert code == 1
    assert "expected one of development, production, staging" in problems[0]  # type: ignore[index]
    shutil.copytree(checkout / "pillar/production", checkout / "pillar/rehearsal")
    assert salt_call(checkout, "settings.check", minion_id="rehearsal-2") == (0, [])
    assert salt_call(checkout, "settings.diff", "rehearsal", "production") == (0, {})
    code, shown = salt_call(checkout, "settings.show", "environment", minion_id="rehearsal-2")
    assert (code, shown) == (0, {"environment": {"value": "rehearsal", "origin": "derived"}})


def test_a_checkout_that_a_copy_was_made_over_says_its_own_commit(checkout: Path) -> None:
    git = ["git", "-C", str(checkout), "-c", "user.name=ann", "-c", "user.email=ann@test"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message=first"], check=True)
    (checkout / "REVISION").write_text("c" * 40)
    shown = "string={{ pillar.settings_gate.revision }}"
    _, found = salt_call(checkout, "slsutil.renderer", shown, "default_renderer=jinja")
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert found == head.stdout.strip()
