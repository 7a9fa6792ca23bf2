"""An authority of this host's own for traffic between its services: made, renewed and replaced without anybody's help.

Keys are made by openssl here and leave the host in no way: no result, change or log ever holds one.
"""

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from marketplace_certificate import changing
from marketplace_durable import make_directory, read_json, to_json, write_atomic
from marketplace_paths import Paths
from marketplace_renewals import note
from marketplace_service_authority import (
    Issued,
    authority_request,
    certificate_request,
    certificates,
    describe,
    lifetime,
    reason_to_issue,
    steps,
)
from marketplace_trust import trust
from salt.utils.path import which

# What an index knows: who signs, who will, and who did.
_PLACES = ("current", "successor", "previous")
_WORDS = {
    "create": "a first authority",
    "prepare": "a successor, trusted from now on",
    "promote": "the successor signs",
    "forget": "the previous one is trusted no more",
}


class _Failure(Exception):
    pass


def present(name: str) -> dict[str, Any]:
    """Ensure there is an authority that can sign, and a successor in time before it ends.

    The successor signs once the live release was started with the successor among those it trusts.

    Args:
        name: directory for everything that has a key, 0700.
    """
    ret = _ret(name, "The authority is in order")
    try:
        todo = _todo(Path(name))
        if not todo:
            return ret
        changes = {step: {"old": None, "new": _WORDS[step]} for step in todo}
        if __opts__["test"]:
            return ret | {"result": None, "changes": changes, "comment": "The authority would be seen to"}
        for step in todo:
            _take(Path(name), step)
        remaining = _todo(Path(name))
    except (_Failure, ValueError, OSError) as error:
        return ret | {"result": False, "comment": str(error)}
    if remaining:
        return ret | {"result": False, "changes": changes, "comment": f"Still to do: {', '.join(remaining)}"}
    return ret | {"changes": changes, "comment": "The authority was seen to"}


def trusted(name: str, directory: str) -> dict[str, Any]:
    """Ensure there is a file with every authority that may be trusted, for all who are clients.

    Args:
        name: the file, 0644.
        directory: the authorities' directory.
    """
    ret = _ret(name, "The trusted authorities are in their file")
    try:
        wanted = _bundle(Path(directory))
        coming = __opts__["test"] and {"create", "prepare", "forget"} & set(_todo(Path(directory)))
        file = Path(name)
        if not coming and file.exists() and file.read_text() == wanted:
            return ret
        count = len(certificates(wanted))
        changes = {"authorities": {"old": "other ones" if file.exists() else None, "new": "those of today"}}
        if __opts__["test"]:
            return ret | {"result": None, "changes": changes, "comment": "The file would be written"}
        if not count:
            raise _Failure(f"There is no authority in {directory}: require the state that makes it")
        make_directory(file.parent)
        write_atomic(file, wanted)
    except (_Failure, ValueError, OSError) as error:
        return ret | {"result": False, "comment": str(error)}
    return ret | {"changes": changes, "comment": f"{count} trusted authorities were written"}


def certified(name: str, directory: str, dns_names: list[str], addresses: list[str]) -> dict[str, Any]:
    """Ensure a service has a key and a certificate, signed by the authority; renewed when a third of its life is left.

    Args:
        name: file with both, 0600; deliver it to the service.
        directory: the authorities' directory.
        dns_names: DNS names it is for.
        addresses: IP addresses it is for.
    """
    ret = _ret(name, "The certificate is in order")
    try:
        reason = _reason(Path(name), Path(directory), dns_names, addresses)
        if reason is None:
            return ret
        changes = {changing(reason): {"old": reason, "new": f"for {', '.join([*dns_names, *addresses])}"}}
        if __opts__["test"]:
            return ret | {"result": None, "changes": changes, "comment": "The certificate would be issued"}
        _issue(Path(name), Path(directory), dns_names, addresses)
        issued = _read(Path(name), signs=True)
        if issued is not None:
            note(_paths().renewals, dns_names[0], issued)
        remaining = _reason(Path(name), Path(directory), dns_names, addresses)
    except (_Failure, ValueError, OSError) as error:
        return ret | {"result": False, "comment": str(error)}
    if remaining:
        return ret | {"result": False, "changes": changes, "comment": f"The new one is wrong: {remaining}"}
    return ret | {"changes": changes, "comment": "The certificate was issued"}


def _ret(name: str, comment: str) -> dict[str, Any]:
    return {"name": name, "changes": {}, "result": True, "comment": comment}


def _paths() -> Paths:
    return Paths(Path(__opts__.get("marketplace_root", "/")))


def _index(directory: Path) -> dict[str, str | None]:
    found = read_json(directory / "authorities.json") or {}
    return {place: found.get(place) for place in _PLACES}


