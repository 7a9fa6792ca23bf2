"""systemd-analyze security, for every unit that the tree writes or tunes."""

from __future__ import annotations

import re

from marketplace_sandbox import ENGINE
from marketplace_systemd import swap_service

from tests.support.droplet.droplets import Droplet

from .outcome import Outcome, Place, explained, explanations

GOAL = 2.0
# Packages' units that the tree gives a sandbox.
TUNED = ("haproxy.service", "prometheus-alertmanager.service")
RELEASE = "marketplace-release-audit.service"
SWAP = "/run/swap-example.service"


def audit(place: Place) -> Outcome:
    """Exposure of each unit."""
    droplet = place.droplet
    reports = {}
    for unit in (*written(droplet), *TUNED):
        reports[unit] = droplet.run(["systemd-analyze", "security", "--no-pager", unit]).stdout
    # Only there while a release runs.
    properties = [f"--property={line}" for line in ENGINE]
    droplet.run(["systemd-run", "--quiet", f"--unit={RELEASE}", *properties, "sleep", "60"])
    try:
        reports["marketplace-release-*.service"] = droplet.run(
            ["systemd-analyze", "security", "--no-pager", RELEASE]
        ).stdout
    finally:
        droplet.run(["systemctl", "stop", RELEASE])
    # Only there where there is a swap file.
    droplet.put(SWAP, swap_service("/var/swapfile"))
    reports["swap-*.service"] = droplet.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=yes", SWAP]
    ).stdout
    droplet.run(["rm", SWAP])
    figures = {unit: exposure(report) for unit, report in reports.items()}
    above = [(unit, f"{figure:.1f}") for unit, figure in figures.items() if figure > GOAL]
    figure = ", ".join(f"{unit.removesuffix('.service')} {value:.1f}" for unit, value in figures.items())
    report = "\n".join(f"# {unit}\n{text}" for unit, text in reports.items())
    findings = explained("systemd-analyze", above, explanations())
    return Outcome("systemd-analyze", f"{GOAL} for each unit of ours", figure, not above, report, findings)


def written(droplet: Droplet) -> list[str]:
    """The services whose unit files state.apply wrote: files in /etc, but for what stands in for a machine."""
    found = droplet.run(
        [
            "find",
            "/etc/systemd/system",
            "-maxdepth",
            "1",
            "-type",
            "f",
            "-name",
            "*.service",
            "-printf",
            "%f\\n",
        ]
    )
    return sorted(name for name in found.stdout.split() if not name.startswith("local-droplet"))


def exposure(report: str) -> float:
    """The figure at the end of a unit's report."""
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", report)
    if found is None:
        raise ValueError(f"systemd-analyze gave no figure: {report[-200:]}")
    return float(found[1])
