"""Who is told of what is wrong, and whether that works."""

import os
from pathlib import Path

from marketplace_alert_routes import NOBODY_TOLD, ways
from marketplace_alert_test import probe
from marketplace_alertmanager import Alertmanager, AlertmanagerError
from marketplace_arguments import caller
from marketplace_paths import Paths
from marketplace_settings_guard import settings_applied

__virtualname__ = "alerts"


def __virtual__():
    return __virtualname__


def test():
    """Send a real test alert by every way that the settings name, and say whether it went out.

    Returns ``sent``: by way (``telegram``, ``email``, ``webhook``), ``sent`` or why not; ``told``: whether it went out
    by all. Exit code 1 where it did not, or where nobody is to be told. Waits for up to a minute.

    CLI Example:

    .. code-block:: bash

        salt-call alerts.test
    """
    settings, why = settings_applied(_paths())
    if settings is None:
        return _refused(why)
    found = ways(settings)
    if not found:
        return _refused(NOBODY_TOLD)
    try:
        sent = probe(Alertmanager(), found, settings["environment"], caller(os.environ))
    except AlertmanagerError as error:
        return _refused(str(error))
    told = all(words == "sent" for words in sent.values())
    if not told:
        __context__["retcode"] = 1
    return {"told": told, "sent": sent}


def _refused(reason):
    __context__["retcode"] = 1
    return {"told": False, "sent": {}, "reason": reason}


def _paths():
    return Paths(Path(__opts__.get("marketplace_root", "/")))
