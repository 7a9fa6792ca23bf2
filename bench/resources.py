"""Our tree's states as resources that other tools have as well, and written in their languages. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

# Functions of ours that say by their name whether a unit is started at boot.
_AT_BOOT = {"enabled": True, "disabled": False}


@dataclass(frozen=True)
class Found:
    """What is at a path on the droplet: ``file``, ``directory`` or ``link`` (then with its target)."""

    kind: str
    mode: str
    user: str
    group: str
    target: str = ""


@dataclass(frozen=True)
class Resource:
    """One state: what kind of resource it is elsewhere, the state's id, and what the kind needs.

    Kinds: ``file``, ``directory``, ``link``, ``absent`` (path), ``packages``, ``no_packages`` (names), ``service``
    (unit; running, enabled, masked or left alone), and ``other``: what nobody else has a module for.
    """

    kind: str
    title: str
    name: str
    found: Found | None = None
    packages: tuple[str, ...] = ()
    running: bool | None = None
    enabled: bool | None = None
    masked: bool | None = None


def paths(low: Iterable[Mapping[str, Any]]) -> list[str]:
    """Paths that states are about."""
    return sorted({str(chunk["name"]) for chunk in low if str(chunk.get("name", "")).startswith("/")})


def resources(low: Sequence[Mapping[str, Any]], there: Mapping[str, Found]) -> list[Resource]:
    """One resource for each state.

    Args:
        low: what ``state.show_lowstate`` answers.
        there: path -> what is there, on a converged droplet.
    """
    return [_resource(chunk, there) for chunk in low]


def _resource(chunk: Mapping[str, Any], there: Mapping[str, Found]) -> Resource:
    title, name = str(chunk["__id__"]), str(chunk.get("name", chunk["__id__"]))
    function = f"{chunk['state']}.{chunk['fun']}"
    if function == "apt_package.installed":
        return Resource("packages", title, name, packages=tuple(chunk.get("pkgs") or [name]))
    if function == "apt_package.removed":
        return Resource("no_packages", title, name, packages=tuple(chunk.get("pkgs") or [name]))
    if chunk["state"] == "systemd_service":
        return Resource(
            "service", title, name,
            running=True if chunk["fun"] == "running" else None,
            enabled=_AT_BOOT.get(chunk["fun"], chunk.get("enable") or None),
            masked=True if chunk["fun"] == "masked" else None,
        )  # fmt: skip
    if function == "file.absent":
        return Resource("absent", title, name)
    found = there.get(name)
    return Resource(found.kind, title, name, found) if found else Resource("other", title, name)


def counts(found: Iterable[Resource]) -> dict[str, int]:
    """How many of each kind."""
    return dict(Counter(one.kind for one in found).most_common())


def playbook(found: Iterable[Resource], files: Mapping[str, str]) -> str:
    """For Ansible: a task each.

    Args:
        found: the resources.
        files: path on the droplet -> where its content is on the controller.
    """
    tasks = [{"name": one.title, **_task(one, files)} for one in found]
    return yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}], sort_keys=False)


def _task(one: Resource, files: Mapping[str, str]) -> dict[str, Any]:
    owned = _owned(one, "owner", "0")
    match one.kind:
        case "file":
            return {"ansible.builtin.copy": {"src": files[one.name], "dest": one.name, **owned}}
        case "directory":
            return {"ansible.builtin.file": {"path": one.name, "state": "directory", **owned}}
        case "link":
            target = one.found.target if one.found else ""
            return {"ansible.builtin.file": {"path": one.name, "state": "link", "src": target}}
        case "absent":
            return {"ansible.builtin.file": {"path": one.name, "state": "absent"}}
        case "packages":
            return {"ansible.builtin.apt": {"name": list(one.packages), "state": "present"}}
        case "no_packages":
            return {"ansible.builtin.apt": {"name": list(one.packages), "state": "absent"}}
        case "service":
            wanted: dict[str, Any] = {"name": one.name}
            if one.running:
                wanted["state"] = "started"
            if one.enabled is not None:
                wanted["enabled"] = one.enabled
            if one.masked:
                wanted["masked"] = True
            return {"ansible.builtin.systemd_service": wanted}
    return {"ansible.builtin.command": {"cmd": "true"}, "changed_when": False}


def _owned(one: Resource, owner: str, octal: str = "") -> dict[str, str]:
    """Whose a path is, as far as it is known, with a tool's word for the ``owner`` and its prefix for modes."""
    if one.found is None:
        return {}
    told = {owner: one.found.user, "group": one.found.group, "mode": octal + one.found.mode}
    return {key: value for key, value in told.items() if value}


def deploy(found: Iterable[Resource], files: Mapping[str, str]) -> str:
    """For pyinfra: an operation each. Arguments as in :func:`playbook`."""
    lines = ["from pyinfra.operations import apt, files, server, systemd", ""]
    return "\n".join([*lines, *(_operation(one, files) for one in found)]) + "\n"


def _operation(one: Resource, files: Mapping[str, str]) -> str:
    owned = "".join(f", {key}={value!r}" for key, value in _owned(one, "user").items())
    title = f"name={one.title!r}, "
    match one.kind:
        case "file":
            return f"files.put({title}src={files[one.name]!r}, dest={one.name!r}{owned})"
        case "directory":
            return f"files.directory({title}path={one.name!r}{owned})"
        case "link":
            target = one.found.target if one.found else ""
            return f"files.link({title}path={one.name!r}, target={target!r})"
        case "absent":
            return f"files.file({title}path={one.name!r}, present=False)"
        case "packages" | "no_packages":
            present = one.kind == "packages"
            return f"apt.packages({title}packages={list(one.packages)!r}, present={present})"
        case "service":
            # Nothing of it masks: what is masked is left as it is, which costs as much to look at.
            return (
                f"systemd.service({title}service={one.name!r}, running={one.running}, enabled={one.enabled})"
            )
    return f"server.shell({title}commands=['true'])"
