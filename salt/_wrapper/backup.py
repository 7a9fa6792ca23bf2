"""``backup.*`` over salt-ssh: the same functions, called on the droplet. salt/_modules/backup.py says what they do."""

__virtualname__ = "backup"
__func_alias__ = {"list_": "list"}
__outputter__ = {"list_": "table"}


def __virtual__():
    return __virtualname__


def create(**options):
    """Take a backup of the database and the cache.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.create
    """
    return __salt__["droplet.call"]("backup.create", **options)


def list_():
    """Every complete backup, newest first.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.list
    """
    return __salt__["droplet.call"]("backup.list")


def verify(**options):
    """Look all backups through.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.verify
    """
    return __salt__["droplet.call"]("backup.verify", **options)


def check():
    """Whether the backups can be relied on.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.check
    """
    return __salt__["droplet.call"]("backup.check")
