"""The SSH server's configuration as text, and who could log in with a key. Reads only."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from marketplace_accounts import Account
from marketplace_accounts import accounts as parsed

# How ``sshd -T`` says what is written otherwise.
_SPELLINGS = {"prohibit-password": "without-password"}
_KEY_TYPE = re.compile(
    r"(?:^|\s)((?:sk-)?(?:ssh|ecdsa)-(?:ed25519|rsa|sha2-nistp\d+)(?:-cert-v01)?(?:@openssh\.com)?)"
    r"\s+[A-Za-z0-9+/]{40,}={0,2}(?:\s|$)"
)
_INCLUDE = re.compile(r"^(\s*include\s+)(.*)$", re.IGNORECASE | re.MULTILINE)


def text(options: Mapping[str, Any]) -> str:
    """The drop-in file for ``options``: keyword -> value, or a list of values."""
    lines = ["# Written by state.apply; the first value of a keyword wins, so this file comes first."]
    for keyword, value in options.items():
        lines += [f"{keyword} {item}" for item in (value if isinstance(value, list) else [value])]
    return "\n".join(lines) + "\n"


def effective(listing: str) -> dict[str, list[str]]:
    """``sshd -T``'s output as keyword (lower case) -> values."""
    found: dict[str, list[str]] = {}
    for line in listing.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword:
            found.setdefault(keyword.lower(), []).append(value.strip())
    return found


def overruled(options: Mapping[str, Any], found: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Those of ``options`` that something else decides, each with the value in force.

    A keyword that this server's ``sshd -T`` does not print is taken for granted.
    """
    wrong = {}
    for keyword, value in options.items():
        wanted = [str(item) for item in (value if isinstance(value, list) else [value])]
        actual = found.get(keyword.lower())
        if actual is not None and [_SPELLINGS.get(item, item) for item in wanted] != list(actual):
            wrong[keyword] = ", ".join(actual)
    return wrong


def moved(main: str, directory: Path, to: Path) -> str:
    """``sshd_config`` with its drop-ins taken from ``to`` instead of ``directory``."""
    return _INCLUDE.sub(lambda match: match[1] + match[2].replace(f"{directory}/", f"{to}/"), main)


def includes(main: str, directory: Path) -> bool:
    """Whether ``sshd_config`` reads the drop-ins in ``directory`` before it says anything itself."""
    for line in main.splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0].lower() != "include":
            return False
        if f"{directory}/*.conf" in words[1:]:
            return True
    return False


def login_keys(content: str) -> int:
    """How many keys of an authorized_keys file give a shell (a forced command does not)."""
    lines = (line.strip() for line in content.splitlines())
    return sum(
        1
        for line in lines
        if line and not line.startswith("#") and _KEY_TYPE.search(line) and "command=" not in line
    )


def administrators(root: Path = Path("/")) -> list[Account]:
    """root, and the users with a shell whom sudo obeys."""
    accounts = {one.name: one for one in parsed("\n".join(_lines(root / "etc/passwd")))}
    members = _members(root, accounts)
    names = {"root"}
    for rule in _sudo_rules(root):
        names |= members.get(rule[1:], set()) if rule.startswith("%") else {rule}
    return [entry for name, entry in accounts.items() if name in names and entry.has_shell]


def with_keys(accounts: Sequence[Account], files: Sequence[str], root: Path = Path("/")) -> list[str]:
    """Those of ``accounts`` with an authorised key that the server would accept.

    Args:
        accounts: who.
        files: where keys are, as ``AuthorizedKeysFile`` says it: below the home, or absolute, with %u and %h.
        root: of the file system.
    """
    return [account.name for account in accounts if any(_opens(account, name, root) for name in files)]


def _opens(account: Account, name: str, root: Path) -> bool:
    filled = name.replace("%u", account.name).replace("%h", account.home).replace("%%", "%")
    file = root / str(Path(account.home) / filled).lstrip("/")
    try:
        content = file.read_text(errors="replace")
        # The server ignores files that others could have written (StrictModes).
        trusted = all(
            path.stat().st_mode & 0o022 == 0 and path.stat().st_uid in (0, account.uid)
            for path in (file, file.parent, root / account.home.lstrip("/"))
        )
    except OSError:
        return False
    return trusted and login_keys(content) > 0


def _members(root: Path, accounts: Mapping[str, Account]) -> dict[str, set[str]]:
    groups: dict[str, set[str]] = {}
    for line in _lines(root / "etc/group"):
        fields = line.split(":")
        if len(fields) == 4:
            primary = {name for name, account in accounts.items() if str(account.gid) == fields[2]}
            groups[fields[0]] = primary | {name for name in fields[3].split(",") if name}
    return groups


def _sudo_rules(root: Path) -> list[str]:
    """Who has a rule in sudoers: users, and groups as %group."""
    directory = root / "etc/sudoers.d"
    files = [root / "etc/sudoers", *(sorted(directory.iterdir()) if directory.is_dir() else [])]
    rules = (re.match(r"(%?[A-Za-z_][\w.-]*)\s+\S+\s*=", line) for file in files for line in _lines(file))
    return [rule[1] for rule in rules if rule]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:
        return []
