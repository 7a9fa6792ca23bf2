"""The CIS Docker Benchmark (numbers of version 1.6.0), as far as it does not depend on the host's own set-up.

Left out are the sections about the host (1: partitions, auditd), about files that cannot be here (3: TLS and registry
certificates, sysconfig), about how images are built (4: packages, ADD, updates), and Swarm's and Docker Enterprise's.
"""

from __future__ import annotations

from . import cis_containers, cis_engine
from .cis_facts import Facts, collect
from .outcome import Outcome, Place, explained, explanations

CHECKS = {**cis_engine.CHECKS, **cis_containers.CHECKS}


def audit(place: Place) -> Outcome:
    """Every check: passed, or what is wrong."""
    facts = collect(place.droplet)
    return outcome(facts)


def outcome(facts: Facts) -> Outcome:
    """What the checks make of the facts."""
    wrong = {number: check(facts) for number, (_, check) in CHECKS.items()}
    failed = [(number, f"{CHECKS[number][0]}: {'; '.join(said)}") for number, said in wrong.items() if said]
    findings = explained("cis-docker", failed, explanations())
    reasons = {finding.id: finding.why for finding in findings}
    lines = [f"Containers looked at: {', '.join(sorted(facts.containers))}", ""]
    for number, said in wrong.items():
        verdict = "pass" if not said else "exception" if reasons[number] else "FAIL"
        lines.append(f"{verdict:<10}{number:<6}{CHECKS[number][0]}")
        lines += [f"{'':16}{text}" for text in said]
        lines += [f"{'':16}why: {reasons[number]}"] if said and reasons[number] else []
    passed = sum(1 for said in wrong.values() if not said)
    unexplained = sum(1 for reason in reasons.values() if not reason)
    figure = (
        f"{passed} of {len(wrong)} pass, {len(failed) - unexplained} explained, {unexplained} unexplained"
    )
    return Outcome("cis-docker", "0 unexplained failures", figure, not failed, "\n".join(lines), findings)
