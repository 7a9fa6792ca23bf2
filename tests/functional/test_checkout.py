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


def salt_call(checkout: Path, *arguments: str) -> tuple[int, object]:
    command = [str(Path(sys.executable).with_name("salt-call")), "--id=production", "--out=json"]
    scratch = [f"--cachedir={checkout / 'cache'}", f"--log-file={checkout / 'log'}"]
    environment = os.environ | {"SALT_MINION_CONFIG": str(checkout / "minion.conf")}
    done = subprocess.run(
        [*command, *scratch, *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("{"), done.stderr
    return done.returncode, json.loads(done.stdout)["local"]


def test_settings_are_checked_without_a_droplet(checkout: Path) -> None:
    code, problems = salt_call(checkout, "settings.check")
    assert code == 1
    assert [problem.split()[0] for problem in problems] == [  # type: ignore[attr-defined]
        "secrets.telegram_token",
        "edge.domains",
        "backend.image",
    ]
    (checkout / "pillar/local").mkdir()
    local = {
        "secrets": {"telegram_token": {"value": TOKEN}},
        "edge": {"domains": ["bot.team.dev"]},
        "backend": {"image": "ghcr.io/team/bot"},
    }
    file = checkout / "pillar/local/init.sls"
    file.write_text(yaml.safe_dump(local))
    file.chmod(0o644)
    code, problems = salt_call(checkout, "settings.check")
    assert (code, [problem.split()[-1] for problem in problems]) == (1, [str(file)])  # type: ignore[attr-defined]
    file.chmod(0o600)
    assert salt_call(checkout, "settings.check") == (0, [])
