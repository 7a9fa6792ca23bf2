"""salt-ssh's side of the engine: calls the droplet's own ``salt-call`` over ssh and hands its answer on.

Under salt-ssh a module would run in a temporary copy of Salt, without the droplet's settings. The engine lives on the
droplet; this only speaks to it.
"""

import json
import shlex
import sys

import salt.client.ssh
from salt.exceptions import CommandExecutionError

__virtualname__ = "droplet"

SALT_CALL = ["/usr/local/bin/salt-call", "--local", "--out=json", "--retcode-passthrough"]


def __virtual__():
    return __virtualname__


def call(function, *arguments, **options):
    """Call ``function`` on the droplet by its own salt-call, with the same result and the same exit meaning.

    function
        For example ``deploy.status``; arguments and options follow. Options that are None are left out.

    CLI Example:

    .. code-block:: bash

        salt-ssh production droplet.call deploy.history 3
    """
    words = [json.dumps(argument) for argument in arguments]
    # YAML makes a time of what looks like one; JSON has none.
    words += [
        f"{name}={json.dumps(value, default=str)}"
        for name, value in options.items()
        if value is not None and not name.startswith("__pub_")
    ]
    command = shlex.join([*SALT_CALL, function, *words])
    target = __salt__.kwargs
    if target.get("sudo"):
        command = f"sudo -n {command}"
    single = salt.client.ssh.Single(__opts__, "", **target)
    stdout, stderr, retcode = single.shell.exec_cmd(command)
    try:
        answer = json.loads(stdout)["local"]
    except (ValueError, KeyError, TypeError):
        said = (stderr.strip() or stdout.strip() or "nothing").splitlines()
        raise CommandExecutionError(
            f"{function} gave no answer (exit code {retcode}): {' / '.join(said[-5:])}. "
            f"Has {target['id_']} been converged? salt-ssh {target['id_']} state.apply"
        ) from None
    if stderr.strip():
        print(stderr.strip(), file=sys.stderr, flush=True)
    __context__["retcode"] = retcode
    return answer
