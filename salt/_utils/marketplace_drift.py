"""What differs on the droplet from what state.apply made of it, by the answer of a run under test=True. Pure.

States judge what is there, so whatever one of them would change, somebody has changed by hand; but for what waits to be
applied, and what the date asks for: a certificate that is to be renewed. Where pillar or tree are not those that were
applied, nobody can tell the two apart: then all that states would change is pending, and no drift.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from marketplace_certificate import RENEWAL

APPLY = "salt-call state.apply"
# The id of the state that knows what was applied (_states/drift.py).
SETTLED = "Ensure what was applied is on record"
# Its change that what a look has found is over with a run: nothing waits by that, for the states say what differs.
CLEARED = "drift"
# What a state says that only looks whether a process is older than its files: the files are what differs.
_FOLLOWING = frozenset(
    {"process", "definition", "configuration", "loaded", "listening", "table", "what is watched"}
)
# Of these, what a certificate leads to that is to be renewed: it is delivered, and its server loads it.
_RENEWING = frozenset({"loaded", "listening", "what is watched"})
_REQUISITE = "One or more requisite failed"
_LINES, _CHARACTERS = 12, 160
# A password that somebody wrote into a file by hand is in no store: "word = value", and in a diff "word value".
_WORD = r"[\w.-]*(?:passw(?:or)?d|passphrase|requirepass|secret|token|api_?key|credential)[\w.-]*"
_PASSWORD = re.compile(rf"""(?im)(\b{_WORD}["']?[ \t]*[=:][ \t]*|^[+-][ \t]*{_WORD}[ \t]+)\S.*""")
_PEM = re.compile(r"(-----BEGIN [A-Z ]+-----).*?(-----END [A-Z ]+-----|\Z)", re.DOTALL)
# What a unit is, as systemd_service names its aspects.
_UNIT = {"activity": "is {old}", "boot": "is {old} at boot", "mask": "is {old}"}


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was left.

    Attributes:
        state: id of the state that found it; what no state owns has what kind of thing it is.
        name: what it is about: a file, a unit, a container.
        words: what differs.
        detail: the same at length, where there is more to say: a shortened diff.
        owned: whether state.apply puts it right.
        follows: whether it goes back to another difference and is right again with that.
        remedy: what to type.
    """

    state: str
    name: str
    words: str
    detail: str = ""
    owned: bool = True
    follows: bool = False
    remedy: str = APPLY

    @property
    def key(self) -> str:
        return f"{self.state}/{self.name}"

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Answer:
    """What a run of all states has told.

    Attributes:
        differences: in the states' order.
        pending: what waits to be applied, a sentence each; with any, ``differences`` is empty.
        trouble: why there is no answer; empty where there is one.
        known: what the states are about: files, units, tables, by name.
    """

    differences: tuple[Difference, ...] = ()
    pending: tuple[str, ...] = ()
    trouble: str = ""
    known: frozenset[str] = frozenset()


def read(answer: Any, scrubbed: Callable[[str], str] = str) -> Answer:
    """What Salt's answer to ``state.apply test=True`` says.

    Args:
        scrubbed: takes secrets that are known out of a text; what only looks like one is taken out in any case.
    """
    if not isinstance(answer, Mapping) or not answer or not all("_|-" in str(key) for key in answer):
        said = answer if isinstance(answer, list) else [answer]
        return Answer(
            trouble=_short(
                _clean(" / ".join(str(line).strip() for line in said), scrubbed) or "no states at all", 400
            )
        )
    rows = sorted(answer.items(), key=lambda item: item[1].get("__run_num__", 0))
    known = frozenset(str(row.get("name") or key.split("_|-")[2]) for key, row in rows)
    pending = next((_waits(row) for _, row in rows if row.get("__id__") == SETTLED), [])
    differ = [
        (key, row)
        for key, row in rows
        if row.get("__id__") != SETTLED and (row.get("result") is not True or row.get("changes"))
    ]
    if any(_is_due(row) for _, row in differ):
        differ = [(key, row) for key, row in differ if not (_is_due(row) or _follows(row, _RENEWING))]
    found = [_difference(key.split("_|-"), row, scrubbed) for key, row in differ]
    if pending:
        states = [one.state for one in found if not one.follows]
        more = f" and {len(states) - 5} more" if states[5:] else ""
        count = f"{len(states)} states would change something: {'; '.join(states[:5])}{more}"
        return Answer(pending=(*pending, *([count] if states else [])), known=known)
    causes = any(not one.follows for one in found)
    # Where nothing else differs, it is no consequence.
    return Answer(tuple(found if causes else (replace(one, follows=False) for one in found)), known=known)


def mask(text: str) -> str:
    """``text`` without what looks like a secret."""
    return _PASSWORD.sub(r"\1(secret)", _PEM.sub(r"\1 (secret) \2", text))


def _waits(row: Mapping[str, Any]) -> list[str]:
    """What the state says that knows what was applied; where it failed, nothing is certain."""
    if row.get("result") is False:
        return [str(row.get("comment"))]
    return [str(words) for key, words in (row.get("changes") or {}).items() if key != CLEARED]


def _is_due(row: Mapping[str, Any]) -> bool:
    """Whether the date alone asks for it: whoever renews is told of elsewhere where that stays undone."""
    return set(row.get("changes") or {}) == {RENEWAL}


def _follows(row: Mapping[str, Any], changing: frozenset[str]) -> bool:
    """Whether it goes back to another row: one that failed, or one whose change leads to these."""
    changes = row.get("changes") or {}
    failed = str(row.get("comment", "")).startswith(_REQUISITE)
    return failed or (bool(changes) and set(changes) <= changing)


def _clean(value: Any, scrubbed: Callable[[str], str]) -> Any:
    """``value`` with no secret in any text: before anything is shortened, for half a secret is not found any more."""
    if isinstance(value, Mapping):
        return {key: _clean(inner, scrubbed) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner, scrubbed) for inner in value]
    return mask(scrubbed(value)) if isinstance(value, str) else value


def _difference(key: list[str], row: Mapping[str, Any], scrubbed: Callable[[str], str]) -> Difference:
    module, _, name = key[:3]
    changes = _clean(row.get("changes") or {}, scrubbed)
    comment = _clean(str(row.get("comment") or "").strip(), scrubbed)
    if row.get("result") is False:
        words, detail = _short(comment.splitlines()[0] if comment else "the state fails", 400), ""
    else:
        words, detail = _words(module, changes, comment)
    state, name = str(row.get("__id__")), str(row.get("name") or name)
    name = f"firewall table {name}" if module == "nft_table" else name
    remedy = "salt-call deploy.resume" if module == "release" else APPLY
    return Difference(state, name, words, detail, True, _follows(row, _FOLLOWING), remedy)


def _words(module: str, changes: Mapping[str, Any], comment: str) -> tuple[str, str]:
    """What differs, in a sentence; and the diff, where there is one."""
    if module == "systemd_service":
        said = [_UNIT[key].format_map(value) for key, value in changes.items()]
        return "; ".join(said) or _short(comment), ""
    if "newfile" in changes:
        return "is missing", ""
    detail = str(changes["diff"]) if "diff" in changes else ""
    parts = ["was changed"] if detail else []
    parts += [_part(str(key), value) for key, value in changes.items() if key != "diff"]
    return _short("; ".join(parts) or comment or "differs", 400), _excerpt(detail)


def _part(key: str, value: Any) -> str:
    if isinstance(value, Mapping) and {"old", "new"} <= value.keys():
        old, new = value["old"], value["new"]
        if isinstance(old, list) and isinstance(new, list):
            gone = [f"{len(old)} by hand ({_short(str(old[0]))})"] if old else []
            return f"{key}: {', '.join([*gone, *([f'{len(new)} missing'] if new else [])])}"
        was = "missing" if old in (None, "") else _short(str(old))
        return f"{key}: {was}" if new is None else f"{key}: {was}, and not {_short(str(new))}"
    if key in ("mode", "user", "group"):
        return f"its {'owner' if key == 'user' else key} is not {value}"
    if isinstance(value, Mapping):
        return f"{key}: {', '.join(_part(str(inner), one) for inner, one in value.items())}"
    return f"{key}: {_short(str(value))}"


def _excerpt(diff: str) -> str:
    """The lines of a diff that differ, no more than a screen holds."""
    lines = [line for line in diff.splitlines() if line[:1] in "+-" and not line.startswith(("+++", "---"))]
    left = [f"({len(lines) - _LINES} more lines)"] if lines[_LINES:] else []
    # Under test=True a plus is what state.apply would write, and a minus what somebody has.
    return "\n".join([*(_short(line) for line in lines[:_LINES]), *left])


def _short(text: str, characters: int = _CHARACTERS) -> str:
    text = " ".join(text.split())
    return text if len(text) <= characters else f"{text[: characters - 3]}..."
