"""A service at a managed provider: there is nothing to be made, only to be sure of."""

from typing import Any

from marketplace_paths import Paths
from marketplace_provider import ProviderError, prove
from marketplace_secrets import Store, UnknownSecret


def answers(name: str) -> dict[str, Any]:
    """Ensure that a service at its provider is who it should be, and lets the backend in.

    Args:
        name: ``postgres`` or ``redis``; where it is, and how it is known, the settings say.

    CLI Example:

    .. code-block:: bash

        salt-call state.single provider.answers postgres
    """
    ret: dict[str, Any] = {"name": name, "changes": {}, "result": True}
    try:
        return ret | {"comment": prove(__pillar__["settings"], name, Store(Paths().secrets).read)}
    except UnknownSecret as error:
        return ret | {"result": None if __opts__["test"] else False, "comment": str(error)}
    except ProviderError as error:
        return ret | {"result": False, "comment": str(error)}
