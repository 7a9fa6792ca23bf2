"""``deploy.*`` over salt-ssh: the same functions, called on the droplet. salt/_modules/deploy.py says what they do.

Options are handed on as they are: the droplet says which it does not know.
"""

import contextlib
import shlex

__virtualname__ = "deploy"
__func_alias__ = {"exec_": "exec"}
__outputter__ = {"logs": "log_lines", "history": "release_table", "status": "status_table"}


def __virtual__():
    return __virtualname__


def release(version=None, image=None, **options):
    """Ship a version of the backend.

    CLI Example:

    .. code-block:: bash

        salt-ssh production deploy.release 1.4.2
        salt-ssh production deploy.release 1.5.0 maintenance=True wait=600
    """
    return __salt__["droplet.call"]("deploy.release", version=version, image=image, **options)


def rollback(release=None, **options):
    """Go back to the release before the live one, or to a named one.

    CLI Example:

    .. code-block:: bash

        salt-ssh production deploy.rollback
    """
    return __salt__["droplet.call"]("deploy.rollback", release=release, **options)


def plan(version=None, image=None, **options):
    """What a release would do, and what would refuse it.

    CLI Example:

    .. code-block:: bash

        salt-ssh production deploy.plan 1.4.2
    """
    return __salt__["droplet.call"]("deploy.plan", version=version, image=image, **options)


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


def maintenance(state=None, **options):
    """Close the edge for updates, open it again, or show whether it is closed.

    CLI Example:

    .. code-block:: bash

        salt-ssh production deploy.maintenance on
    """
    return __salt__["droplet.call"]("deploy.maintenance", state=state, **options)


def logs(**options):
    """What was logged, by service, time, level, release and update.

    CLI Example:

    .. code-block:: bash

        salt-ssh production deploy.logs service=backend level=error since=1d
        salt-ssh production deploy.logs update_id=847120934
    """
    return __salt__["droplet.call"]("deploy.logs", **options)


def exec_(*words, **options):
    """Run a command in the live colour's container.

    CLI Example:

    .. code-block:: bash

        salt-ssh production deploy.exec 'python -m bot.report --days 7'
    """
    # As a list: a text would be read by Salt once more on the droplet, which says so where it cannot be split.
    if len(words) == 1 and isinstance(words[0], str):
        with contextlib.suppress(ValueError):
            words = (shlex.split(words[0]),)
    return __salt__["droplet.call"]("deploy.exec", *words, **options)


def job(name=None, **options):
    """Run a scheduled job of the live release at once, and wait for its end.

    CLI Example:

    .. code-block:: bash

        salt-ssh production deploy.job expire-listings
    """
    return __salt__["droplet.call"]("deploy.job", name=name, **options)
