"""The droplet's secret store, and how secrets reach those who need them: always as files, never anywhere else."""

import hashlib
import json
import re
import secrets as random
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from marketplace_durable import make_directory, write_atomic

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PLACEHOLDER = re.compile(r"\{(secret|sha256):([a-z][a-z0-9_]{0,63})\}")
_WHILE = re.compile(r"\{while:([a-z][a-z0-9_]{0,63})\|((?:[^{}]|\{[^{}]*\})*)\}")


class UnknownSecret(LookupError):
    """A secret that isn't in the store; the message names it and the store."""


@dataclass(frozen=True)
class Store:
    """Secrets in ``directory`` (0700), one 0600 file each, without final newline."""

    directory: Path

    def path(self, name: str) -> Path:
        """The file of secret ``name``.

        Raises:
            ValueError: ``name`` is no secret's name.
        """
        if not _NAME.fullmatch(name):
            raise ValueError("a secret's name has lower-case letters, digits and underscores only")
        return self.directory / name

    def read(self, name: str) -> str:
        """The value of secret ``name``.

        Raises:
            UnknownSecret: it isn't there yet.
        """
        try:
            return self.path(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise UnknownSecret(f"secret {name} is not in {self.directory}: run state.apply") from None

    def has(self, name: str) -> bool:
        """Whether secret ``name`` is there, with a value, in a file that only root reads."""
        try:
            status = self.path(name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return status.st_size > 0 and status.st_mode & 0o777 == 0o600

    def write(self, name: str, value: str) -> None:
        """Store ``value`` durably."""
        make_directory(self.directory, 0o700)
        self.directory.chmod(0o700)
        write_atomic(self.path(name), value, 0o600)

    def replace(self, name: str) -> bool:
        """Give secret ``name`` a new value and keep the one before beside it; whether that was not done yet.

        Cut off anywhere and called again, it goes on: a value that was replaced is not replaced again before
        :meth:`forget`.
        """
        before = before_of(name)
        if not self.has(before):
            self.write(before, self.read(name))
        if self.read(name) != self.read(before):
            return False
        self.write(name, generate())
        return True

    def forget(self, name: str) -> None:
        """Keep the value before no longer."""
        self.path(before_of(name)).unlink(missing_ok=True)

    def pending(self, names: list[str], given: Mapping[str, str]) -> dict[str, str]:
        """What ``ensure`` would do for ``names``: "created", "replaced" (a new given value) or "protected"."""
        actions: dict[str, str] = {}
        for name in names:
            file = self.path(name)
            present = file.exists() and file.stat().st_size > 0
            if not present:
                actions[name] = "created"
            elif name in given and given[name] != self.read(name):
                actions[name] = "replaced"
            elif not self.has(name):
                actions[name] = "protected"
        return actions

    def ensure(
        self, names: list[str], given: Mapping[str, str], following: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Make every secret in ``names`` present: the given value, else the stored one, else a generated one.

        Args:
            names: of the secrets.
            given: values by name.
            following: name -> another secret that did its work before there was this one, and lends it its value.

        Returns:
            what was done, by name; see ``pending``.
        """
        following = {name: other for name, other in (following or {}).items() if self.has(other)}
        actions = self.pending(names, given)
        for name, action in actions.items():
            if action == "protected":
                self.path(name).chmod(0o600)
            else:
                self.write(name, given[name] if name in given else self._made(name, following))
        return actions

    def _made(self, name: str, following: Mapping[str, str]) -> str:
        return self.read(following[name]) if name in following else generate()


def generate() -> str:
    """A new secret: 32 random bytes as 43 URL-safe characters."""
    return random.token_urlsafe(32)


def before_of(name: str) -> str:
    """Under what name the value before is kept while secret ``name`` is being replaced."""
    return f"{name}_before"


def render(template: str, read: Callable[[str], str]) -> str:
    """``template`` with ``{secret:NAME}`` and ``{sha256:NAME}`` (hexadecimal digest of the value) filled in.

    ``{while:NAME|TEXT}`` is TEXT, which may hold those two, while there is a secret NAME, and else nothing.

    Args:
        template: any text; other braces stay as they are.
        read: gives a secret's value.

    Raises:
        UnknownSecret: a secret isn't there.
    """

    def fill(match: re.Match[str]) -> str:
        value = read(match[2])
        return hashlib.sha256(value.encode()).hexdigest() if match[1] == "sha256" else value

    def kept(match: re.Match[str]) -> str:
        try:
            read(match[1])
        except UnknownSecret:
            return ""
        return match[2]

    return _PLACEHOLDER.sub(fill, _WHILE.sub(kept, template))


def names_in(template: str) -> list[str]:
    """Names of the secrets that ``template`` always uses, each once, in order."""
    return list(dict.fromkeys(match[2] for match in _PLACEHOLDER.finditer(_WHILE.sub("", template))))


def docker_config(server: str, username: str, password: str) -> str:
    """Docker's config.json that logs in to ``server``; without a server, one that logs in to nothing."""
    if not server:
        return json.dumps({"auths": {}}, indent=2) + "\n"
    # Docker Hub's credentials are filed under its old address.
    key = "https://index.docker.io/v1/" if server == "docker.io" else server
    auth = b64encode(f"{username}:{password}".encode()).decode()
    return json.dumps({"auths": {key: {"auth": auth}}}, indent=2) + "\n"


@dataclass(frozen=True)
class Wanted:
    """A file as it should be; the content is kept out of every repr by ``__repr__`` of its type."""

    path: Path
    content: str
    mode: int
    uid: int
    gid: int

    def __repr__(self) -> str:
        return f"Wanted({self.path})"

    def pending(self) -> str | None:
        """What ``apply`` would do: "created", "replaced" (other content), "protected" (owner, mode) or nothing."""
        try:
            status = self.path.stat()
            if self.path.read_text(encoding="utf-8") != self.content:
                return "replaced"
        except (FileNotFoundError, NotADirectoryError):
            return "created"
        right = (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (self.mode, self.uid, self.gid)
        return None if right else "protected"

    def apply(self) -> None:
        """Write the file durably; its directory must exist."""
        write_atomic(self.path, self.content, self.mode, self.uid, self.gid)
