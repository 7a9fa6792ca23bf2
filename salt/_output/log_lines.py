"""Shows the rows of ``deploy.logs`` as lines. Anything else, such as a refusal, is shown as Salt shows all things."""

import sys
from pathlib import Path

import salt.output

# Salt shows modules and states the way to _utils, but not outputters.
sys.path.append(str(Path(__file__).parents[1] / "_utils"))

from marketplace_log_format import lines
from marketplace_outputter import shown

__virtualname__ = "log_lines"


def __virtual__():
    return __virtualname__


def output(data, **_):
    """The text for the terminal.

    data
        ``{minion: rows}``, as Salt hands it to outputters.
    """
    return shown(data, __opts__, _text, salt.output.out_format)


def _text(rows, colour):
    fits = isinstance(rows, list) and all(isinstance(row, dict) and "message" in row for row in rows)
    return lines(rows, colour) if fits else None
