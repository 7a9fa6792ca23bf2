"""Traffic between services that is encrypted, or known not to be yet."""

from pathlib import Path
from typing import Any

from marketplace_paths import Paths
from marketplace_pending import record
from marketplace_trust import unencrypted_release


def required(name: str) -> dict[str, Any]:
    """Ensure that deploy.status shows as pending what is still reached without TLS, and how to end that.

    Changes nothing by itself: what listens follows the same facts (module ``service_tls``).

    Args:
        name: a sentence.
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True}
    paths = Paths(Path(__opts__.get("marketplace_root", "/")))
    findings = {}
    try:
        live = unencrypted_release(paths)
        if live is not None:
            way = f"deploy.release of a version that uses TLS, such as {live.version}, then state.apply"
            findings["still accepted"] = f"release {live.release} was started without TLS: {way}"
        elif __salt__["service_tls.plain_redis"]():
            findings["still accepted by Redis from its own container"] = (
                "its health check changes when the container is made again: allow a restart"
            )
        if not __opts__["test"]:
            record(paths.pending, "unencrypted connections", findings)
    except (ValueError, OSError) as error:
        return ret | {"result": False, "comment": str(error)}
    if not findings:
        return ret | {"comment": "Services are reached through TLS alone"}
    why = "; ".join(f"{what} ({reason})" for what, reason in findings.items())
    return ret | {"comment": f"Unencrypted connections are {why}"}
