"""cloud-init/user-data.yaml: small, without secrets, and with a unit that goes on until the droplet is converged."""

import configparser
import re
from pathlib import Path

import yaml
from marketplace_settings_secrets import CATALOGUE

FILE = Path(__file__).parents[2] / "cloud-init/user-data.yaml"
DATA = yaml.safe_load(FILE.read_text())
# DigitalOcean takes this much; cloud-init asks for the first line.
LIMIT = 64 << 10


def unit():
    file = DATA["write_files"][0]
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(file["content"])
    return Path(file["path"]).name, parser


def test_it_is_cloud_config_and_small():
    assert FILE.read_text().startswith("#cloud-config\n")
    assert FILE.stat().st_size < LIMIT / 16


def test_no_secret_is_in_it():
    text = FILE.read_text()
    assert not [name for name in CATALOGUE if name in text]
    assert not re.search(r"[0-9]{5,}:|BEGIN |:[^/\s]+@|(?i:pass(word|phrase)?|token)[=:]", text)


def test_the_unit_that_is_enabled_is_the_one_that_is_written_and_that_disables_itself():
    name, _ = unit()
    assert DATA["runcmd"][-1][-1] == name
    commands = [
        line for line in DATA["write_files"][0]["content"].splitlines() if line.startswith("ExecStart=")
    ]
    assert commands[-1].endswith(f"disable {name}")
    assert commands[-2] == "ExecStart=/srv/deploy/bootstrap.sh %l"


def test_the_unit_tries_again_ever_more_slowly_and_without_end():
    _, parser = unit()
    assert parser["Service"]["Restart"] == "on-failure"
    assert parser["Unit"]["StartLimitIntervalSec"] == "0"
    assert parser["Service"]["RestartMaxDelaySec"] == "10min"
