"""What people type behind ``deploy.*``: values to work with, or a sentence that says what is wrong. Pure."""

import difflib
import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9_.-]+)?")


class Unusable(ValueError):
    """An argument says something that cannot be meant; the message names it and shows what would be right."""


def nothing_else(options: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse keywords that a function does not know. Salt's own (``__pub_...``) are passed over.

    Raises:
        Unusable: there is such a keyword.
    """
    unknown = [name for name in options if not name.startswith("__")]
    if not unknown:
        return
    close = difflib.get_close_matches(unknown[0], known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(known) or 'none'}"
    raise Unusable(f"{unknown[0]} is not an option; {hint}")


def version(value: Any) -> str:
    """A version, which is an image's tag; "" where none is given.

    Raises:
        Unusable: it is no image's tag, or arrived as a number, which loses digits.
    """
    if value is None or value == "":
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise Unusable(
            f"version {value!r} arrived as a number, which loses digits (1.10 becomes 1.1); "
            "quote it for Salt as well as for the shell: deploy.release \"'1.10'\""
        )
    if not isinstance(value, str) or not _TAG.fullmatch(value):
        raise Unusable(f"version is {value!r}, expected an image's tag such as 1.4.2")
    return value


def text(name: str, value: Any, example: str) -> str:
    """A text; "" where none is given.

    Raises:
        Unusable: it is no text, or has a space or something unprintable in it.
    """
    if value is None:
        return ""
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        raise Unusable(f"{name} is {value!r}, expected for example {example}")
    return value


def flag(name: str, value: Any) -> bool:
    """Yes or no, as Salt reads them: ``True``, ``yes`` and ``on`` are the same.

    Raises:
        Unusable: it is no boolean.
    """
    if not isinstance(value, bool):
        raise Unusable(f"{name} is {value!r}, expected {name}=True or {name}=False")
    return value


def seconds(name: str, value: Any, most: int) -> float:
    """Seconds from 0 to ``most``.

    Raises:
        Unusable: it is no number, or none of those.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise Unusable(f"{name} is {value!r}, expected seconds from 0 to {most}, such as {name}=60")
    return float(value)


def switch(value: Any) -> bool | None:
    """``on`` or ``off``, which Salt may have read as yes and no already; None where nothing is given.

    Raises:
        Unusable: it is neither.
    """
    said = {"on": True, "off": False}.get(value.lower(), value) if isinstance(value, str) else value
    if said is None or isinstance(said, bool):
        return said
    raise Unusable(f"{value!r} is neither on nor off; without it, the state is shown")


def command(words: Sequence[Any]) -> list[str]:
    """A command's argv from one text (split as a shell would, but none runs), from a list, or from words.

    Raises:
        Unusable: the text cannot be split, there is no word, or one of them is no text.
    """
    given = list(words)
    if len(given) == 1 and isinstance(given[0], list | tuple):
        given = list(given[0])
    elif len(given) == 1 and isinstance(given[0], str):
        try:
            given = shlex.split(given[0])
        except ValueError as error:
            raise Unusable(f"the command cannot be split into words: {error}") from None
    if not given:
        raise Unusable("what shall run? deploy.exec 'python -m bot.report --days 7'")
    for word in given:
        if not isinstance(word, str):
            raise Unusable(
                f"{word!r} arrived as no text, for Salt reads numbers, yes and no as values; "
                "give the command as one text: deploy.exec 'sleep 010'"
            )
    return given


def caller(environment: Mapping[str, str]) -> str:
    """Who asks, for records and messages: ``alice``, or ``alice@203.0.113.5`` where they came by ssh.

    Behind sudo it is the person and not root. The address tells those apart who share an account; sudo hides it
    unless it is told to keep SSH_CONNECTION.
    """
    person = environment.get("SUDO_USER") or environment.get("LOGNAME") or environment.get("USER") or "root"
    address = (environment.get("SSH_CONNECTION", "").split() or [""])[0]
    return f"{person}@{address}" if _ADDRESS.fullmatch(address) else person


def moment(name: str, value: Any) -> datetime | None:
    """A point in time; None where nothing was given. Without a zone it is in the host's.

    Raises:
        Unusable: it is none.
    """
    if value is None or value == "":
        return None
    if isinstance(value, datetime):  # YAML has read it already
        found = value
    else:
        try:
            found = datetime.fromisoformat(str(value).strip())
        except ValueError:
            raise Unusable(
                f"{name} is {value!r}, expected a point in time such as 2026-11-24T08:15:00+00:00 "
                "(without a zone: the droplet's)"
            ) from None
    return found.astimezone()
