"""``alerts.*`` over salt-ssh: the same functions, called on the droplet."""

__virtualname__ = "alerts"


def __virtual__():
    return __virtualname__


def test():
    """Send a real test alert.

    CLI Example:

    .. code-block:: bash

        salt-ssh production alerts.test
    """
    return __salt__["droplet.call"]("alerts.test")
