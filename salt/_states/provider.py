"""A service at a managed provider: there is nothing to be made, only to be sure of."""

from pathlib import Path
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
    # In test mode the store has the passwords of before a move: the run would have pillar's by then.
    given = __pillar__.get("secrets_given") or {}
    store = Store(Paths(Path(__opts__.get("marketplace_root", "/"))).secrets)

    def secret(one: str) -> str:
        return str(given[one]) if one in given else store.read(one)

    try:
        return ret | {"comment": prove(__pillar__["settings"], name, secret)}
    except UnknownSecret as error:
        return ret | {"result": None if __opts__["test"] else False, "comment": str(error)}
    except ProviderError as error:
        return ret | {"result": False, "comment": str(error)}
