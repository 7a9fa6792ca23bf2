"""The accounts in /etc/passwd, read as leniently as the system reads it. Pure."""

from typing import NamedTuple

# Whoever has one of these gets no shell. By their whole path: a file of such a name elsewhere may be anything.
_NO_SHELLS = (
    "/usr/sbin/nologin",
    "/sbin/nologin",
    "/usr/bin/false",
    "/bin/false",
    "/usr/bin/sync",
    "/bin/sync",
)
_FIELDS = 7


class Account(NamedTuple):
    """A line of /etc/passwd, as far as it matters here."""

    name: str
    uid: int
    gid: int
    home: str
    shell: str

    @property
    def has_shell(self) -> bool:
        return self.shell not in _NO_SHELLS


def accounts(passwd: str) -> list[Account]:
    """Those in the text of /etc/passwd, in its order.

    To the system a line that ends early is an account all the same, with the usual shell; one without numbers is none.
    """
    found = []
    for line in passwd.split("\n"):
        name, _, uid, gid, _, home, shell = [*line.split(":", _FIELDS - 1), *[""] * _FIELDS][:_FIELDS]
        try:
            found.append(Account(name, int(uid), int(gid), home, shell))
        except ValueError:
            continue
    return found
