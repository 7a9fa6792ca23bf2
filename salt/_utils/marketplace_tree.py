"""Which commit of the tree is at work: every record names it."""

from pathlib import Path


def revision(tree: Path) -> str:
    """The commit of a checkout, or of a copy that carries it in a file REVISION; ``unknown`` where neither says.

    Git itself is not asked: a droplet need not have it.
    """
    copied = tree / "REVISION"
    if copied.is_file():
        return copied.read_text().strip()
    git = tree / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        loose = git / name
        if loose.is_file():
            return loose.read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), "unknown")
