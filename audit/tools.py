"""The tools, in the order of the summary.

Each is a function from a Place to an Outcome: it installs what it needs on the droplet or beside it, runs it, and reads
its figures. What looks at the edge belongs to the end of the list.
"""

from collections.abc import Callable

from . import cis, edge, host, ssh, units
from .outcome import Outcome, Place

TOOLS: dict[str, Callable[[Place], Outcome]] = {
    "lynis": host.audit,
    "ssh-audit": ssh.audit,
    "systemd-analyze": units.audit,
    "cis-docker": cis.audit,
    "testssl.sh": edge.testssl,
    "sslyze": edge.sslyze,
}
