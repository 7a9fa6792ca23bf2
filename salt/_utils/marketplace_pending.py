"""What state.apply found to need a restart that nobody allowed yet; deploy.status shows it.

The file is a list of sentences, ``FINDER: SUBJECT (REASON)``. A finder replaces its own sentences only.
"""

from collections.abc import Mapping
from pathlib import Path

from marketplace_durable import make_directory, read_json, to_json, write_atomic

# How finders begin that wait for a restart of a project's containers.
RESTART = "pending restart in "
ALLOW = "salt-call state.apply pillar='{\"allow_restart\": true}'"


def record(path: Path, finder: str, findings: Mapping[str, str]) -> None:
    """Replace ``finder``'s sentences by ``findings`` (subject -> reason); an unchanged file is not written.

    Raises:
        ValueError: the file is not JSON.
        OSError: it could not be written.
    """
    before: list[str] = read_json(path) or []
    others = [sentence for sentence in before if not sentence.startswith(f"{finder}: ")]
    after = [*others, *(f"{finder}: {subject} ({why})" for subject, why in sorted(findings.items()))]
    if after != before:
        make_directory(path.parent)
        write_atomic(path, to_json(after))


def subjects(path: Path, finder: str) -> list[str]:
    """What the sentences of finders are about whose name begins so.

    Raises:
        ValueError: the file is not JSON.
    """
    said: list[str] = read_json(path) or []
    return [line.partition(": ")[2].partition(" (")[0] for line in said if line.startswith(finder)]
