"""Secrets on the droplet. Values go from pillar or chance to files; no result, change or log ever holds one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marketplace_durable import make_directory
from marketplace_paths import Paths
from marketplace_secrets import Store, UnknownSecret, Wanted, docker_config, names_in, render
from marketplace_settings_secrets import CATALOGUE


def present(name: str, secrets: list[str] | None = None) -> dict[str, Any]:
    """Make secrets present in the store: given ones as pillar gives them, others generated once.

    Args:
        name: a sentence.
        secrets: names; all that the settings know by default.

    CLI Example:

    .. code-block:: bash

        salt-call state.single secret.present "Ensure the secrets are present"
    """
    store = Store(_paths().secrets)
    kinds = __pillar__["settings"]["secrets"]
    given = __pillar__.get("secrets_given") or {}
    names = sorted(kinds) if secrets is None else secrets
    lost = [item for item in names if kinds.get(item) == "given" and item not in given]
    if lost:
        comment = f"Pillar gives no value for {', '.join(lost)}: see docs/settings.md, secrets"
        return {"name": name, "result": False, "changes": {}, "comment": comment}
    actions = store.pending(names, given)
    if actions and not __opts__["test"]:
        store.ensure(
            names, given, {item: CATALOGUE[item].follows for item in names if CATALOGUE[item].follows}
        )
        if store.pending(names, given):
            return {
                "name": name,
                "result": False,
                "changes": {},
                "comment": f"Secrets in {store.directory} don't stay",
            }
    return _result(name, actions, f"{len(names)} secrets are in {store.directory}")


def only(name: str, secrets: list[str]) -> dict[str, Any]:
    """Have no secrets in the store but these.

    Args:
        name: a sentence.
        secrets: names of those that stay where they are there.
    """
    directory = _paths().secrets
    others = [file for file in _entries(directory) if file.name not in secrets]
    if not __opts__["test"]:
        for file in others:
            file.unlink()
    return _result(name, {str(file): "removed" for file in others}, f"No other secrets are in {directory}")


def delivered(
    name: str,
    files: Mapping[str, str] | None = None,
    uid: int = 0,
    gid: int = 0,
    dir_mode: str = "0711",
    rendered: Mapping[str, str] | None = None,
    copies: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Deliver secrets to one consumer: a directory that holds exactly these files, 0400, owned by the consumer.

    Args:
        name: the consumer, below /etc/marketplace/delivered; or an absolute directory.
        files: name of a secret by target file name.
        uid: who reads them.
        gid: whose group they are of.
        dir_mode: mode of the directory, which root owns.
        rendered: template by target file name, with ``{secret:NAME}`` for a value and ``{sha256:NAME}`` for a value's
            digest; ``{while:NAME|TEXT}`` is TEXT while there is a secret of that name.
        copies: absolute path of a file by target file name; its content is delivered.

    Example:

    .. code-block:: yaml

        Ensure the backend has its secrets:
          secret.delivered:
            - name: backend
            - files: {database_password: postgres_app_password, webhook_secret: webhook_secret}
            - uid: 10001
            - gid: 10001

    CLI Example:

    .. code-block:: bash

        salt-call state.single secret.delivered backend files='{webhook_secret: webhook_secret}' uid=10001
    """
    mode = int(str(dir_mode), 8)
    sources = {target: Path(source) for target, source in (copies or {}).items()}
    templates = {target: f"{{secret:{secret}}}" for target, secret in (files or {}).items()}
    ret = _delivered(name, templates | dict(rendered or {}), sources, int(uid), int(gid), mode)
    # Salt would ask mod_watch after a failure as well, and take its answer instead.
    return {"skip_watch": not __opts__["test"]} | ret


