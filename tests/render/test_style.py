"""What SLS files, states and formulas must look like; each rule was once broken."""

import re
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
SLS = sorted(path for root in ("salt", "formulas") for path in (TREE / root).rglob("*.sls"))
FORMULAS = sorted(
    path
    for path in (TREE / "formulas").rglob("*")
    if path.is_file() and not path.is_symlink() and path.suffix != ".pyc"
)
OURS = sorted(
    path
    for root in ("salt", "formulas")
    for path in (TREE / root).rglob("*")
    if path.is_file() and path.suffix != ".pyc"
)
# What a formula is about, it may name.
ABOUT = {"barman": "postgres"}


def shown(path):
    return str(path.relative_to(TREE))


@pytest.mark.parametrize("path", SLS, ids=shown)
def test_an_sls_is_structure(path):
    text = path.read_text()
    assert len(re.findall(r"\{%-?\s*for\b", text)) <= 1
    assert len(re.findall(r"\{%-?\s*if\b", text)) <= 1
    assert not re.search(r"\{%-?\s*(macro|call|extends|block)\b", text)
    # cmd.run always takes a shell.
    assert not re.search(r"^\s+(cmd\.\w+|module\.run):", text, re.MULTILINE)
    assert not re.search(r"^\s+- (unless|onlyif):(?!\s*$)", text, re.MULTILINE)


@pytest.mark.parametrize("path", SLS, ids=shown)
def test_packages_are_installed_by_a_state_that_honours_test_mode(path):
    # pkg.installed fetches the package lists even under test=True.
    assert not re.search(r"^\s+pkg\.\w+:", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", [path for path in SLS if path.name != "top.sls"], ids=shown)
def test_state_ids_are_sentences(path):
    identifiers = [
        line.rstrip(":")
        for line in path.read_text().splitlines()
        if re.match(r"[^\s#{].*:$", line) and line != "include:"
    ]
    for identifier in identifiers:
        assert identifier[0].isupper(), identifier
        assert " " in identifier, identifier


@pytest.mark.parametrize("path", FORMULAS, ids=shown)
def test_a_formula_knows_no_application(path):
    text = path.read_text().lower()
    about = ABOUT.get(path.relative_to(TREE / "formulas").parts[0])
    for word in {"marketplace", "telegram", "postgres", "redis"} - {about}:
        assert word not in text.replace("marketplace-deploy", ""), f"{word} in {shown(path)}"


@pytest.mark.parametrize("path", sorted((TREE / "formulas").glob("*/")), ids=shown)
def test_a_formula_is_complete_and_small(path):
    for name in ("defaults.yaml", "map.jinja", "init.sls", "README.md"):
        assert (path / name).is_file(), f"{shown(path)} has no {name}"
    assert len((path / "map.jinja").read_text().splitlines()) <= 10


@pytest.mark.parametrize("path", OURS, ids=shown)
def test_the_tree_knows_nothing_of_droplets_that_are_not_real(path):
    text = path.read_text().lower()
    for word in (
        "local droplet",
        "registry.test",
        "bot.test",
        "botapi.test",
        "systemd-detect-virt",
        "/.dockerenv",
    ):
        assert word not in text, f"{word} in {shown(path)}"


@pytest.mark.parametrize("path", OURS, ids=shown)
def test_no_environment_is_treated_otherwise_by_its_name(path):
    # What one does otherwise is a setting, so that a new one is a directory of pillar and nothing else.
    assert not re.search(r"""(==|!=|\bin) *\(?["'](development|staging|production)\b""", path.read_text())


@pytest.mark.parametrize("path", [path for path in OURS if path.suffix == ".py"], ids=shown)
def test_no_command_goes_through_a_shell(path):
    text = path.read_text()
    assert "shell=True" not in text
    assert text.count('"cmd.run') + text.count('"cmd.retcode') <= text.count("python_shell=False")


@pytest.mark.parametrize(
    "path",
    [path for path in OURS if path.parent.name == "_states" and "def mod_watch" in path.read_text()],
    ids=shown,
)
def test_no_watch_hides_a_failure(path):
    # Salt calls mod_watch after a state that failed without changes, and takes its answer instead.
    assert '"skip_watch": not __opts__["test"]' in path.read_text()
