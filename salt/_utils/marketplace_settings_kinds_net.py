"""The kinds of values that name places: networks, hosts, images, URLs."""

import ipaddress
import re
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from marketplace_settings_fields import Kind, Wrong, looks_secret, shown
from marketplace_settings_kinds import read_list, read_text, whole

_DOMAIN = re.compile(
    r"(?=.{1,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
_HOST = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*(?::[0-9]{1,5})?"
)
# ipaddress calls more than these private: loopback, link-local, networks of documentation.
_PRIVATE = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_REPOSITORY_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
# As much of the rules as a pattern can say.
_PARTS = f"{_REPOSITORY_PART.pattern}(?:/{_REPOSITORY_PART.pattern})*"
_NAMED, _UNNAMED = rf"^(?=[^/]*[.:]|localhost/){_HOST.pattern}/{_PARTS}$", f"^{_PARTS}$"
_SUBNET = r"^(?:10|172\.(?:1[6-9]|2[0-9]|3[01])|192\.168)\.[0-9.]+/[0-9.]+$"
# Python's urlsplit passes over control characters; nobody who is asked at that address does.
_UNPRINTABLE = re.compile(r"[\s\x00-\x20\x7f]")
_URL = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s?#]*[^\s?#/]$"


@dataclass(frozen=True)
class Subnet(Kind):
    """A private IPv4 network that has room for ``longest`` bits of prefix at most."""

    shortest: int = 8
    longest: int = 27

    def read(self, raw: Any) -> str:
        text = read_text(raw)
        try:
            network = ipaddress.IPv4Network(text)
        except ValueError:
            raise Wrong(f"is {shown(raw)}, not an IPv4 network in CIDR form without host bits") from None
        if not any(network.subnet_of(block) for block in _PRIVATE):
            raise Wrong(
                f"is {network}, which is not in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16 (RFC 1918)"
            )
        if not self.shortest <= network.prefixlen <= self.longest:
            raise Wrong(
                f"has a prefix of {network.prefixlen}, and /{self.shortest} to /{self.longest} are allowed"
            )
        return str(network)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": _SUBNET}


@dataclass(frozen=True)
class Networks(Kind):
    """A list of IPv4 or IPv6 networks, none of them empty."""

    def read(self, raw: Any) -> list[str]:
        items = read_list(raw)
        networks: list[str] = []
        for item in items:
            try:
                network = str(ipaddress.ip_network(read_text(item)))
            except ValueError:
                raise Wrong(
                    f"has {shown(item)}, which is not a network in CIDR form without host bits"
                ) from None
            if network in networks:
                raise Wrong(f"has {network} twice")
            networks.append(network)
        return networks

    def schema(self) -> dict[str, Any]:
        network = {"type": "string", "pattern": r"^[0-9A-Fa-f:.]+(?:/[0-9.]+)?$"}
        return {"type": "array", "minItems": 1, "uniqueItems": True, "items": network}


@dataclass(frozen=True)
class Domain(Kind):
    def read(self, raw: Any) -> str:
        text = read_text(raw)
        if not _DOMAIN.fullmatch(text):
            raise Wrong(
                f"is {shown(raw)}, not a fully qualified domain name in lower case, without scheme or path"
            )
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": whole(_DOMAIN.pattern)}


@dataclass(frozen=True)
class Host(Kind):
    """A host's full name or its IPv4 address, or nothing."""

    def read(self, raw: Any) -> str:
        text = read_text(raw)
        if text and not _DOMAIN.fullmatch(text) and not _is_address(text):
            raise Wrong(
                f"is {shown(raw)}, not a host's full name in lower case nor an IPv4 address (no scheme, no port)"
            )
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": whole(_DOMAIN.pattern) + r"|^[0-9.]+$|^$"}


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


@dataclass(frozen=True)
class RegistryServer(Kind):
    """Host and optional port of an image registry, or nothing."""

    def read(self, raw: Any) -> str:
        text = read_text(raw)
        if text and not _HOST.fullmatch(text):
            raise Wrong(f"is {shown(raw)}, not a host with an optional port (no https://, no path)")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": whole(_HOST.pattern) + "|^$"}


