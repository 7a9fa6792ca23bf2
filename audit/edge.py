"""The edge's TLS, as clients see it, with a certificate of an ACME authority: testssl.sh and sslyze."""

from __future__ import annotations

import re

from tests.support.droplet import pillar
from tests.support.droplet.acme import DIRECTORY
from tests.support.droplet.salt import call
from tests.support.droplet.site import DOMAIN

from .outcome import Outcome, Place, explained, explanations

ROOT = "/root/authority.pem"
SSLYZE = "sslyze==6.2.0"
# Of a testssl.sh line: what it says against the server, as it colours and words it.
AGAINST = re.compile(r"\bNOT ok\b|VULNERABLE(?! \(OK\))|\bWARN")


def certified(place: Place) -> str:
    """Have the edge serve a certificate of the site's ACME authority; the authority's root (PEM)."""
    root = place.site.acme().root()
    wanted = pillar.local(place.site, place.site.images()) | {
        "edge": {"certificate": DIRECTORY, "root": root}
    }
    pillar.write(place.droplet, wanted)
    done = call(place.droplet, "state.apply")
    if done.failed:
        raise RuntimeError(f"the edge has no certificate: {done.failed}")
    return root


def testssl(place: Place) -> Outcome:
    """The grade that testssl.sh gives, and what it holds against the edge."""
    machine = place.neighbour
    machine.put(ROOT, certified(place))
    machine.run(["apt-get", "update", "-qq"])
    machine.run(
        [
            "apt-get",
            "install",
            "-qq",
            "-y",
            "--no-install-recommends",
            "testssl.sh",
            "procps",
            "bsdmainutils",
            "dnsutils",
        ]
    )
    argv = ["testssl", "--quiet", "--warnings=off", "--color=0", "--wide", f"--add-ca={ROOT}"]
    said = machine.run(
        [*argv, f"--ip={place.droplet.address()}", f"{DOMAIN}:443"], check=False, timeout=900
    ).stdout
    grade, against = read(said)
    findings = explained(
        "testssl.sh", [(line.split("  ")[0].strip(), line) for line in against], explanations()
    )
    return Outcome("testssl.sh", "A+", grade, grade == "A+", said, findings)


def read(report: str) -> tuple[str, list[str]]:
    """The overall grade in a report, and the lines that are not ok."""
    found = re.search(r"Overall Grade\s+(\S+)", report)
    lines = [" ".join(line.split(" ")).strip() for line in report.splitlines()]
    return (found.group(1) if found else "none"), [line for line in lines if AGAINST.search(line)]


def sslyze(place: Place) -> Outcome:
    """Whether sslyze finds the edge compliant with Mozilla's intermediate profile."""
    machine = place.site.controller()
    place.site.trust(machine)
    machine.put(ROOT, certified(place))
    machine.run(["python3", "-m", "venv", "/opt/sslyze"])
    trusting = {"PIP_CERT": "/etc/ssl/certs/ca-certificates.crt"}
    machine.run(["/opt/sslyze/bin/pip", "install", "--quiet", SSLYZE], environment=trusting)
    argv = [
        "/opt/sslyze/bin/sslyze",
        "--mozilla_config=intermediate",
        f"--certinfo_ca_file={ROOT}",
        f"--sni={DOMAIN}",
    ]
    said = machine.run([*argv, f"{place.droplet.address()}:443"], check=False, timeout=300).stdout
    verdict = said.partition("COMPLIANCE AGAINST")[2]
    met = "OK - Compliant" in verdict
    against = [] if met else [line.strip() for line in verdict.splitlines() if line.strip().startswith("* ")]
    findings = explained(
        "sslyze", [(line.split(":")[0].lstrip("* "), line) for line in against], explanations()
    )
    reached = "compliant" if met else "not compliant"
    return Outcome("sslyze", "Mozilla intermediate: compliant", reached, met, said, findings)
