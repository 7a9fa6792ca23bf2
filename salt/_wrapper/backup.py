"""``backup.*`` over salt-ssh: the same functions, called on the droplet. salt/_modules/backup.py says what they do."""

__virtualname__ = "backup"
__func_alias__ = {"list_": "list", "import_": "import"}
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


def restore(**options):
    """Restore the database as it was at any second of the last days.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.restore time=2026-11-24T08:15:00
    """
    return __salt__["droplet.call"]("backup.restore", **options)


def import_(**options):
    """Move in: database and cache of a bot that ran elsewhere, from files that are on the droplet.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.import dump=/root/bot.dump cache=/root/dump.rdb
    """
    return __salt__["droplet.call"]("backup.import", **options)


def discard(**options):
    """Throw away the scratch server of ``backup.restore to=scratch``.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.discard
    """
    return __salt__["droplet.call"]("backup.discard", **options)


def confirm(**options):
    """Delete what ``backup.restore to=live`` and ``backup.import`` have put aside.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.confirm
    """
    return __salt__["droplet.call"]("backup.confirm", **options)


def drill(**options):
    """Restore the newest backup on trial, and compare it with the live database.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.drill
    """
    return __salt__["droplet.call"]("backup.drill", **options)


def ship(**options):
    """Send what is new among the backups to the copy elsewhere.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.ship
    """
    return __salt__["droplet.call"]("backup.ship", **options)


def fetch(**options):
    """Bring every backup from the copy elsewhere that is not on the droplet.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.fetch
    """
    return __salt__["droplet.call"]("backup.fetch", **options)


def key(**options):
    """The key is shown on the droplet's own terminal only, so this refuses, and says so.

    CLI Example:

    .. code-block:: bash

        salt-ssh production backup.key
    """
    return __salt__["droplet.call"]("backup.key", **options)
