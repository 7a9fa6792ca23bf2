"""Shows ``settings.show`` and ``settings.diff`` as tables. Anything else, such as problems, is shown as usual."""

import sys
from pathlib import Path

import salt.output

# Salt shows modules and states the way to _utils, but not outputters.
sys.path.append(str(Path(__file__).parents[1] / "_utils"))

from marketplace_outputter import shown
from marketplace_settings_table import diff_text, is_diff, is_show, show_text

__virtualname__ = "settings_table"


def __virtual__():
    return __virtualname__


def output(data, **_):
    """The text for the terminal.

    data
        ``{minion: answer}``, as Salt hands it to outputters.
    """
    return shown(data, __opts__, _text, salt.output.out_format)


def _text(answer, colour):
    if answer and is_show(answer):
        return show_text(answer, colour)
    return diff_text(answer, colour) if is_diff(answer) else None
