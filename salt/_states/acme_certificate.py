"""The edge serves a certificate of its authority."""

from pathlib import Path
from typing import Any

from marketplace_certificate import changing
from marketplace_edge_certificate import Authority, AuthorityError
from marketplace_paths import Paths
from marketplace_world import World


def served(name: str, address: str = "127.0.0.1", port: int = 8888) -> dict[str, Any]:
    """Ensure that the edge serves a certificate of the authority in the settings; order it where there is none.

    What is served until then goes on being served whatever fails. After a failure the authority is left alone for a
    while, however often this is applied; ``certificate.renew force=True`` asks at once.

    Args:
        name: a sentence.
        address: where certbot listens for the authority's question, behind the edge.
        port: likewise.

    CLI Example:

    .. code-block:: bash

        salt-call state.single acme_certificate.served "Ensure the edge serves its authority's certificate"
    """
    paths = Paths(Path(__opts__.get("marketplace_root", "/")))
    authority = Authority.of(World.of(paths), __pillar__["settings"], address, int(port))
    order = authority.order
    ret: dict[str, Any] = {"name": name, "result": True, "changes": {}}
    if not order.directory:
        return ret | {"comment": "The certificate is local: no authority is asked"}
    try:
        reason = authority.reason()
    except AuthorityError as error:
        return ret | {"result": False, "comment": str(error)}
    new = f"{', '.join(order.domains)} from {order.directory}"
    if reason:
        changes = {changing(reason): {"old": reason, "new": new}}
    elif not authority.is_deployed():
        changes = {"served": {"old": "another certificate", "new": new}}
    else:
        return ret | {"comment": "The edge serves its authority's certificate"}
    waits = authority.waits_until() if reason else None
    if waits:
        again = f"Not asked again before {waits:%Y-%m-%d %H:%M} UTC; at once by: salt-call certificate.renew force=True"
        said = {"result": False, "comment": f"{authority.attempts().reason}\n{again}"}
        return ret | said | ({"changes": changes} if __opts__["test"] else {})
    if __opts__["test"]:
        return ret | {
            "result": None,
            "changes": changes,
            "comment": "The certificate would be got and served",
        }
    try:
        if reason:
            authority.obtain()
        else:
            authority.deploy()
    except AuthorityError as error:
        again = "What was served before is still served. Once that is put right: salt-call certificate.renew force=True"
        return ret | {"result": False, "comment": f"{error}\n{again}"}
    try:
        left = authority.reason()
    except AuthorityError as error:
        said = f"The new certificate is served; whether it is right can't be told: {error}\nApply this again"
        return ret | {"result": False, "changes": changes, "comment": said}
    if left or not authority.is_deployed():
        return ret | {
            "result": False,
            "changes": changes,
            "comment": f"The certificate is still wrong: {left or 'it is not served'}",
        }
    return ret | {"changes": changes, "comment": "The edge serves its authority's new certificate"}
