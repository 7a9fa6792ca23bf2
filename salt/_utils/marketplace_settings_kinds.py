"""The kinds of values that settings take."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from marketplace_settings_fields import Kind, Wrong, shown, shown_name
from marketplace_units import DURATION, SIZE, format_size, parse_duration, parse_size

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_PROGRAM = r"(?:/[^/\0]+)+"
# A server's parameter, and what it is set to.
_PARAMETER, _PLAIN = r"[a-z][a-z0-9_]{1,62}", r"[A-Za-z0-9 ,._/-]{1,80}"
# A bot's token, or an address with a password in it.
_SECRET = re.compile(r"[0-9]{5,}:[A-Za-z0-9_-]{30,}|://[^/@\s]*:[^/@\s]+@")


def whole(pattern: str) -> str:
    """``pattern`` for a JSON Schema: there it would match anywhere in a text."""
    return f"^(?:{pattern})$"


def read_text(raw: Any) -> str:
    """``raw`` where it is a text; a number or boolean in its place was written without quotes.

    Raises:
        Wrong: it is none.
    """
    if isinstance(raw, str):
        return raw
    if isinstance(raw, bool | int | float):
        raise Wrong(
            f"is the {'boolean' if isinstance(raw, bool) else 'number'} {raw}, not a text: write it in quotes"
        )
    raise Wrong(f"is {shown(raw)}, not a text")


@dataclass(frozen=True)
class Size(Kind):
    """Bytes; written as a number with K, M, G or T."""

    minimum: int = 0
    maximum: int | None = None

    def read(self, raw: Any) -> int:
        try:
            size = parse_size(raw)
        except ValueError as error:
            raise Wrong(f"{error}; it is {shown(raw)}") from None
        if size < self.minimum:
            raise Wrong(f"is {format_size(size)}, and at least {format_size(self.minimum)} is needed")
        if self.maximum is not None and size > self.maximum:
            raise Wrong(f"is {format_size(size)}, and at most {format_size(self.maximum)} is allowed")
        return size

    def schema(self) -> dict[str, Any]:
        number = {"type": "integer", "minimum": self.minimum}
        if self.maximum is not None:
            number["maximum"] = self.maximum
        return {"anyOf": [number, {"type": "string", "pattern": whole(SIZE)}]}


@dataclass(frozen=True)
class Duration(Kind):
    """Seconds; written as a number, or with s, m, h or d."""

    minimum: int = 0
    maximum: int = 86400

    def read(self, raw: Any) -> int:
        try:
            seconds = parse_duration(raw)
        except ValueError as error:
            raise Wrong(f"{error}; it is {shown(raw)}") from None
        if not self.minimum <= seconds <= self.maximum:
            raise Wrong(f"is {seconds} seconds, and {self.minimum} to {self.maximum} are allowed")
        return seconds

    def schema(self) -> dict[str, Any]:
        number = {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}
        return {"anyOf": [number, {"type": "string", "pattern": whole(DURATION)}]}


@dataclass(frozen=True)
class Integer(Kind):
    minimum: int = 0
    maximum: int = 2**31

    def read(self, raw: Any) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise Wrong(f"is {shown(raw)}, not a whole number")
        if not self.minimum <= raw <= self.maximum:
            raise Wrong(f"is {raw}, and {self.minimum} to {self.maximum} are allowed")
        return raw

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True)
class Number(Kind):
    """A decimal number with at most two places."""

    minimum: float = 0.0
    maximum: float = 1e9

    def read(self, raw: Any) -> float:
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise Wrong(f"is {shown(raw)}, not a number")
        if not self.minimum <= raw <= self.maximum:
            raise Wrong(f"is {raw}, and {self.minimum} to {self.maximum} are allowed")
        return round(float(raw), 2)

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True)
class Boolean(Kind):
    def read(self, raw: Any) -> bool:
        if not isinstance(raw, bool):
            raise Wrong(f"is {shown(raw)}, not true or false")
        return raw

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Text(Kind):
    """A text that matches ``pattern``; ``what`` names it in errors."""

    pattern: str = r".+"
    what: str = "right"
    optional: bool = False
    refused: tuple[str, ...] = ()

    def read(self, raw: Any) -> str:
        text = read_text(raw)
        if text == "" and self.optional:
            return text
        if not re.fullmatch(self.pattern, text):
            raise Wrong(f"is {shown(raw)}, not {self.what}")
        if text in self.refused:
            raise Wrong(f"is '{text}', which can't be used here")
        return text

    def schema(self) -> dict[str, Any]:
        pattern = whole(self.pattern) + ("|^$" if self.optional else "")
        refused = {"not": {"enum": list(self.refused)}} if self.refused else {}
        return {"type": "string", "pattern": pattern, **refused}


@dataclass(frozen=True)
class Choice(Kind):
    choices: tuple[str, ...] = ()

    def read(self, raw: Any) -> str:
        text = read_text(raw)
        if text not in self.choices:
            raise Wrong(f"is {shown(raw)}, not one of {', '.join(self.choices)}")
        return text

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.choices)}


@dataclass(frozen=True)
class UserIds(Kind):
    """A numeric "uid:gid" that isn't root's."""

    def read(self, raw: Any) -> str:
        text = read_text(raw)
        if not re.fullmatch(r"[0-9]{1,6}:[0-9]{1,6}", text):
            raise Wrong(f"is {shown(raw)}, not a numeric uid:gid in quotes")
        if "0" in (str(int(part)) for part in text.split(":")):
            raise Wrong("is root's: containers run as an ordinary user and group")
        return text

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^(?!0+:)(?!.*:0+$)[0-9]{1,6}:[0-9]{1,6}$"}


def read_list(raw: Any) -> list[Any]:
    """``raw`` where it is a list with something in it.

    Raises:
        Wrong: it is no list, or an empty one.
    """
    if not isinstance(raw, list | tuple):
        raise Wrong(f"is {shown(raw)}, not a list")
    if not raw:
        raise Wrong("is an empty list")
    return list(raw)


@dataclass(frozen=True)
class ListOf(Kind):
    """A list of at least one ``item``, each once."""

    item: Kind = Kind("", "")  # noqa: RUF009 - a frozen placeholder, always given

    def read(self, raw: Any) -> list[Any]:
        values: list[Any] = []
        for number, entry in enumerate(read_list(raw), start=1):
            try:
                value = self.item.read(entry)
            except Wrong as wrong:
                raise Wrong(f"has a wrong entry: number {number} {wrong}") from None
            if value in values:
                raise Wrong(f"has entry number {number} twice")
            values.append(value)
        return values

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "minItems": 1, "uniqueItems": True, "items": self.item.schema()}


@dataclass(frozen=True)
class Variables(Kind):
    """Environment variables with plain values; those of the application contract are set by the engine."""

    reserved: frozenset[str] = frozenset()

    def read(self, raw: Any) -> dict[str, str]:
        if not isinstance(raw, Mapping):
            raise Wrong(f"is {shown(raw)}, not a mapping of variables")
        variables: dict[str, str] = {}
        for name, value in raw.items():
            label = shown_name(name)
            if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
                raise Wrong(f"has {label}, which is not a variable name in upper case")
            if name in self.reserved:
                raise Wrong(f"has {label}, which the release sets itself (docs/contract.md)")
            if isinstance(value, bool | float) or not isinstance(value, str | int):
                raise Wrong(f"has {label} with {shown(value)}: write its value in quotes")
            text = str(value)
            if any(character in text for character in "\n\r\0"):
                raise Wrong(f"has {label} with a value of several lines")
            if _SECRET.search(text):
                raise Wrong(f"has {label} with a secret in it: secrets are delivered as files")
            variables[name] = text
        return variables

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": {"pattern": whole(_VARIABLE.pattern), "not": {"enum": sorted(self.reserved)}},
            "additionalProperties": {"type": ["string", "integer"], "pattern": r"^[^\n\r\0]*$"},
        }


@dataclass(frozen=True)
class Commands(Kind):
    """Commands to run without a shell, in order: each a list of its program, by absolute path, and its arguments."""

    def read(self, raw: Any) -> list[list[str]]:
        if not isinstance(raw, list | tuple):
            raise Wrong(f"is {shown(raw)}, not a list of commands")
        return [self._command(command, f"command number {number}") for number, command in enumerate(raw, 1)]

    def _command(self, raw: Any, label: str) -> list[str]:
        if not isinstance(raw, list | tuple):
            # The usual slip: one command where a list of commands is meant, or a command as one text.
            raise Wrong(f"has {label}, which is {shown(raw)}, not a list of a program and its arguments")
        if not raw:
            raise Wrong(f"has {label}, which is empty")
        words: list[str] = []
        for position, word in enumerate(raw, 1):
            try:
                text = read_text(word)
            except Wrong as wrong:
                raise Wrong(f"has {label}, whose word number {position} {wrong}") from None
            if "\0" in text:
                raise Wrong(f"has {label}, whose word number {position} has a zero byte in it")
            if _SECRET.search(text):
                raise Wrong(f"has {label} with a secret in it: let the program read it from a file")
            words.append(text)
        if not re.fullmatch(_PROGRAM, words[0]):
            raise Wrong(f"has {label}, whose program is {shown(words[0])}, not an absolute path")
        return words

    def schema(self) -> dict[str, Any]:
        program = {"type": "string", "pattern": whole(_PROGRAM)}
        words = {"items": [program], "additionalItems": {"type": ["string"]}}
        return {"type": "array", "items": {"type": "array", "minItems": 1, **words}}


@dataclass(frozen=True)
class Parameters(Kind):
    """Server parameters by name; ``reserved`` ones belong to the tree."""

    reserved: frozenset[str] = frozenset()

    def read(self, raw: Any) -> dict[str, str]:
        if not isinstance(raw, Mapping):
            raise Wrong(f"is {shown(raw)}, not a mapping of parameters")
        parameters: dict[str, str] = {}
        for name, value in raw.items():
            label = shown_name(name)
            if not isinstance(name, str) or not re.fullmatch(_PARAMETER, name):
                raise Wrong(f"has {label}, which is not a parameter name")
            if name in self.reserved:
                raise Wrong(f"has {label}, which this tree sets itself")
            if isinstance(value, bool):
                value = "on" if value else "off"
            if not isinstance(value, str | int | float) or not re.fullmatch(_PLAIN, str(value)):
                raise Wrong(f"has {label} with {shown(value)}, not a plain value")
            parameters[name] = str(value)
        return parameters

    def schema(self) -> dict[str, Any]:
        return {
            "type": "object",
            "propertyNames": {"pattern": whole(_PARAMETER), "not": {"enum": sorted(self.reserved)}},
            "additionalProperties": {"type": ["string", "number", "boolean"], "pattern": whole(_PLAIN)},
        }


def size(example: str, minimum: int, maximum: int | None = None) -> Size:
    """Kind of a setting in bytes."""
    most = "" if maximum is None else f", at most {format_size(maximum)}"
    return Size(example, f"size (K, M, G, T), at least {format_size(minimum)}{most}", minimum, maximum)


def duration(example: str, minimum: int, maximum: int) -> Duration:
    """Kind of a setting in seconds."""
    return Duration(example, f"duration (s, m, h), {minimum} s to {maximum} s", minimum, maximum)


def port() -> Integer:
    """Kind of a port that an ordinary user may open."""
    return Integer("8080", "port, 1024 to 65535", 1024, 65535)


def name_kind(example: str, *refused: str, beginnings: tuple[str, ...] = ()) -> Text:
    """Kind of a role's, user's or database's name; ``refused`` ones are taken, and all with such ``beginnings``."""
    ours = "".join(f"(?!{beginning})" for beginning in beginnings)
    what = "a name of lower-case letters, digits and underscores"
    if beginnings:
        what += f" that does not begin with {', '.join(beginnings)}"
    return Text(example, "lower-case name", rf"(?!pg_){ours}[a-z_][a-z0-9_]{{0,62}}", what, refused=refused)


def time_of_day(example: str) -> Text:
    """Kind of a time of day, in the droplet's time zone."""
    pattern = r"([01][0-9]|2[0-3]):[0-5][0-9]"
    return Text(f'"{example}"', "time of day, in quotes", pattern, f"a time like {example}")


def device() -> Text:
    """Kind of a block volume of the provider's; nothing where there is none."""
    return Text(
        "/dev/disk/by-id/scsi-0DO_Volume_name",
        "path of a block device, or nothing",
        r"/dev/[A-Za-z0-9_.:-]+(?:/[A-Za-z0-9_.:-]+)*",
        "a path below /dev",
        optional=True,
    )
