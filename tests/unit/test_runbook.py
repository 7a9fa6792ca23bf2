"""Whoever is woken by an alert finds a page about it."""

import re
from pathlib import Path

from marketplace_spool import UNREADABLE
from marketplace_steps import STEPS

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
PROVEN = ROOT / "tests" / "soak"
# Those that take hours to come about, or a Prometheus that is broken: promtool shows that they fire.
RULES_ALONE = {"disk.filling", "metrics.rules", "metrics.storage"}


def alerts() -> set[str]:
    """The names of all conditions that the rules know."""
    found = set()
    for source in (ROOT / "salt" / "_utils").glob("marketplace_*.py"):
        found |= set(re.findall(r'Finding\(\s*"([a-z_.]+)"', source.read_text()))
    for rules in (*ROOT.glob("formulas/prometheus/files/*.yml"), *ROOT.glob("salt/marketplace/files/*.yml")):
        found |= set(re.findall(r"- alert: ([a-z_.]+)", rules.read_text()))
    return found


def test_every_alert_has_its_page_and_no_page_is_left_over() -> None:
    pages = set(re.findall(r"^## ([a-z_]+(?:\.[a-z_]+)?)$", RUNBOOK, re.MULTILINE))
    assert len(alerts()) > 20
    assert pages == alerts()


def test_every_alert_is_in_the_table_of_what_is_watched() -> None:
    told = set(re.findall(r"`([a-z_.]+)`", (ROOT / "docs" / "monitoring.md").read_text()))
    assert alerts() <= told


def test_every_alert_is_brought_about_by_its_fault() -> None:
    tests = "".join(file.read_text() for file in PROVEN.glob("test_*.py"))
    named = {name for name in alerts() if re.search(rf"\b{re.escape(name)}\b", tests)}
    assert alerts() - named == RULES_ALONE


def events() -> set[str]:
    """The names of all events that anything tells of."""
    found = set()
    for source in (ROOT / "salt").glob("_*/*.py"):
        found |= set(re.findall(r'(?:\.(?:try_)?emit|_tell)\(\s*f?"([a-z_.{}]+)"', source.read_text()))
    # What failed at "open" is told as stuck.
    final = {f"release.{step.name}" for step in STEPS if step.final and step.name != "open"}
    kinds, outcomes = ("release", "rollback"), ("live", "failed", "rolled_back", "refused")
    patterns = {
        "release.{step.name}": final,
        "{record.kind}.{record.outcome}": {f"{kind}.{outcome}" for kind in kinds for outcome in outcomes},
    }
    assert patterns.keys() == {name for name in found if "{" in name}
    return (found - patterns.keys()).union({UNREADABLE}, *patterns.values())


def test_every_event_has_its_row_and_no_row_is_left_over() -> None:
    page = RUNBOOK.partition("\n## What happened\n")[2].partition("\n## ")[0]
    firsts = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    assert {name for first in firsts for name in re.findall(r"`([a-z_.]+)`", first)} == events()


def test_links_within_the_documents_lead_somewhere() -> None:
    broken = []
    for document in sorted((ROOT / "docs").glob("*.md")):
        for place, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w.-]+))?\)", document.read_text()):
            target = document.parent / place if place else document
            if not target.exists() or (anchor and anchor not in anchors(target)):
                broken.append(f"{document.name}: {place}#{anchor}")
    assert broken == []


def anchors(document: Path) -> set[str]:
    """What a heading is called in a link."""
    text = document.read_text()
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    named = set(re.findall(r'<a name="([\w-]+)">', text))
    return named | {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
