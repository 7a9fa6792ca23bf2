"""salt-ssh's side of the engine: calls the droplet's own ``salt-call`` over ssh and hands its answer on.

Under salt-ssh a module would run in a temporary copy of Salt, without the droplet's settings. The engine lives on the
droplet; this only speaks to it.
"""

import collections
import contextlib
import json
import shlex
import signal
import subprocess
import sys
import threading

import salt.client.ssh
from salt.exceptions import CommandExecutionError

__virtualname__ = "droplet"

SALT_CALL = ["/usr/local/bin/salt-call", "--local", "--out=json", "--retcode-passthrough"]
# What ssh itself ends with, where the droplet's side has not said how it went.
SSH_FAILED = 255


def __virtual__():
    return __virtualname__


def call(function, *arguments, **options):
    """Call ``function`` on the droplet by its own salt-call, with the same result and the same exit meaning.

    function
        For example ``deploy.status``; arguments and options follow. Options that are None are left out.

    What it says to people shows at once, as it does there. Ctrl-C ends the view; what was begun on the droplet goes on.

    CLI Example:

    .. code-block:: bash

        salt-ssh production droplet.call deploy.history 3
    """
    return attend(None, function, *arguments, **options)


def attend(hear, function, *arguments, **options):
    """As :func:`call`, for a function that asks for something meanwhile, and can't end without an answer.

    hear
        Gets each line of what it writes to its output. What this returns goes to its input; None: the line is a part of
        the result. Without it there is nothing to read for the function.

    CLI Example: none, for wrappers.
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
    # Salt's own options for user, port, keys and host keys. Its way to run them would keep all that is said to the end,
    # and split the command once more than the droplet's shell does.
    ssh = shlex.split(single.shell._cmd_str(""))
    id_ = target["id_"]
    try:
        with _ended_once():
            stdout, said, retcode = _watch([*ssh, command], hear)
    except (KeyboardInterrupt, SystemExit):
        ended = "Cut off" if hear else "Only the view ended"
        print(f"{ended}: {_left(function, id_, hear)}", file=sys.stderr, flush=True)
        raise
    try:
        answer = json.loads(stdout)["local"]
    except (ValueError, KeyError, TypeError):
        raise CommandExecutionError(_no_answer(function, id_, stdout, said, retcode, hear)) from None
    __context__["retcode"] = retcode
    return answer


@contextlib.contextmanager
def _ended_once():
    """Only the first signal ends the view: a terminal and salt-ssh's first process both send one, at any distance.

    The second one, in the middle of saying what becomes of what was begun, would leave that unsaid.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)

    def end(number, _frame):
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is end:  # Behind a signal nothing is put back.
                signal.signal(number, handler)


def _watch(argv, hear):
    """Run it, pass on what it says while it does, and return its output, its last words and its exit code."""
    said = collections.deque(maxlen=5)
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE if hear else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )

    def relay():
        for line in process.stderr:
            said.append(line.strip())
            print(line, end="", file=sys.stderr, flush=True)

    # A daemon, not waited for where the view ends: the shared connection keeps the pipe until the droplet is done.
    voice = threading.Thread(target=relay, daemon=True)
    voice.start()
    stdout = []
    try:
        for line in process.stdout:
            answer = hear(line) if hear else None
            if answer is None:
                stdout.append(line)
            else:
                # It may be gone: then it has given no answer either, and that is said.
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(answer)
                    process.stdin.flush()
    except BaseException:
        process.terminate()
        raise
    voice.join()
    return "".join(stdout), [line for line in said if line], process.wait()


def _left(function, id_, hear):
    """What becomes of a function whose view has ended."""
    if hear:
        return f"{function} on {id_} is not finished, and the same command goes on with it"
    return f"what {function} has begun on {id_} goes on. See how: salt-ssh {id_} deploy.status"


def _no_answer(function, id_, stdout, said, retcode, hear):
    if retcode == SSH_FAILED:
        return (
            f"the connection to {id_} ended before {function} answered: {' / '.join(said) or 'nothing was said'}. "
            + _left(function, id_, hear)
        )
    words = said or stdout.strip().splitlines()[-5:] or ["nothing"]
    return (
        f"{function} gave no answer (exit code {retcode}): {' / '.join(words)}. "
        f"Has {id_} been converged? salt-ssh {id_} state.apply"
    )