def registry_of(repository: str) -> str:
    """The registry host of ``repository``; docker.io where it names none."""
    first, _, rest = repository.partition("/")
    return first if rest and ("." in first or ":" in first or first == "localhost") else "docker.io"


@dataclass(frozen=True)
class Repository(Kind):
    """An image's repository, without tag and digest."""

    registry_needed: bool = False

    def read(self, raw: Any) -> str:
        text = read_text(raw)
        if "@" in text:
            raise Wrong("has a digest: give only the repository here")
        host, _, rest = text.partition("/")
        if ":" in (rest or host):
            raise Wrong("has a tag: give only the repository here")
        named = registry_of(text) == host
        parts = (rest if named else text).split("/")
        if (named and not _HOST.fullmatch(host)) or not all(map(_REPOSITORY_PART.fullmatch, parts)):
            raise Wrong(f"is {shown(raw)}, not an image repository (lower case, no scheme)")
        if self.registry_needed and not named:
            raise Wrong(f"is {shown(raw)}, which names no registry")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": _NAMED if self.registry_needed else f"{_NAMED}|{_UNNAMED}"}


@dataclass(frozen=True)
class Url(Kind):
    """An http or https URL without credentials, query, fragment and final slash."""

    optional: bool = False

    def read(self, raw: Any) -> str:
        text = read_text(raw)
        if text == "" and self.optional:
            return text
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise Wrong("is not a URL") from None
        if (
            parts.scheme not in ("http", "https")
            or not parts.hostname
            or port == 0
            or _UNPRINTABLE.search(text)
        ):
            raise Wrong("is not an http or https URL")
        if parts.username is not None or parts.query or parts.fragment or looks_secret(parts.path):
            raise Wrong(
                "has credentials, a token, a query or a fragment in it, and only the address belongs here"
            )
        if text.endswith("/"):
            raise Wrong("ends in a slash")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": _URL + ("|^$" if self.optional else "")}


AUTHORITIES = {
    "local": "",
    "letsencrypt": "https://acme-v02.api.letsencrypt.org/directory",
    "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
}


@dataclass(frozen=True)
class Authority(Kind):
    """Who signs the edge's certificate: one of AUTHORITIES, or the https URL of an ACME directory."""

    def read(self, raw: Any) -> str:
        text = read_text(raw)
        if text in AUTHORITIES:
            return text
        try:
            url = Url(self.example, self.text).read(text)
        except Wrong:
            url = ""
        if not url.startswith("https://"):
            raise Wrong(f"is {shown(raw)}, not one of {', '.join(AUTHORITIES)}, nor an https URL")
        return url

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [{"enum": list(AUTHORITIES)}, {"type": "string", "pattern": _URL.replace("?://", "://")}]
        }


@dataclass(frozen=True)
class Pem(Kind):
    """One certificate in PEM form, or nothing; normalised to its lines."""

    def read(self, raw: Any) -> str:
        text = "".join(f"{line.strip()}\n" for line in read_text(raw).splitlines() if line.strip())
        if not text:
            return ""
        try:
            der = ssl.PEM_cert_to_DER_cert(text)
        except ValueError:
            raise Wrong(
                "is no certificate in PEM form (-----BEGIN CERTIFICATE----- and the lines that follow)"
            ) from None
        if text.count("-----BEGIN ") != 1 or not der.startswith(b"\x30"):
            raise Wrong("is not one certificate")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^\s*$|-----BEGIN CERTIFICATE-----"}


SYSTEM = "system"


@dataclass(frozen=True)
class Authorities(Kind):
    """Certificates in PEM form by which a server is known, or SYSTEM for those that the system trusts, or nothing."""

    def read(self, raw: Any) -> str:
        text = read_text(raw).strip()
        if text in ("", SYSTEM):
            return text
        end = "-----END CERTIFICATE-----"
        parts = [part for part in text.split(end) if part.strip()]
        one = Pem(self.example, self.text)
        try:
            return "".join(one.read(f"{part}{end}\n") for part in parts)
        except Wrong:
            raise Wrong(
                f"is neither {SYSTEM} nor certificates in PEM form"
                " (-----BEGIN CERTIFICATE----- and the lines that follow)"
            ) from None

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": rf"^\s*(?:{SYSTEM})?\s*$|-----BEGIN CERTIFICATE-----"}
