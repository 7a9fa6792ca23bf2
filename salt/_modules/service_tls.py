"""Whether traffic between the services of this host is encrypted yet, as far as templates have to know."""

from pathlib import Path

from marketplace_container import DockerError
from marketplace_docker_socket import PATIENT, DockerSocket
from marketplace_paths import Paths
from marketplace_trust import unencrypted_release


def plain_clients() -> bool:
    """Whether the live release was started without TLS, by an older tree: until the next one, the old way stays open.

    Returns:
        ``False`` where nothing is live: a new droplet never speaks without TLS.

    CLI Example:

    .. code-block:: bash

        salt-call service_tls.plain_clients
    """
    return unencrypted_release(Paths(Path(__opts__.get("marketplace_root", "/")))) is not None


def plain_redis(container: str = "redis", allow_restart: bool = False) -> bool:
    """Whether Redis has to listen without TLS as well: for the live release, or for the container's own health check.

    A container keeps the health check that it was made with until it is made again.

    Args:
        container: Redis's container.
        allow_restart: whether this run may make the container again.

    CLI Example:

    .. code-block:: bash

        salt-call service_tls.plain_redis
    """
    return plain_clients() or (not allow_restart and _checks_itself_plainly(container))


def _checks_itself_plainly(container: str) -> bool:
    try:
        found = DockerSocket(Paths().docker_socket, PATIENT).container(container)
    except DockerError:
        return False
    check = (found or {}).get("Config", {}).get("Healthcheck") or {}
    return bool(check.get("Test")) and "--tls" not in " ".join(check["Test"])
