"""lynis, on the droplet."""

from __future__ import annotations

import re

from .outcome import Outcome, Place, explained, explanations

GOAL = 85
REPORT = "/var/log/lynis-report.dat"
PROFILES = "/etc/lynis"


def audit(place: Place) -> Outcome:
    """The hardening index, every warning, and the suggestions as long as the index is too low."""
    place.droplet.run(["apt-get", "update", "-qq"])
    place.droplet.run(
        [
            "env",
            "NEEDRESTART_SUSPEND=1",
            "apt-get",
            "install",
            "-qq",
            "-y",
            "--no-install-recommends",
            "lynis",
        ]
    )
    settings = place.droplet.get(f"{PROFILES}/default.prf").decode(errors="replace")
    place.droplet.put(f"{PROFILES}/custom.prf", without_the_machines(settings))
    try:
        said = place.droplet.run(
            ["lynis", "audit", "system", "--quick", "--no-colors", "--no-log"], check=False
        )
        data = place.droplet.get(REPORT).decode(errors="replace")
    finally:
        place.droplet.run(["apt-get", "purge", "-qq", "-y", "lynis"], check=False)
        place.droplet.run(["rm", "-rf", REPORT, "/var/log/lynis.log", PROFILES])
    index, warnings, suggestions = read(data)
    findings = explained("lynis", [*warnings, *(suggestions if index < GOAL else [])], explanations())
    figure = f"{index}, {len(warnings)} warnings, {len(suggestions)} suggestions"
    met = index >= GOAL and not warnings
    return Outcome("lynis", f"{GOAL}, no warnings", figure, met, said.stdout, findings)


def without_the_machines(profile: str) -> str:
    """lynis' settings that leave out what a container can't have of its own, given its default ``profile``.

    kernel.*, fs.* and dev.* are those of the machine below, whatever they are there: counting them would measure that.
    """
    keys = re.findall(r"^config-data=sysctl;((?:kernel|fs|dev)\.[^;]+);", profile, re.MULTILINE)
    return "".join(f"skip-test=KRNL-6000:{key}\n" for key in keys)


def read(data: str) -> tuple[int, list[tuple[str, str]], list[tuple[str, str]]]:
    """The index, warnings and suggestions in lynis-report.dat."""
    index = re.search(r"^hardening_index=(\d+)", data, re.MULTILINE)
    if index is None:
        raise ValueError("lynis gave no hardening index")
    return int(index[1]), _entries(data, "warning"), _entries(data, "suggestion")


def _entries(data: str, kind: str) -> list[tuple[str, str]]:
    lines = re.findall(rf"^{kind}\[\]=([^|]+)\|([^|]*)\|([^|]*)", data, re.MULTILINE)
    return [(test, f"{text} {detail}".removesuffix(" -").strip()) for test, text, detail in lines]
