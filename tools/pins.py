#!/usr/bin/env python3
"""Refresh the image tags and digests that pillar pins, from the registries the images come from.

    tools/pins.py            show what is newer (exit 0) or why it can't be known (exit 1)
    tools/pins.py --write    write it into pillar/base/init.sls

For each pinned image the newest plain version tag (17.12, not 17.12-alpine) of the same major version is looked for,
and the digest of its multi-platform index. Only the standard library is used.
"""

import argparse
import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PILLAR = Path(__file__).resolve().parents[1] / "pillar/base/init.sls"
SERVICES = ("postgres", "redis")
_INDEXES = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_TIMEOUT = 20


class Unknown(Exception):
    """What a registry pins can't be known; the message says why and what to do."""


@dataclass(frozen=True)
class Pin:
    """An image as pillar pins it."""

    service: str
    image: str
    tag: str
    digest: str

    def __str__(self) -> str:
        return f"{self.image}:{self.tag}@{self.digest}"


def read_pins(text: str) -> list[Pin]:
    """The pins in the text of a pillar file.

    Raises:
        Unknown: a service has no image, tag or digest there.
    """
    pins = []
    for service in SERVICES:
        block = _block(text, service)
        found = {
            key: match[1]
            for key in ("image", "tag", "digest")
            if (match := _line(key).search(block)) is not None
        }
        lacking = {"image", "tag", "digest"} - found.keys()
        if lacking:
            raise Unknown(f"{service} has no {' and no '.join(sorted(lacking))} in the pillar file")
        pins.append(Pin(service, found["image"], found["tag"], found["digest"]))
    return pins


def write_pins(text: str, pins: list[Pin]) -> str:
    """``text`` with ``pins`` in it; comments and everything else stay as they are."""
    for pin in pins:
        block = _block(text, pin.service)
        changed = _with(_with(block, "tag", pin.tag), "digest", pin.digest)
        text = text.replace(block, changed, 1)
    return text


def _block(text: str, service: str) -> str:
    match = re.search(rf"^{service}:\n(?:(?: .*)?\n)*", text, re.MULTILINE)
    if match is None:
        raise Unknown(f"{service} is not in the pillar file")
    return match[0]


def _with(block: str, key: str, value: str) -> str:
    match = _line(key).search(block)
    return block if match is None else block[: match.start(1)] + value + block[match.end(1) :]


def _line(key: str) -> re.Pattern[str]:
    return re.compile(rf"""^  {key}: ["']?([^"'\s#]+)["']?""", re.MULTILINE)


def newest(tag: str, tags: list[str]) -> str:
    """The highest plain version in ``tags`` of the major version (and as precise) as ``tag``; ``tag`` if none."""
    wanted = re.fullmatch(r"([0-9]+)((?:\.[0-9]+)*)(.*)", tag)
    if wanted is None:
        return tag
    depth = wanted[2].count(".")
    pattern = re.compile(rf"{wanted[1]}(?:\.[0-9]+){{{depth}}}{re.escape(wanted[3])}")
    suffix = len(wanted[3])

    def order(candidate: str) -> list[int]:
        return [int(part) for part in candidate[: len(candidate) - suffix].split(".")]

    return max((candidate for candidate in [tag, *tags] if pattern.fullmatch(candidate)), key=order)


class Registry:
    """One repository of a registry, by the distribution API v2, with anonymous token authentication where asked."""

    def __init__(self, image: str) -> None:
        host, _, rest = image.partition("/")
        if rest and ("." in host or ":" in host or host == "localhost"):
            self.host, self.repository = host, rest
        else:
            self.host, self.repository = "registry-1.docker.io", image if rest else f"library/{image}"
        local = self.host.partition(":")[0] in ("localhost", "127.0.0.1")
        self.base = f"{'http' if local else 'https'}://{self.host}/v2/{self.repository}"
        self._token = ""

    def tags(self) -> list[str]:
        """Every tag there is."""
        found: list[str] = []
        url: str | None = f"{self.base}/tags/list?n=1000"
        while url:
            body, headers = self._ask(url)
            found += json.loads(body).get("tags") or []
            following = re.search(r'<([^>]+)>;\s*rel="?next', headers.get("Link", ""))
            url = urllib.parse.urljoin(url, following[1]) if following else None
        return found

    def digest(self, tag: str) -> str:
        """The digest of the index (or single manifest) that ``tag`` names."""
        _, headers = self._ask(f"{self.base}/manifests/{tag}", "HEAD")
        digest = headers.get("Docker-Content-Digest", "")
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            raise Unknown(f"{self.host} gives no digest for {self.repository}:{tag}")
        return digest

    def _ask(self, url: str, method: str = "GET") -> tuple[bytes, dict[str, str]]:
        for attempt in (1, 2):
            headers = {"Accept": _INDEXES if "/manifests/" in url else "application/json"}
            if self._token:
                headers["Authorization"] = f"Bearer {self._token}"
            request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 - http(s) only
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:  # noqa: S310
                    return answer.read(), {key.title(): value for key, value in answer.headers.items()}
            except urllib.error.HTTPError as error:
                if error.code == 401 and attempt == 1:
                    self._token = self._authorise(error.headers.get("WWW-Authenticate", ""))
                    continue
                raise Unknown(
                    f"{self.host} answered {error.code} for {self.repository}: is pillar's image name right, and is it"
                    " readable without a login?"
                ) from error
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", error)
                raise Unknown(
                    f"{self.host} can't be reached ({reason}): run this where the registry can be reached, or set"
                    " tag and digest by hand"
                ) from error
        raise AssertionError("unreachable")

    def _authorise(self, challenge: str) -> str:
        parts = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        if not challenge.lower().startswith("bearer ") or "realm" not in parts:
            raise Unknown(f"{self.host} wants a login for {self.repository}")
        query = {key: parts[key] for key in ("service", "scope") if key in parts}
        query.setdefault("scope", f"repository:{self.repository}:pull")
        body, _ = self._ask(f"{parts['realm']}?{urllib.parse.urlencode(query)}")
        answer = json.loads(body)
        return str(answer.get("token") or answer.get("access_token") or "")


def refreshed(pin: Pin, registry: Callable[[str], Registry] = Registry) -> Pin:
    """``pin`` as its registry would have it now."""
    source = registry(pin.image)
    tag = newest(pin.tag, source.tags())
    return Pin(pin.service, pin.image, tag, source.digest(tag))


def main(arguments: list[str]) -> int:
    """Show (and with --write write) what is newer; 1 where that can't be known."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write what is newer into the pillar file")
    parser.add_argument("--pillar", type=Path, default=PILLAR, help="the pillar file (pillar/base/init.sls)")
    options = parser.parse_args(arguments)
    failed = False
    changed: list[Pin] = []
    try:
        text = options.pillar.read_text()
        pins = read_pins(text)
    except (OSError, Unknown) as error:
        print(f"pins: {error}", file=sys.stderr)
        return 1
    for pin in pins:
        try:
            new = refreshed(pin)
        except Unknown as error:
            print(f"pins: {pin.service}: {error}", file=sys.stderr)
            failed = True
            continue
        if new == pin:
            print(f"{pin.service}: {pin} is the newest")
            continue
        changed.append(new)
        print(f"{pin.service}:\n  - {pin}\n  + {new}")
        if new.tag == pin.tag:
            print("  the tag was built anew: same version, newer packages")
    if changed and options.write:
        options.pillar.write_text(write_pins(text, changed))
        print(f"written to {options.pillar}; state.apply shows the pending restart")
    elif changed:
        print("nothing written: add --write")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
