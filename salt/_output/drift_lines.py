"""Shows the answer of ``health.drift`` as lines; anything else, such as a refusal, as Salt shows all things."""

import sys
from pathlib import Path

import salt.output

# Salt shows modules and states the way to _utils, but not outputters.
sys.path.append(str(Path(__file__).parents[1] / "_utils"))

from marketplace_drift_format import lines
from marketplace_outputter import shown

__virtualname__ = "drift_lines"


def __virtual__():
    return __virtualname__


def output(data, **_):
    """The text for the terminal.

    data
        ``{minion: answer}``, as Salt hands it to outputters.
    """
    return shown(data, __opts__, _text, salt.output.out_format)


def _text(found, _):
    return lines(found) if isinstance(found, dict) and "differences" in found else None
