"""References of images: taken apart, and told to be of one repository."""

import pytest
from marketplace_reference import Reference


@pytest.mark.parametrize(
    ("text", "repository", "tag", "digest"),
    [
        ("docker.io/team/app:1.2", "docker.io/team/app", "1.2", ""),
        ("host:5000/app@sha256:aa", "host:5000/app", "", "sha256:aa"),
        ("host:5000/app:1@sha256:aa", "host:5000/app", "1", "sha256:aa"),
        ("redis", "redis", "", ""),
    ],
)
def test_references_are_taken_apart(text: str, repository: str, tag: str, digest: str) -> None:
    assert Reference.parse(text) == Reference(repository, tag, digest)


def test_references_of_docker_hub_have_two_forms() -> None:
    assert Reference.parse("docker.io/team/app:1").same_repository("team/app@sha256:aa")
    assert Reference.parse("docker.io/library/redis").same_repository("redis@sha256:aa")
    assert not Reference.parse("ghcr.io/team/app").same_repository("team/app@sha256:aa")
