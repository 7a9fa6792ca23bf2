"""The edge's certificate: how it is, getting a new one, handing it to HAProxy."""

from pathlib import Path

from marketplace_durable import read_json
from marketplace_edge import EdgeError
from marketplace_edge_certificate import Authority, AuthorityError
from marketplace_paths import Paths
from marketplace_world import World
from salt.exceptions import CommandExecutionError

__virtualname__ = "certificate"


def __virtual__():
    return __virtualname__


def status():
    """The certificate that clients are given: whose, for which names, until when, and what is wrong with it.

    Exit code 1 where something is: it is not the newest, has a third of its life left or less (a local one: less than
    30 days), is for other names, or only stands in until the authority gives one. ``usable`` is whether Telegram calls
    all the same.

    CLI Example:

    .. code-block:: bash

        salt-call certificate.status
    """
    try:
        found = _authority().status()
    except (AuthorityError, EdgeError, ValueError) as error:
        raise CommandExecutionError(str(error)) from error
    if found["problem"]:
        __context__["retcode"] = 1
    return found


def renew(force=False):
    """Get a new certificate from the authority where one is due, and have the edge serve it, with no reload.

    force
        Ask even where nothing is due, and where the authority is left alone after a failure.

    A timer runs this twice a day. It is due with two fifths of its life left. What is served until then goes on being
    served whatever fails; exit code 1 with the reason.

    CLI Example:

    .. code-block:: bash

        salt-call certificate.renew
        salt-call certificate.renew force=True
    """
    authority = _authority()
    if not authority.order.directory:
        return {"renewed": False, "reason": "the certificate is local: state.apply renews it"}
    waits = None if force else authority.waits_until()
    try:
        reason = "asked for" if force else authority.reason()
        if reason and waits:
            __context__["retcode"] = 1
            return {
                "renewed": False,
                "reason": authority.attempts().reason,
                "next": waits.isoformat(timespec="seconds"),
            }
        if reason:
            authority.obtain()
            return {"renewed": True, "reason": reason}
        return {"renewed": False, "reason": "not due", "deployed": authority.deploy()}
    except AuthorityError as error:
        __context__["retcode"] = 1
        waits = authority.waits_until()
        return {
            "renewed": False,
            "reason": str(error),
            "next": waits.isoformat(timespec="seconds") if waits else None,
        }


def deploy():
    """Have the edge serve what the authority gave: durably, and in the running HAProxy without a reload.

    certbot runs this behind every success. True where something changed.

    CLI Example:

    .. code-block:: bash

        salt-call certificate.deploy
    """
    try:
        return _authority().deploy()
    except AuthorityError as error:
        raise CommandExecutionError(str(error)) from error


def _authority():
    paths = Paths(Path(__opts__.get("marketplace_root", "/")))
    try:
        settings = read_json(paths.settings)
    except ValueError as error:
        raise CommandExecutionError(str(error)) from error
    if settings is None:
        raise CommandExecutionError(f"{paths.settings} is not there yet; run state.apply first")
    return Authority.of(World.of(paths), settings)
