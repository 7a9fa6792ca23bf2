"""Salt's own virtual environment on the droplet."""

from pathlib import Path

__virtualname__ = "salt_environment"

LINKS = {Path("/usr/local/bin/salt-call"): "/opt/salt/bin/salt-call"}


def __virtual__():
    return __virtualname__


def installed(name, lock, installer, requirements):
    """Salt runs from the environment of a locked list, and ``salt-call`` is on everybody's path.

    name
        A sentence.
    lock
        First twelve digits of the list's sha256: the environment's directory is named after it.
    installer, requirements
        The installer on the droplet, and the list it is given.
    """
    ret = {"name": name, "result": True, "changes": {}, "comment": f"Salt is installed from {requirements}."}
    missing = _missing(lock)
    if not missing:
        return ret
    ret["changes"] = {"salt": {"old": missing, "new": f"/opt/salt-{lock}"}}
    if __opts__["test"]:
        return ret | {"result": None, "comment": f"Salt would be installed from {requirements}."}
    done = __salt__["cmd.run_all"](
        [installer, requirements], python_shell=False, ignore_retcode=True, timeout=900
    )
    still = _missing(lock)
    if done["retcode"] or still:
        said = (done["stderr"].strip() or done["stdout"].strip()).splitlines()
        return ret | {
            "result": False,
            "changes": {},
            "comment": f"{installer}: {' / '.join(said[-5:]) or still}",
        }
    return ret


def _missing(lock):
    """What is not as it should be, in words; "" when all is."""
    home = Path(f"/opt/salt-{lock}")
    if not (home / "complete").exists():
        return f"{home} is not complete"
    links = {Path("/opt/salt"): str(home), **LINKS}
    wrong = [
        str(link) for link, target in links.items() if not link.is_symlink() or str(link.readlink()) != target
    ]
    return f"links to elsewhere: {', '.join(wrong)}" if wrong else ""
