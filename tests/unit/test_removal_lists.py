"""The removal's lists are complete: every package and every file of the engine goes, or is left on purpose."""

import re
from pathlib import Path

import yaml
from marketplace_metrics import EXPORTERS
from marketplace_paths import Paths

TREE = Path(__file__).parents[2]
# What SSH, Salt and the data's file systems need.
NEEDED = {
    "ca-certificates",
    "e2fsprogs",
    "mount",
    "openssh-server",
    "openssh-sftp-server",
    "python3-venv",
    "systemd",
}
# What is left beside the data, for a state.apply that brings all of it back.
LEFT = {"before.json", "ledger", "live.map", "maintenance.map", "rebuild.json", "releases"}
LEFT |= {"restore.json", "rotation.json", "slo"}


def listed(sls, key):
    """A list of names in an SLS of the removal, without rendering it."""
    text = (TREE / "salt/marketplace/absent" / sls).read_text()
    block = re.search(rf"^( +)- {key}:\n((?:\1  .*\n)+)", text, re.MULTILINE)
    plain = "\n".join(line for line in block[2].splitlines() if "{" not in line)
    return yaml.safe_load(plain)


def test_every_package_that_is_installed_goes_or_is_needed():
    installed = set(EXPORTERS)
    for path in [*(TREE / "salt").rglob("*.sls"), *(TREE / "formulas").rglob("*.sls")]:
        for names in re.findall(r"apt_package\.installed:\n    - pkgs: \[(.+)\]", path.read_text()):
            installed |= {name.replace("{{ barman.major }}", "17") for name in names.split(", ")}
    for formula, key in (
        ("docker", "packages"),
        ("packages", "present"),
        ("updates", "packages"),
        ("ssh", "packages"),
    ):
        installed |= set(yaml.safe_load((TREE / f"formulas/{formula}/defaults.yaml").read_text())[key])
    assert installed - NEEDED == set(listed("host.sls", "pkgs"))


def test_every_file_of_the_engine_goes_or_is_left_on_purpose():
    paths = Paths()
    places = {name: getattr(paths, name) for name, kind in vars(Paths).items() if isinstance(kind, property)}
    engine = {path.name for path in places.values() if isinstance(path, Path) and path.parent == paths.state}
    gone = {Path(tree).name for tree in listed("files.sls", "trees") if Path(tree).parent == paths.state}
    assert engine - LEFT == gone & engine
    assert not gone & LEFT
