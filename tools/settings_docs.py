#!/usr/bin/env python3
"""Write docs/settings.md's tables and editors' docs/settings.schema.json from the parser: they can't say anything else.

tools/settings_docs.py          exit 1 where one of them is out of step
tools/settings_docs.py --write  put them in step
"""

import json
import sys
from pathlib import Path
from typing import Any

TREE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TREE / "salt/_utils"))

from marketplace_settings import RUN_OPTIONS  # noqa: E402
from marketplace_settings_fields import REQUIRED, Setting, settable  # noqa: E402
from marketplace_settings_fixed import ALWAYS, WHILE_LIVE  # noqa: E402
from marketplace_settings_kinds import whole  # noqa: E402
from marketplace_settings_model import Settings  # noqa: E402
from marketplace_settings_secrets import CATALOGUE, WAYS, Secret  # noqa: E402

DOCUMENT = TREE / "docs/settings.md"
SCHEMA = TREE / "docs/settings.schema.json"
BEGIN, END = (
    "<!-- what follows is written by tools/settings_docs.py -->",
    "<!-- what precedes is written by tools/settings_docs.py -->",
)
KINDS = {bool: "boolean", str: "string"}


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


def schema() -> str:
    """The JSON Schema of a pillar file. Nothing is required: a file says only what it adds to those below it."""
    document = _section(Settings, "settings of a marketplace droplet: docs/settings.md")
    secrets = {name: _secret(secret) for name, secret in CATALOGUE.items()}
    document["properties"] |= {
        "secrets": _mapping("what must stay secret", secrets),
        **{
            name: {"type": KINDS[kind], "description": f"an option of one run; {words}"}
            for name, (kind, words, _) in RUN_OPTIONS.items()
        },
    }
    return json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", **document}, indent=1) + "\n"


def _section(cls: Any, doc: str) -> dict[str, Any]:
    properties = {}
    for item in settable(cls):
        if "section" in item.metadata:
            properties[item.name] = _section(item.metadata["section"], item.metadata["doc"])
            continue
        declared = item.metadata["setting"]
        default = {} if declared.default is REQUIRED else {"default": declared.default}
        said = {"description": f"{declared.doc}; {declared.kind.text}", **default}
        properties[item.name] = {**said, **declared.kind.schema()}
    return _mapping(doc, properties)


def _mapping(doc: str, properties: dict[str, Any]) -> dict[str, Any]:
    # A section may stand there with nothing in it.
    kind = {"type": ["object", "null"], "additionalProperties": False}
    return {"description": doc, **kind, "properties": properties}


def _secret(secret: Secret) -> dict[str, Any]:
    value = {
        "description": secret.rule,
        "anyOf": [
            {"type": "string", "pattern": whole(rf"[\r\n]*(?:{secret.pattern})[\r\n]*")},
            {"type": "string", "pattern": "-----BEGIN PGP MESSAGE-----"},
        ],
    }
    ways = {way: {"type": "string", "minLength": 1} for way in WAYS} | {"value": value}
    one = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    return {"description": secret.doc, **one, "properties": ways}


def main(arguments: list[str]) -> int:
    """Compare, or write with ``--write``."""
    wanted = {DOCUMENT: in_step(DOCUMENT.read_text()), SCHEMA: schema()}
    behind = [file for file, text in wanted.items() if not file.is_file() or file.read_text() != text]
    for file in behind:
        if "--write" in arguments:
            file.write_text(wanted[file])
        else:
            name = file.relative_to(TREE)
            print(f"{name} is out of step with the parser: tools/settings_docs.py --write", file=sys.stderr)
    return 1 if behind and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
