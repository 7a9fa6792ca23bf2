"""Images of the local droplet, built from Debian packages and tagged by a hash of what went into them."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
from docker.errors import BuildError, ImageNotFound

from .errors import DropletError
from .paths import IMAGE, IMAGES, LABEL, PASSING, locked, state_dir

SUITE = "trixie"
ROOT = "debian"
PARENTS = dict.fromkeys(("droplet", "postgres", "redis", "python", "registry", "neighbour", "acme"), ROOT) | {
    "cloud": "droplet"
}
"""Image -> the image it is built on. Each has a directory under ``images/``."""

PREFIX = "marketplace-droplet"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CERTIFICATES = Path("/usr/local/share/ca-certificates")
# The head of an ELF program: 64 bits, little-endian, executable, for AArch64, without a segment to load.
ARM64_PROGRAM = struct.pack(
    "<4sBBBB8xHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 2, 183, 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0
)


def build(client: docker.DockerClient, name: str, say: Callable[[str], None] = print) -> str:
    """The tag of image ``name``, built when no image with the same inputs is there.

    Args:
        client: host engine.
        name: ``debian`` or a key of :data:`PARENTS`.
        say: receives a line when something is really built.

    Raises:
        DropletError: the build failed; the message ends with its last lines.
    """
    with locked("images"):
        return _build(client, name, say)


def build_all(client: docker.DockerClient, names: Sequence[str], say: Callable[[str], None] = print) -> None:
    """Build several images side by side: they wait for downloads more than for the processor.

    Raises:
        DropletError: see :func:`build`.
    """
    with locked("images"), ThreadPoolExecutor(len(names)) as pool:
        _build(client, ROOT, say)
        list(pool.map(lambda name: _build(client, name, say), names))


def _build(client: docker.DockerClient, name: str, say: Callable[[str], None]) -> str:
    parent = _build(client, PARENTS[name], say) if name in PARENTS else ""
    tag = f"{PREFIX}/{name}:{_digest(IMAGES / name, parent)}"
    try:
        client.images.get(tag)
        return tag
    except ImageNotFound:
        pass
    say(f"building image {name}")
    if parent:
        with tempfile.TemporaryDirectory() as scratch:
            context = Path(scratch) / "context"
            shutil.copytree(IMAGES / name, context)
            (context / "trust").mkdir()
            for file, content in trust().items():
                (context / "trust" / file).write_bytes(content)
            build_directory(client, context, tag, {"BASE": parent})
    else:
        _build_root(client, tag)
    return tag


def build_app(
    client: docker.DockerClient, name: str, context: Path, say: Callable[[str], None], **arguments: str
) -> str:
    """The tag of an image built from ``context`` and its Dockerfile, on top of our python image (argument BASE).

    Args:
        client: host engine.
        name: of the image.
        context: directory with a Dockerfile.
        say: receives a line when something is really built.
        arguments: more build arguments.
    """
    with locked("images"):
        base = _build(client, "python", say)
        inputs = "\n".join([base, *(f"{key}={value}" for key, value in sorted(arguments.items()))])
        tag = f"{PREFIX}/{name}:{_digest(context, inputs)}"
        try:
            client.images.get(tag)
        except ImageNotFound:
            say(f"building image {name} {' '.join(arguments.values())}".rstrip())
            build_directory(client, context, tag, {"BASE": base, **arguments})
        return tag


def version(client: docker.DockerClient, tag: str, program: str) -> str:
    """The version that ``program`` in an image tells, as the official image's tag would say it (``17.6``)."""
    said = once(client, tag, [program, "--version"]).decode()
    found = re.search(r"\d+\.\d+(\.\d+)?", said)
    if found is None:
        raise DropletError(f"{program} in {tag} tells no version: {said!r}")
    return found.group()


def once(client: docker.DockerClient, tag: str, argv: list[str]) -> bytes:
    """What a command prints in a container of its own, of which nothing stays (the SDK's ``remove`` leaves volumes).

    Raises:
        DropletError: it failed.
    """
    container = client.containers.create(
        tag, argv, network_mode="none", labels={LABEL: PASSING}, entrypoint=[]
    )
    try:
        container.start()
        if container.wait()["StatusCode"]:
            raise DropletError(f"{argv[0]} fails in {tag}:\n{container.logs(tail=20).decode()}")
        return bytes(container.logs(stderr=False))
    finally:
        container.remove(force=True, v=True)


