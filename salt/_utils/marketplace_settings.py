"""The one parser of the pillar: everything in the tree that needs a setting gets it from here, checked and typed."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from marketplace_durable import digest
from marketplace_managed import is_managed
from marketplace_settings_checks import View, check, managed_services
from marketplace_settings_derive import complete
from marketplace_settings_fields import INVALID, MISSING, Problem, read_section, shown, walk
from marketplace_settings_model import Settings
from marketplace_settings_secrets import NEEDED, Secrets, Sources, read_secrets, values_below

# Settings of the backend that decide how carefully a release is made, and not what runs.
HOW_CAREFULLY = frozenset(("keep_releases", "soak", "soak_errors", "hooks", "hook_timeout", "disk_reserve"))
# Nor do those that decide when, and which.
NOT_OF_A_RELEASE = HOW_CAREFULLY | {"version", "follow_pillar"}
# Pillar keys that are no settings: options of one run, given on the command line.
_YES = (bool, "true or false")
RUN_OPTIONS: dict[str, tuple[type, str, str]] = {
    "allow_restart": (*_YES, "pillar='{allow_restart: true}'"),
    "allow_older_tree": (*_YES, "pillar='{allow_older_tree: true}'"),
    "data_moved": (*_YES, "pillar='{data_moved: true}'"),
    "remove": (str, "the droplet's minion id", "pillar='{remove: staging}'"),
}


@dataclass(frozen=True)
class Outcome:
    """What came of a pillar: ``settings`` (None where there are problems), ``problems``, and secrets given in it."""

    settings: Settings | None
    problems: list[Problem]
    secrets: dict[str, str] = field(repr=False)


def environment_of(minion_id: str) -> str:
    """The environment of minion ``minion_id``: everything before its first dash."""
    return minion_id.partition("-")[0]


def parse(
    pillar: Mapping[str, Any], minion_id: str, environments: Iterable[str]
) -> tuple[Settings | None, list[Problem]]:
    """The settings in ``pillar``, or every problem it has; see ``examine``."""
    outcome = examine(pillar, minion_id, environments)
    return outcome.settings, outcome.problems


def examine(
    pillar: Mapping[str, Any], minion_id: str, environments: Iterable[str], sources: Sources | None = None
) -> Outcome:
    """Check ``pillar`` as a whole.

    Args:
        pillar: the merged pillar. Keys that start with an underscore are Salt's own and are left out.
        minion_id: decides the environment.
        environments: names of the environments there are.
        sources: how secrets outside the pillar are read; the real files and environment by default.
    """
    problems: list[Problem] = []
    environment = environment_of(minion_id)
    known = sorted(environments)
    if environment not in known:
        wrong = f"{shown(minion_id)} has environment {shown(environment)}; expected one of {', '.join(known)}"
        example = "production" if "production" in known or not known else known[0]
        problems.append(Problem("minion id", wrong, f"./bootstrap.sh {example}"))
    raw = {key: value for key, value in pillar.items() if not str(key).startswith("_")}
    secrets_raw = raw.pop("secrets", None)
    _run_options(raw, problems)
    values = read_section(Settings, raw, "", problems)
    view = View(values)
    secrets = read_secrets(secrets_raw, _unset(view), managed_services(view), sources or Sources(), problems)
    problems.extend(check(values))
    if environment not in known:
        # No environment's pillar was read, so what is missing may well stand there.
        problems = [problem for problem in problems if problem.wrong != MISSING]
    if problems:
        return Outcome(None, _scrubbed(problems, secrets_raw, secrets), {})
    return Outcome(_build(Settings, complete(values, environment, secrets.kinds)), [], secrets.values)


def _unset(view: View) -> set[str]:
    """The settings that secrets depend on and that have no value; one that is wrong is meant to have one."""
    return {path for path in NEEDED if view(path) is not INVALID and not view(path)}


def _run_options(raw: dict[str, Any], problems: list[Problem]) -> None:
    for name, (kind, words, example) in RUN_OPTIONS.items():
        value = raw.pop(name, kind())
        if not isinstance(value, kind):
            problems.append(Problem(name, f"is {shown(value)}, not {words}", example))


def _scrubbed(problems: list[Problem], secrets_raw: Any, secrets: Secrets) -> list[Problem]:
    """Whatever stands under ``secrets`` may stand in a wrong place as well: take it out of every message."""
    hidden = sorted({*values_below(secrets_raw), *secrets.values.values()}, key=len, reverse=True)
    hidden = [value for value in hidden if len(value) >= 6]

    def clean(text: str) -> str:
        for value in hidden:
            text = text.replace(value, "(not shown)")
        return text

    return [Problem(clean(problem.path), clean(problem.wrong), problem.example) for problem in problems]


def _build(cls: Any, values: dict[str, Any]) -> Any:
    """The dataclass ``cls`` of plain ``values``, sections and all."""
    made: dict[str, Any] = {}
    for item in dataclasses.fields(cls):
        value = values[item.name]
        kind = item.metadata.get("section") or (item.type if dataclasses.is_dataclass(item.type) else None)
        made[item.name] = _build(kind, value) if kind else value
    return cls(**made)


def to_dict(settings: Settings) -> dict[str, Any]:
    """``settings`` as plain data: pillar['settings'] and the content of settings.json."""
    return dataclasses.asdict(settings)


def release_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The part of ``settings`` that a running backend was started with, and its ``digest``.

    Args:
        settings: plain settings, as in settings.json.

    Two releases of the same image with the same digest here are the same release. What decides which version is
    shipped, when and how carefully (NOT_OF_A_RELEASE) is left out.
    """
    backend = {name: value for name, value in settings["backend"].items() if name not in NOT_OF_A_RELEASE}
    postgres, redis, network = settings["postgres"], settings["redis"], settings["network"]
    part = {
        "environment": settings["environment"],
        "backend": backend,
        "network": {"app": network["app"], "data": network["data"]},
        "postgres": {
            name: postgres[name] for name in ("address", "port", "tls", "database") if name in postgres
        }
        | {"roles": {name: postgres["roles"][name] for name in ("owner", "application")}},
        "redis": {name: redis[name] for name in ("address", "port", "tls") if name in redis}
        | {"users": {"application": redis["users"]["application"]}},
        # Said only of those that are: for all others a release is what it was.
        **{f"{name} at a provider": True for name in ("postgres", "redis") if is_managed(settings, name)},
        "telegram": {"api_url": settings["telegram"]["api_url"]},
        "edge": {"webhook_path": settings["edge"]["webhook_path"]},
    }
    return {**part, "digest": digest(part)}


def differences(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Dotted paths of the settings at which two plain settings differ, in order; lists count as one setting."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        found: list[str] = []
        for key in sorted({*ours, *theirs}):
            below = f"{path}.{key}" if path else str(key)
            if key in ours and key in theirs:
                found.extend(differences(ours[key], theirs[key], below))
            else:
                found.append(below)
        return found
    return [] if ours == theirs else [path]


def said(paths: list[str]) -> list[str]:
    """Those of ``paths`` that pillar says, without what only follows from them; all where none is of that kind."""
    spoken = tuple(path for path, _ in walk(Settings))
    kept = [path for path in paths if any(path == own or path.startswith(f"{own}.") for own in spoken)]
    return kept or paths
