#!/usr/bin/env python3
"""Write docs/settings.md's tables from the parser, so that they can't say anything else.

tools/settings_docs.py          exit 1 where docs/settings.md is out of step
tools/settings_docs.py --write  put it in step
"""

import json
import sys
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TREE / "salt/_utils"))

from marketplace_settings_fields import REQUIRED, Setting, settable  # noqa: E402
from marketplace_settings_fixed import ALWAYS, WHILE_LIVE  # noqa: E402
from marketplace_settings_model import Settings  # noqa: E402
from marketplace_settings_secrets import CATALOGUE  # noqa: E402

DOCUMENT = TREE / "docs/settings.md"
BEGIN, END = (
    "<!-- what follows is written by tools/settings_docs.py -->",
    "<!-- what precedes is written by tools/settings_docs.py -->",
)


def _default(declared: Setting) -> str:
    if declared.default is REQUIRED:
        return "**must be set**"
    if declared.default == "":
        return "none"
    plain = declared.default if isinstance(declared.default, str) else json.dumps(declared.default)
    return f"`{plain}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def meaning(path: str, declared: Setting) -> str:
    """What setting ``path`` is, and whether it may change."""
    if path in ALWAYS:
        return f"{declared.doc} (chosen once)"
    return f"{declared.doc} (fixed while a release is live)" if path in WHILE_LIVE else declared.doc


def _rows(cls: Any, prefix: str) -> list[str]:
    rows = []
    for item in settable(cls):
        path = f"{prefix}{item.name}"
        if "section" in item.metadata:
            rows += _rows(item.metadata["section"], f"{path}.")
            continue
        declared = item.metadata["setting"]
        cells = (meaning(path, declared), declared.kind.text, _default(declared))
        rows.append(f"| `{path}` | {' | '.join(map(_cell, cells))} |")
    return rows


def tables() -> str:
    """One table a section, then the secrets."""
    lines: list[str] = []
    for item in settable(Settings):
        lines += [f"### {item.name}: {item.metadata['doc']}", "", "| setting | is | written as | default |"]
        lines += ["|---|---|---|---|", *_rows(item.metadata["section"], f"{item.name}."), ""]
    lines += ["### secrets: what must stay secret", "", "| secret | opens | comes from | a given value has |"]
    lines += ["|---|---|---|---|"]
    for name, secret in CATALOGUE.items():
        origin = "generated on the droplet, unless given"
        if secret.given:
            origin = f"given, where `{secret.needs}` is set" if secret.needs else "given"
        lines.append(f"| `{name}` | {_cell(secret.doc)} | {origin} | {_cell(secret.rule)} |")
    return "\n".join(lines)


def in_step(document: str) -> str:
    """``document`` with the tables as the parser has them now."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    """Compare, or write with ``--write``."""
    document = DOCUMENT.read_text()
    wanted = in_step(document)
    if document == wanted:
        return 0
    if "--write" in arguments:
        DOCUMENT.write_text(wanted)
        return 0
    print("docs/settings.md is out of step with the parser: tools/settings_docs.py --write", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
