"""``health.*`` over salt-ssh: the same functions, called on the droplet."""

__virtualname__ = "health"
__outputter__ = {"check": "status_table", "drift": "drift_lines", "slo": "slo_table"}


def __virtual__():
    return __virtualname__


def check(brief=False):
    """The Health Status.

    CLI Example:

    .. code-block:: bash

        salt-ssh production health.check
    """
    return __salt__["droplet.call"]("health.check", brief=brief)


def logs():
    """Whether every log reaches back as far as it should.

    CLI Example:

    .. code-block:: bash

        salt-ssh production health.logs
    """
    return __salt__["droplet.call"]("health.logs")


def drift(**options):
    """What somebody has changed by hand.

    CLI Example:

    .. code-block:: bash

        salt-ssh production health.drift
        salt-ssh production health.drift now=True
    """
    return __salt__["droplet.call"]("health.drift", **options)


def slo(days=30):
    """How well the bot was reached.

    CLI Example:

    .. code-block:: bash

        salt-ssh production health.slo
    """
    return __salt__["droplet.call"]("health.slo", days=days)
