"""How a settings section is declared and read.

A section is a frozen dataclass whose fields are made by ``setting``, ``section`` or ``derived``. The declaration is
all there is: the parser, the documentation and the origin report walk the same classes, so they can't disagree.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any

_TOKEN_RUN = re.compile(r"[A-Za-z0-9+/=_~-]{16,}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,40}")
_BOT_TOKEN = re.compile(r"[0-9]{3,}:[A-Za-z0-9_-]{8,}")


class Invalid:
    """The type of INVALID, which stands in for a value that had a problem."""

    def __repr__(self) -> str:
        return "INVALID"


INVALID = Invalid()
REQUIRED = object()
MISSING = "is missing"


class Wrong(ValueError):
    """A value isn't what its setting needs; the message continues "<path> ...", and never repeats the value."""


@dataclass(frozen=True)
class Problem:
    """One mistake in the pillar: where, what is wrong, what would be right."""

    path: str
    wrong: str
    example: str

    def __str__(self) -> str:
        return f"{self.path} {self.wrong}{'' if self.wrong.endswith('?') else '.'} Try: {self.example}"


@dataclass(frozen=True)
class Kind:
    """What values a setting takes. Subclasses override ``read`` and ``schema``.

    Args:
        example: how a right value is written in pillar.
        text: what values are right, for people (documentation).
    """

    example: str
    text: str

    def read(self, raw: Any) -> Any:
        """The normalised value of ``raw``.

        Raises:
            Wrong: ``raw`` isn't of this kind.
        """
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """What editors know of this kind, as JSON Schema: it takes all that ``read`` takes, and perhaps more."""
        raise NotImplementedError


@dataclass(frozen=True)
class Setting:
    kind: Kind
    doc: str
    default: Any


def setting(kind: Kind, doc: str, default: Any = REQUIRED) -> Any:
    """A field that pillar sets; ``default`` is written as in pillar and read by ``kind`` like any value."""
    return field(metadata={"setting": Setting(kind, doc, default)})


def section(cls: type, doc: str) -> Any:
    """A field that is a section of its own."""
    return field(metadata={"section": cls, "doc": doc})


def derived(doc: str) -> Any:
    """A field that the parser computes; pillar can't set it."""
    return field(metadata={"derived": doc})


def settable(cls: type) -> Iterator[Field[Any]]:
    """The fields of section ``cls`` that pillar may set."""
    return (item for item in fields(cls) if "derived" not in item.metadata)


def walk(cls: type, prefix: str = "") -> Iterator[tuple[str, Setting]]:
    """Every setting below section ``cls``, with its pillar path."""
    for item in settable(cls):
        path = f"{prefix}{item.name}"
        if "section" in item.metadata:
            yield from walk(item.metadata["section"], f"{path}.")
        else:
            yield path, item.metadata["setting"]


def looks_secret(text: str) -> bool:
    """Whether ``text`` may be a password or token, so that it mustn't be repeated anywhere."""
    text = _DIGEST.sub("", text)
    if _BOT_TOKEN.search(text):
        return True
    for run in _TOKEN_RUN.findall(text):
        digits, lower, upper = (re.search(kind, run) is not None for kind in ("[0-9]", "[a-z]", "[A-Z]"))
        if digits + lower + upper > 1:
            return True
    return False


def shown(value: Any) -> str:
    """``value`` for an error message: short plain values as they are, anything else only by its shape."""
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, str):
        if len(value) <= 60 and value.isprintable() and not looks_secret(value):
            return f"'{value}'"
        return f"a text of {len(value)} characters (not shown)"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return f"a {type(value).__name__}"


def public(value: Any) -> Any:
    """``value`` of a setting as anybody may see it: texts in it that may be a password or token are left out."""
    if isinstance(value, str):
        return "(not shown)" if looks_secret(value) else value
    if isinstance(value, Mapping):
        return {key: public(item) for key, item in value.items()}
    return [public(item) for item in value] if isinstance(value, list | tuple) else value


def value_at(settings: Any, path: str, otherwise: Any = None) -> Any:
    """What plain settings say at a dotted path, all of them at an empty one; ``otherwise`` where they say nothing."""
    for part in path.split(".") if path else ():
        if not isinstance(settings, Mapping) or part not in settings:
            return otherwise
        settings = settings[part]
    return settings


def shown_name(name: Any) -> str:
    """A pillar key for an error message; a key that may be a secret pasted in the wrong place isn't repeated."""
    text = str(name)
    return text if _PLAIN_NAME.fullmatch(text) and not looks_secret(text) else "(a name that is not shown)"


def read_section(cls: type, raw: Any, path: str, problems: list[Problem]) -> dict[str, Any]:
    """Read ``raw`` as section ``cls``; what is wrong goes to ``problems`` and leaves INVALID as value.

    Args:
        cls: the section's dataclass.
        raw: the pillar's value, None where pillar says nothing.
        path: pillar path of the section, "" for the whole pillar.
        problems: grows by one for each mistake.
    """
    prefix = f"{path}." if path else ""
    if raw is None:
        raw = {}
    if not isinstance(raw, Mapping):
        known = ", ".join(item.name for item in settable(cls))
        problems.append(Problem(path, f"is {shown(raw)}, not a mapping", f"a mapping with {known}"))
        return {item.name: INVALID for item in settable(cls)}
    _refuse_unknown(cls, raw, prefix, problems)
    values: dict[str, Any] = {}
    for item in settable(cls):
        name = item.name
        if "section" in item.metadata:
            values[name] = read_section(item.metadata["section"], raw.get(name), f"{prefix}{name}", problems)
        else:
            values[name] = _read_setting(item.metadata["setting"], raw, name, prefix, problems)
    return values


def _read_setting(
    declared: Setting, raw: Mapping[Any, Any], name: str, prefix: str, problems: list[Problem]
) -> Any:
    if name not in raw:
        if declared.default is REQUIRED:
            problems.append(Problem(f"{prefix}{name}", MISSING, declared.kind.example))
            return INVALID
        return declared.kind.read(declared.default)
    if raw[name] is None:
        problems.append(Problem(f"{prefix}{name}", "is empty", declared.kind.example))
        return INVALID
    try:
        return declared.kind.read(raw[name])
    except Wrong as wrong:
        problems.append(Problem(f"{prefix}{name}", str(wrong), declared.kind.example))
        return INVALID


def _refuse_unknown(cls: type, raw: Mapping[Any, Any], prefix: str, problems: list[Problem]) -> None:
    known = [item.name for item in settable(cls)]
    computed = {item.name for item in fields(cls) if "derived" in item.metadata}
    for name in raw:
        if name in known:
            continue
        if name in computed:
            problems.append(Problem(f"{prefix}{name}", "is computed and can't be set", "remove it"))
            continue
        close = difflib.get_close_matches(str(name), known, n=1)
        wrong = f"is not a known setting{f'; did you mean {close[0]}?' if close else ''}"
        hint = f"{prefix}{close[0]}" if close else f"one of {', '.join(known)}"
        problems.append(Problem(f"{prefix}{shown_name(name)}", wrong, hint))
