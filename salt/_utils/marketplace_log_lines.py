"""Log lines of a container for people: what a record's reason can hold, not the whole log. Pure."""

import json

LINE_CHARACTERS = 300


def readable(text: str, lines: int) -> str:
    """The last lines of a log, each short.

    Args:
        text: what the container wrote, JSON lines (docs/contract.md) or any other.
        lines: how many to keep. Where there are errors among JSON lines, only those are kept.
    """
    said = [_said(line) for line in text.splitlines() if line.strip()]
    errors = [words for level, words in said if level in ("error", "critical", "fatal")]
    chosen = errors or [words for _, words in said]
    return "\n".join(_short(words) for words in chosen[-lines:])


def _said(line: str) -> tuple[str, str]:
    """Level and words of a line; a stack trace is its last line, which names the error."""
    try:
        entry = json.loads(line)
        message = str(entry["message"])
    except (ValueError, KeyError, TypeError):
        return "", line.rstrip()
    level = str(entry.get("level", "")).lower()
    trace = str(entry.get("exception") or "").strip()
    words = f"{level} {message}".strip() + (f": {trace.splitlines()[-1]}" if trace else "")
    return level, words


def _short(words: str) -> str:
    return words if len(words) <= LINE_CHARACTERS else words[: LINE_CHARACTERS - 3] + "..."
