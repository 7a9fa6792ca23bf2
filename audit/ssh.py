"""ssh-audit, from a host beside the droplet."""

from __future__ import annotations

from .outcome import Outcome, Place, explained, explanations


def audit(place: Place) -> Outcome:
    """Failures and warnings of the SSH server's algorithms."""
    place.neighbour.run(["apt-get", "update", "-qq"])
    place.neighbour.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "ssh-audit"])
    said = place.neighbour.run(["ssh-audit", "--no-colors", place.droplet.address()], check=False)
    failures, warnings = read(said.stdout)
    findings = explained(
        "ssh-audit", [(line.split()[1], line) for line in (*failures, *warnings)], explanations()
    )
    figure = f"{len(failures)} failures, {len(warnings)} warnings"
    met = not failures and not warnings and "(kex)" in said.stdout
    return Outcome("ssh-audit", "0 failures, 0 warnings", figure, met, said.stdout, findings)


def read(report: str) -> tuple[list[str], list[str]]:
    """The lines of a report that fail, and those that warn."""
    lines = [" ".join(line.split()) for line in report.splitlines()]
    return [line for line in lines if "[fail]" in line], [line for line in lines if "[warn]" in line]
