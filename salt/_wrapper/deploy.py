"""``deploy.*`` over salt-ssh: the same functions, called on the droplet. salt/_modules/deploy.py says what they do."""

__virtualname__ = "deploy"


def __virtual__():
    return __virtualname__


def release(version=None, image=None):
    """Ship a version of the backend.

    CLI Example:

    .. code-block:: bash

        salt-ssh production deploy.release 1.4.2
    """
    return __salt__["droplet.call"]("deploy.release", version=version, image=image)


def resume():
    """Finish or undo a release that was killed, and start what should run.

    CLI Example:

    .. code-block:: bash

        salt-ssh production deploy.resume
    """
    return __salt__["droplet.call"]("deploy.resume")


def status():
    """The droplet at a glance.

    CLI Example:

    .. code-block:: bash

        salt-ssh production deploy.status
    """
    return __salt__["droplet.call"]("deploy.status")


def history(limit=10):
    """Release records, newest first.

    CLI Example:

    .. code-block:: bash

        salt-ssh production deploy.history 3
    """
    return __salt__["droplet.call"]("deploy.history", limit=limit)
