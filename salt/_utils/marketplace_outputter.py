"""What the tree's outputters share: one function's answer for people, all else as Salt shows all things."""

from collections.abc import Callable, Mapping
from typing import Any


def shown(
    data: Any,
    opts: Mapping[str, Any],
    text: Callable[[Any, bool], str | None],
    otherwise: Callable[..., str],
) -> str:
    """The text for the terminal.

    Args:
        data: ``{minion: answer}``, as Salt hands it to outputters.
        opts: Salt's options.
        text: of an answer, and whether somebody wants colours; None where it is not meant for this.
        otherwise: ``salt.output.out_format``.
    """
    answer = next(iter(data.values()), None) if isinstance(data, dict) else data
    words = text(answer, bool(opts.get("color")))
    return otherwise(data, "nested", opts) if words is None else words
