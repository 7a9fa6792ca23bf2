"""The droplet's own ``salt-call``, for what has to run there by itself: another function, or states."""

import json
import os
import subprocess
from typing import Any

SALT_CALL = "/usr/local/bin/salt-call"
# Converging a bare droplet with everything far away takes ten minutes; a release or a backup may take longer.
STATES_SECONDS = 3600.0


class SaltCallError(Exception):
    """salt-call gave no answer, or states failed; the message names them and says why."""


def function(name: str, *arguments: str, timeout: float = 600) -> Any:
    """What a function returns, whether it failed or not.

    Args:
        name: ``module.function``.
        arguments: as one would type them.
        timeout: seconds.

    Raises:
        SaltCallError: it gave no answer.
    """
    argv = [SALT_CALL, "--local", "--out=json", "--retcode-passthrough", name, *arguments]
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
            check=False,
        )
    except OSError as error:
        raise SaltCallError(f"{SALT_CALL} cannot be run: {error.strerror or error}") from error
    except subprocess.TimeoutExpired as error:
        raise SaltCallError(f"{name} took longer than {timeout:.0f} s") from error
    try:
        return json.loads(done.stdout)["local"]
    except (ValueError, KeyError, TypeError):
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-5:]
        raise SaltCallError(
            f"{name} gave no answer (exit code {done.returncode}); it said: {' / '.join(said)}"
        ) from None


def apply(*states: str) -> str:
    """Apply states, or with none given all of them; in words, how that went.

    Raises:
        SaltCallError: some failed.
    """
    return outcome(function("state.apply", *([",".join(states)] if states else []), timeout=STATES_SECONDS))


def outcome(found: Any) -> str:
    """In words, how a state.apply went.

    Args:
        found: what it returned.

    Raises:
        SaltCallError: it refused, or some states failed.
    """
    if not isinstance(found, dict):
        lines = found if isinstance(found, list) else [found]
        raise SaltCallError(f"state.apply refused: {' / '.join(str(line) for line in lines)}")
    failed = [
        f"{state['__id__']}: {state['comment']}" for state in found.values() if state["result"] is False
    ]
    if failed:
        # The first is the cause more often than not; what needed it follows.
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise SaltCallError(f"state.apply: {failed[0]}{more}")
    changed = sum(1 for state in found.values() if state["changes"])
    return f"{len(found)} states, {changed} changed"