def build_directory(client: docker.DockerClient, context: Path, tag: str, arguments: dict[str, str]) -> None:
    """``docker build`` of a directory with a Dockerfile, without anything left behind when it fails.

    Raises:
        DropletError: with the last 30 lines of the build.
    """
    try:
        client.images.build(
            path=str(context), tag=tag, buildargs=arguments, labels={LABEL: IMAGE}, rm=True, forcerm=True
        )
    except BuildError as error:
        lines = "".join(part.get("stream", "") for part in error.build_log).splitlines()[-30:]
        raise DropletError(f"image {tag} does not build: {error.msg}\n" + "\n".join(lines)) from error


def foreign(client: docker.DockerClient, tag: str) -> str:
    """The tag of an image that declares just what image ``tag`` does, for 64-bit ARM: it does not start on a PC.

    It holds one file, a ``python3`` that no PC can execute, so it is pushed and pulled in no time.

    Args:
        client: host engine.
        tag: of an image here.
    """
    described = client.images.get(tag).attrs["Config"]
    layer = _archive({"usr/bin/python3": ARM64_PROGRAM})
    layer_digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = {
        "architecture": "arm64",
        "os": "linux",
        "config": described,
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        "history": [{"created_by": "one file"}],
    }
    body = json.dumps(config, sort_keys=True).encode()
    name = f"{hashlib.sha256(body).hexdigest()}.json"
    made = f"{tag}-arm64"
    index = [{"Config": name, "RepoTags": [made], "Layers": ["layer.tar"]}]
    client.images.load(
        _archive({name: body, "layer.tar": layer, "manifest.json": json.dumps(index).encode()})
    )
    return made


def variant(client: docker.DockerClient, tag: str, word: str, *lines: str) -> str:
    """The tag of an image that is image ``tag`` but for one label: another digest, as a minor version has.

    Args:
        client: host engine.
        tag: of an image here.
        word: what the label says, and the new tag ends with.
        lines: of its Dockerfile, for what else is different.
    """
    made = f"{tag}-{word}"
    with tempfile.TemporaryDirectory() as context:
        described = (f"FROM {tag}", f"LABEL {LABEL}.variant={word}", *lines, "")
        (Path(context) / "Dockerfile").write_text("\n".join(described))
        build_directory(client, Path(context), made, {})
    return made


def _archive(files: dict[str, bytes]) -> bytes:
    """A tar archive of executable files, the same bytes for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _build_root(client: docker.DockerClient, tag: str) -> None:
    """A minimal Debian root by mmdebstrap, imported as an image of one layer."""
    archive = state_dir() / f"{ROOT}.{os.getpid()}.tar"
    argv = [
        "mmdebstrap", "--variant=minbase", "--include=ca-certificates",
        "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        # Debian's own default mirror and archive keys, also where the host is an Ubuntu.
        SUITE, str(archive),
    ]  # fmt: skip
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DropletError("mmdebstrap failed; is the Debian mirror reachable?\n" + done.stderr[-2000:])
        with archive.open("rb") as stream:
            repository, _, version = tag.partition(":")
            client.api.import_image_from_data(
                stream, repository=repository, tag=version,
                changes=[f"LABEL {LABEL}={IMAGE}", f"ENV PATH={PATH}"],
            )  # fmt: skip
    finally:
        archive.unlink(missing_ok=True)


def _digest(directory: Path, parent: str) -> str:
    """A short hash over an image's directory, its parent's tag and what the host trusts."""
    digest = hashlib.sha256(f"{SUITE}\n{parent}\n".encode())
    for path in sorted(directory.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            mode = "x" if os.access(path, os.X_OK) else "-"
            digest.update(f"{path.relative_to(directory)} {mode}\n".encode() + path.read_bytes())
    if parent:
        for name, content in sorted(trust().items()):
            digest.update(name.encode() + content)
    return digest.hexdigest()[:12]


def trust() -> dict[str, bytes]:
    """What the host trusts beyond the defaults: its extra CAs, and pip's settings as a pip.conf for the image."""
    files = {path.name: path.read_bytes() for path in sorted(CERTIFICATES.glob("*.crt"))}
    files["pip.conf"] = pip_conf(_pip_settings()).encode()
    return files


def pip_conf(settings: dict[str, str]) -> str:
    """A pip.conf that uses the system's CA bundle and those of the host's settings that mean something elsewhere.

    Args:
        settings: option -> value, as ``pip config list`` names them without their section.
    """
    lines = ["[global]", "cert = /etc/ssl/certs/ca-certificates.crt", "disable-pip-version-check = true"]
    for option in ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "default-timeout"):
        value = " ".join(part for part in settings.get(option, "").split() if not part.startswith("file:"))
        if value:
            lines.append(f"{option.removeprefix('default-')} = {value}")
    return "\n".join(lines) + "\n"


def _pip_settings() -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    settings = {}
    for line in done.stdout.splitlines():
        name, found, value = line.partition("=")
        if found:
            settings[name.rpartition(".")[2]] = value.strip("'\"")
    return settings