def _delivered(
    name: str, templates: Mapping[str, str], sources: Mapping[str, Path], uid: int, gid: int, mode: int
) -> dict[str, Any]:
    directory = Path(name) if name.startswith("/") else _paths().delivered / name
    actions: dict[str, str] = {}
    wanted: list[Wanted] = []
    for target in (*templates, *sources):
        template = templates.get(target, "")
        if Path(target).name != target or target in ("", ".", ".."):
            comment = f"'{target}' is not a plain file name, such as database_password"
            return {"name": name, "result": False, "changes": {}, "comment": comment}
        content, wait = _copied(sources[target]) if target in sources else _content(template)
        if content is None and not wait and target in sources:
            comment = f"There is no {sources[target]}. Require the state that makes it"
            return {"name": name, "result": False, "changes": {}, "comment": comment}
        if wait:
            actions[target] = "created"
            continue
        if content is None:
            return _missing(name, template)
        file = Wanted(directory / target, content, 0o400, uid, gid)
        action = file.pending()
        if action:
            actions[target] = action
            wanted.append(file)
    stale = [entry for entry in _entries(directory) if entry.name not in {*templates, *sources}]
    actions.update({entry.name: "removed" for entry in stale})
    if not directory.is_dir() or directory.stat().st_mode & 0o7777 != mode:
        actions["directory"] = "protected" if directory.is_dir() else "created"
    if actions and not __opts__["test"]:
        make_directory(directory)
        directory.chmod(mode)
        for file in wanted:
            file.apply()
        for entry in stale:
            entry.unlink()
        if any(file.pending() for file in wanted):
            return {
                "name": name,
                "result": False,
                "changes": {},
                "comment": f"Files in {directory} don't stay",
            }
    return _result(name, actions, f"{len(templates) + len(sources)} files are in {directory}")


def mod_watch(name: str, sfun: str = "", **_: Any) -> dict[str, Any]:
    """Predict, under test=True, that what is yet to be made is delivered; a real run has delivered it already."""
    if not __opts__["test"]:
        return _result(name, {}, "What is watched is delivered")
    return _result(name, {"what is watched": "replaced"}, "")


def docker_login(name: str) -> dict[str, Any]:
    """Make Docker's config.json for the registry in the settings, in /etc/marketplace/docker (set DOCKER_CONFIG to it).

    Without a registry the file is there and logs in to nothing, so that DOCKER_CONFIG is right in any case.

    Args:
        name: a sentence.

    CLI Example:

    .. code-block:: bash

        salt-call state.single secret.docker_login "Ensure docker can pull from the registry"
    """
    registry = __pillar__["settings"]["registry"]
    password, wait = "", False
    if registry["username"]:
        content, wait = _content("{secret:registry_password}")
        if content is None and not wait:
            return _missing(name, "{secret:registry_password}")
        password = content or ""
    text = docker_config(registry["server"] if registry["username"] else "", registry["username"], password)
    file = Wanted(_paths().docker_config / "config.json", text, 0o600, 0, 0)
    return _result(name, {str(file.path): "created"}, "") if wait else _file(name, file)


def _paths() -> Paths:
    return Paths(Path(__opts__.get("marketplace_root", "/")))


def _content(template: str) -> tuple[str | None, bool]:
    """The filled template; or None, and whether that is because test mode hasn't made its secrets."""
    try:
        return render(template, Store(_paths().secrets).read), False
    except UnknownSecret:
        expected = __pillar__.get("settings", {}).get("secrets", {})
        return None, __opts__["test"] and all(secret in expected for secret in names_in(template))


def _copied(source: Path) -> tuple[str | None, bool]:
    """A file's content; or None, and whether that is because test mode hasn't made it."""
    try:
        return source.read_text(encoding="utf-8"), False
    except FileNotFoundError:
        return None, bool(__opts__["test"])


def _missing(name: str, template: str) -> dict[str, Any]:
    store = Store(_paths().secrets)
    lost = [secret for secret in names_in(template) if not store.path(secret).exists()]
    comment = f"Not in {store.directory}: {', '.join(lost)}. Require the state that makes secrets present"
    return {"name": name, "result": False, "changes": {}, "comment": comment}


def _entries(directory: Path) -> list[Path]:
    return sorted(directory.iterdir()) if directory.is_dir() else []


def _file(name: str, file: Wanted) -> dict[str, Any]:
    action = file.pending()
    if action and not __opts__["test"]:
        make_directory(file.path.parent)
        file.apply()
        if file.pending():
            return {
                "name": name,
                "result": False,
                "changes": {},
                "comment": f"{file.path} doesn't stay as written",
            }
    return _result(name, {str(file.path): action} if action else {}, f"{file.path} is up to date")


def _result(name: str, actions: dict[str, str], unchanged: str) -> dict[str, Any]:
    if not actions:
        return {"name": name, "result": True, "changes": {}, "comment": unchanged}
    listed = ", ".join(f"{target} {action}" for target, action in sorted(actions.items()))
    if __opts__["test"]:
        return {"name": name, "result": None, "changes": actions, "comment": f"Would be: {listed}"}
    return {"name": name, "result": True, "changes": actions, "comment": f"Done: {listed}"}
