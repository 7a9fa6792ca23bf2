"""Shows ``deploy.history`` as a table to who sits at a terminal. Anything else is shown as Salt shows all things."""

import sys
from pathlib import Path

import salt.output

# Salt shows modules and states the way to _utils, but not outputters.
sys.path.append(str(Path(__file__).parents[1] / "_utils"))

from marketplace_outputter import shown
from marketplace_release_table import table
from marketplace_terminal import picture

__virtualname__ = "release_table"


def __virtual__():
    return __virtualname__


def output(data, **_):
    """The text for the terminal.

    data
        ``{minion: records}``, as Salt hands it to outputters.
    """
    return shown(data, __opts__, _text, salt.output.out_format)


def _text(records, colour):
    fits = isinstance(records, list) and records
    return picture(sys.stdout, table, records, colour) if fits else None
