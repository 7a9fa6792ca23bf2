"""A certificate authority of a site, and certificates that it signs; made by openssl, on the fly."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from pathlib import Path

from .errors import DropletError

DAYS = "30"


@dataclasses.dataclass(frozen=True)
class Authority:
    """A test certificate authority kept in ``directory`` (``ca.pem``, ``ca.key``)."""

    directory: Path

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate, PEM."""
        return (self.directory / "ca.pem").read_bytes()

    @property
    def fingerprint(self) -> str:
        """A short name of this very authority."""
        return hashlib.sha256(self.certificate).hexdigest()[:16]

    @classmethod
    def at(cls, directory: Path, name: str) -> Authority:
        """The authority in ``directory``, made when there is none; ``name`` is its common name."""
        authority = cls(directory)
        if not (directory / "ca.pem").exists():
            _openssl(
                "req", "-x509", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days", DAYS, "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-keyout", str(directory / "ca.key"), "-out", str(directory / "ca.pem"),
            )  # fmt: skip
        return authority

    def issue(self, name: str) -> tuple[bytes, bytes]:
        """A certificate for the host ``name`` (and 127.0.0.1). Returns (certificate, key), PEM."""
        key, request, signed, extensions = (
            self.directory / f"{name}.{end}" for end in ("key", "csr", "pem", "ext")
        )
        extensions.write_text(
            f"subjectAltName=DNS:{name},IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
        )
        _openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(request),
        )  # fmt: skip
        _openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.directory / "ca.pem"),
            "-CAkey", str(self.directory / "ca.key"), "-CAcreateserial", "-days", DAYS,
            "-extfile", str(extensions), "-out", str(signed),
        )  # fmt: skip
        return signed.read_bytes(), key.read_bytes()


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DropletError(f"openssl {arguments[0]} failed:\n{done.stderr[-1000:]}")
