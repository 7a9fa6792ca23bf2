"""Which releases stay within reach of a rollback, and what of the others can go. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence

from marketplace_records import ReleaseRecord
from marketplace_reference import Reference

KEEP = "keep"
# Just what keep_name makes of a release id: an image of somebody else's may be called "keep" as well.
_KEEPER = re.compile(rf"{KEEP}:\d{{8}}T\d{{6}}Z(-?[a-z]+)?")


def keep_name(release: str) -> str:
    """The name that keeps a release's image from `docker image prune` (not from `prune --all`, which asks no names)."""
    return f"{KEEP}:{release}"


def pinned(newest_first: Iterable[ReleaseRecord], keep_releases: int) -> list[ReleaseRecord]:
    """The live release and those before it that a rollback may go back to, newest first.

    Args:
        newest_first: the ledger's records; reading stops when enough are found.
        keep_releases: how many besides the live one. A rollback counts as the release that it went back to.
    """
    found: list[ReleaseRecord] = []
    seen: set[str] = set()
    for record in newest_first:
        if record.outcome != "live" or record.origin in seen:
            continue
        seen.add(record.origin)
        found.append(record)
        if len(found) > keep_releases:
            break
    return found


def ancestors(
    records: Mapping[str, ReleaseRecord], start: str | None, keep_releases: int
) -> list[ReleaseRecord]:
    """The releases that rollbacks, one after the other, would go to; what was rolled back in between is not counted.

    Args:
        records: those that were live, by release id; start: the id to begin with.
        keep_releases: how many.
    """
    found: list[ReleaseRecord] = []
    record = records.get(start or "")
    while record is not None and len(found) < keep_releases:
        record = records.get(record.origin)
        if record is None or record in found:
            break
        found.append(record)
        record = records.get(record.previous or "")
    return found


def superfluous_images(
    names: Mapping[str, str], kept: Sequence[ReleaseRecord], repository: str, used: Iterable[str]
) -> list[str]:
    """Names of local images to take away: this deployment's, and needed by nobody.

    Args:
        names: every local image name and its id.
        kept: the pinned releases.
        repository: of the backend's image; nothing of another repository is ever touched.
        used: image references of containers that are there.
    """
    ours = Reference.parse(repository)
    keepers = {keep_name(record.origin) for record in kept}
    wanted = {record.image for record in kept} | set(used)
    digests = {reference.rsplit("@", 1)[1] for reference in wanted if "@" in reference}
    ids = {
        identity
        for name, identity in names.items()
        if name in keepers or name in wanted or ("@" in name and name.rsplit("@", 1)[1] in digests)
    }
    return sorted(
        name
        for name, identity in names.items()
        if identity not in ids and (_KEEPER.fullmatch(name) or ours.same_repository(name.split("@")[0]))
    )


def superfluous_keepers(names: Iterable[str], kept: Sequence[ReleaseRecord]) -> list[str]:
    """Names that keep releases beyond reach; their images may have others."""
    keepers = {keep_name(record.origin) for record in kept}
    return sorted(name for name in names if _KEEPER.fullmatch(name) and name not in keepers)
