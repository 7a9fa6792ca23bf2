"""Shows ``health.check`` and ``deploy.status`` in few lines to who sits at a terminal; else as Salt does."""

import sys
from pathlib import Path

import salt.output

# Salt shows modules and states the way to _utils, but not outputters.
sys.path.append(str(Path(__file__).parents[1] / "_utils"))

from marketplace_outputter import shown
from marketplace_status_table import health_table, status_table
from marketplace_terminal import picture

__virtualname__ = "status_table"


def __virtual__():
    return __virtualname__


def output(data, **_):
    """The text for the terminal.

    data
        ``{minion: answer}``, as Salt hands it to outputters.
    """
    return shown(data, __opts__, _text, salt.output.out_format)


def _text(found, colour):
    draw = None
    if isinstance(found, dict):
        draw = health_table if "services" in found else status_table if "in_flight" in found else None
    return picture(sys.stdout, draw, found, colour) if draw else None