def _write_index(directory: Path, index: dict[str, str | None]) -> None:
    write_atomic(directory / "authorities.json", to_json(index), 0o600)


def _authority(directory: Path, identity: str | None) -> Path:
    return directory / f"authority-{identity}.pem"


def _known(directory: Path, place: str, signs: bool = False) -> Issued | None:
    identity = _index(directory)[place]
    return _read(_authority(directory, identity), signs) if identity else None


def _todo(directory: Path) -> list[str]:
    index = _index(directory)
    if not which("openssl"):
        return ["create"]
    file = _authority(directory, index["successor"])
    known = certificates(file.read_text()) if index["successor"] and file.exists() else []
    successor = known[0] if known else None
    return steps(
        _known(directory, "current"),
        _known(directory, "successor", signs=True),
        _known(directory, "previous"),
        trust(_paths(), successor),
        datetime.now(UTC),
        signs=_known(directory, "current", signs=True) is not None,
    )


def _take(directory: Path, step: str) -> None:
    """One step; the index is written last, so that a run that is killed leaves a file that nobody refers to."""
    index = _index(directory)
    if step in ("create", "prepare"):
        make_directory(directory, 0o700)
        directory.chmod(0o700)
        identity = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        while _authority(directory, identity).exists():
            identity += "a"
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            key, certificate = f"{scratch}/key", f"{scratch}/certificate"
            _openssl(authority_request(identity, key, certificate))
            content = Path(certificate).read_text() + Path(key).read_text()
        write_atomic(_authority(directory, identity), content, 0o600)
        _write_index(directory, index | {"current" if step == "create" else "successor": identity})
    elif step == "promote":
        old = index["current"]
        _write_index(directory, {"current": index["successor"], "successor": None, "previous": old})
        if old and _authority(directory, old).exists():
            # It never signs again: its key is of no use but to a thief.
            kept = certificates(_authority(directory, old).read_text())
            write_atomic(_authority(directory, old), "".join(kept), 0o600)
    else:
        _write_index(directory, index | {"previous": None})
        _authority(directory, index["previous"]).unlink(missing_ok=True)


def _bundle(directory: Path) -> str:
    """Every authority that may be trusted, the oldest first: whoever signs, the text is the same."""
    files = [_authority(directory, identity) for identity in sorted(filter(None, _index(directory).values()))]
    return "".join(first for file in files if file.exists() for first in certificates(file.read_text())[:1])


def _reason(name: Path, directory: Path, names: list[str], addresses: list[str]) -> str | None:
    todo = _todo(directory) if __opts__["test"] else []
    signer = None if {"create", "promote"} & set(todo) else _known(directory, "current")
    return reason_to_issue(_read(name, signs=True), signer, names, addresses, datetime.now(UTC))


def _issue(name: Path, directory: Path, names: list[str], addresses: list[str]) -> None:
    authority = _authority(directory, _index(directory)["current"])
    signer = _read(authority, signs=True)
    if signer is None:
        raise _Failure(f"There is no authority in {directory} that can sign: require the state that makes it")
    with tempfile.TemporaryDirectory(dir=directory) as scratch:
        files = {"key": f"{scratch}/key", "certificate": f"{scratch}/certificate"}
        days = lifetime(signer, datetime.now(UTC))
        _openssl(certificate_request(str(authority), names, addresses, days, files))
        write_atomic(name, Path(files["certificate"]).read_text() + Path(files["key"]).read_text(), 0o600)


def _read(file: Path, signs: bool) -> Issued | None:
    """What the certificate in ``file`` says; None where there is none, or where its key is asked for and not there."""
    if not file.exists() or not which("openssl"):
        return None
    shown = _ask(describe(str(file)), file)
    if shown is None:
        return None
    if signs:
        ours = _ask(["openssl", "pkey", "-in", str(file), "-pubout"], file)
        if not ours or ours.strip() not in shown:
            return None
    return Issued.parse(shown)


def _ask(command: list[str], file: Path) -> str | None:
    """What openssl says of ``file``; asked once a run, as long as the file is the same.

    Raises:
        OSError: there is no such file.
    """
    there = file.stat()
    asked = f"service_authority {' '.join(command)} {there.st_ino} {there.st_mtime_ns} {there.st_size}"
    if asked not in __context__:
        result = __salt__["cmd.run_all"](
            command, python_shell=False, ignore_retcode=True, output_loglevel="quiet"
        )
        __context__[asked] = None if result["retcode"] else str(result["stdout"])
    said: str | None = __context__[asked]
    return said


def _openssl(command: list[str]) -> None:
    result = __salt__["cmd.run_all"](command, python_shell=False, output_loglevel="quiet")
    if result["retcode"]:
        raise _Failure(f"openssl failed: {result['stderr']}")
