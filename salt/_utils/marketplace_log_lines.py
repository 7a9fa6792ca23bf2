"""Log lines of a container for people: what a record's reason can hold, not the whole log. Pure."""

from marketplace_log_entries import Entry, entry_of

LINE_CHARACTERS = 300


def readable(text: str, lines: int) -> str:
    """The last lines of a log, each short.

    Args:
        text: what the container wrote, JSON lines (docs/contract.md) or any other.
        lines: how many to keep. Where there are errors among JSON lines, only those are kept.
    """
    said = [entry_of({"MESSAGE": line}) for line in text.splitlines() if line.strip()]
    # A plain line's level says nothing of the lines below it that belong to it.
    errors = [entry for entry in said if entry.whole and entry.level in ("error", "critical")]
    return "\n".join(_short(_words(entry)) for entry in (errors or said)[-lines:])


def _words(entry: Entry) -> str:
    """Level and words of a JSON line; a stack trace is its last line, which names the error."""
    if not entry.whole:
        return entry.message
    trace = entry.trace.strip()
    return f"{entry.level} {entry.message}" + (f": {trace.splitlines()[-1]}" if trace else "")


def _short(words: str) -> str:
    return words if len(words) <= LINE_CHARACTERS else words[: LINE_CHARACTERS - 3] + "..."
