"""Image references: repository, tag and digest, and the short names that Docker gives to its own hub's images. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """``repository[:tag][@digest]``; the registry's port belongs to the repository."""

    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Take a reference apart; what is not there is ""."""
        rest, _, digest = text.partition("@")
        head, slash, last = rest.rpartition("/")
        name, _, tag = last.partition(":")
        return cls(f"{head}{slash}{name}", tag, digest)

    def same_repository(self, other: str) -> bool:
        """Whether ``other`` (any reference) is of the same repository, in Docker's long or short form."""
        return familiar(self.repository) == familiar(Reference.parse(other).repository)


def familiar(repository: str) -> str:
    """The form in which Docker lists a repository: ``docker.io/library/redis`` is ``redis``."""
    for prefix in ("docker.io/", "index.docker.io/"):
        repository = repository.removeprefix(prefix)
    return repository.removeprefix("library/")
