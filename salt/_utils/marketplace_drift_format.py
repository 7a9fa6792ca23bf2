"""What health.drift shows to people: the sentence, then each difference with what to type. Pure."""

from collections.abc import Mapping
from typing import Any

from marketplace_terminal import clean


def lines(found: Mapping[str, Any]) -> str:
    """The text for the terminal.

    Args:
        found: what health.drift returns.
    """
    text = [f"drift: {found['drift']}"]
    for row in found["differences"]:
        what = row["name"] if row["owned"] else f"{row['state']} {row['name']}"
        behind = " (goes back to another)" if row["follows"] else ""
        text += ["", f"{what}: {row['words']}{behind}", f"    since {row['since']}; {row['state']}"]
        text += [f"    {line}" for line in row["detail"].splitlines()]
        text += [f"    type: {row['remedy']}"]
    for name in ("accepted", "pending", "trouble"):
        text += (
            ["", f"{name}:", *(f"    {words}" for words in found.get(name) or ())] if found.get(name) else []
        )
    text += ["", found["note"]] if found.get("note") else []
    text += ["", f"looked: {found.get('looked', 'never')}"]
    # Whoever changes a file by hand may write anything into it.
    return "\n".join(clean(line) for line in text)
