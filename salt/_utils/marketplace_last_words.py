"""What a program said last, in one line."""


def last_words(said: str) -> str:
    """The last three lines of what was said, joined by slashes; ``no output`` where there is none."""
    return " / ".join(said.strip().splitlines()[-3:]) or "no output"
