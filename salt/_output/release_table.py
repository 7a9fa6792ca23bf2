"""Shows ``deploy.history`` as a table to who sits at a terminal. Anything else is shown as Salt shows all things."""

import sys
from pathlib import Path

import salt.output

# Salt shows modules and states the way to _utils, but not outputters.
sys.path.append(str(Path(__file__).parents[1] / "_utils"))

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
    records = next(iter(data.values()), None) if isinstance(data, dict) else data
    seen = (
        picture(sys.stdout, table, records, bool(__opts__.get("color")))
        if isinstance(records, list) and records
        else None
    )
    return salt.output.out_format(data, "nested", __opts__) if seen is None else seen
