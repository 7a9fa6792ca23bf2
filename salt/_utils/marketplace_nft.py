"""Compare nftables tables as ``nft --json list table`` prints them."""

import json
from typing import Any

# What the kernel counts or numbers by itself says nothing about the rules.
_VOLATILE = ("handle", "index", "packets", "bytes")


def _passing(element: Any) -> bool:
    """Whether a set's element was added by a packet: those expire, the file's own stay."""
    return isinstance(element, dict) and "expires" in (element.get("elem") or {})


def _normalise(value: Any, unordered: bool = False) -> Any:
    if isinstance(value, dict):
        named = {
            key: _normalise(item, unordered=key in ("set", "elem"))
            for key, item in value.items()
            if key not in _VOLATILE
        }
        # A set that only packets filled equals one that is empty.
        return {key: item for key, item in named.items() if key != "elem" or item != []}
    if isinstance(value, list):
        items = [_normalise(item) for item in value if not _passing(item)]
        return sorted(items, key=lambda item: json.dumps(item, sort_keys=True)) if unordered else items
    return value


def objects(listing: str) -> list[str]:
    """The table's chains, sets and rules, each as canonical JSON, in the order the kernel applies them.

    Args:
        listing: output of ``nft --json list table FAMILY NAME``; empty when there is no such table.
    """
    if not listing.strip():
        return []
    found = [_normalise(entry) for entry in json.loads(listing)["nftables"] if "metainfo" not in entry]
    return [json.dumps(entry, sort_keys=True) for entry in found]


def difference(running: list[str], wanted: list[str]) -> dict[str, Any]:
    """What loading ``wanted`` would change: the objects that go and come; an empty dict when nothing does."""
    if running == wanted:
        return {}
    gone = [entry for entry in running if entry not in wanted]
    new = [entry for entry in wanted if entry not in running]
    if not gone and not new:
        return {"order": {"old": "rules in another order", "new": "as in the file"}}
    return {"rules": {"old": gone, "new": new}}
