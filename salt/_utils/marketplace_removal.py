"""Taking this deployment off a host: what may be in the way, and what is said of the data that stay. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from marketplace_managed import NAMES, is_managed, ours, place, theirs


def unconfirmed(minion_id: str, said: str, test: bool) -> str | None:
    """Why a removal is not begun: nobody has said which droplet is meant. None where somebody has.

    Args:
        said: what the command line gives as ``remove``.
        test: whether it is only asked what would be done, which takes no word of anybody.
    """
    if said == minion_id or (test and not said):
        return None
    command = f'salt-call state.apply marketplace.absent pillar=\'{{"remove": "{minion_id}"}}\''
    if said:
        return (
            f"this droplet is {minion_id}, and not {said}: nothing was removed. Are you where you want to be?"
        )
    return (
        f"this takes the bot of {minion_id} off this host, with PostgreSQL, Redis, edge and firewall, and leaves data "
        f"and backups. See what would go: salt-call state.apply marketplace.absent test=True. Then: {command}"
    )


def engine_is_needed(packages: Iterable[str] | None, others: Iterable[str]) -> str | None:
    """Why Docker can't go: others' containers or volumes are in it. None where it can, or stays.

    Args:
        packages: those that were there before this deployment; None: nobody knows, and none is removed.
        others: containers and volumes that are not this deployment's.
    """
    found = sorted(others)
    if packages is None or "docker.io" in packages or not found:
        return None
    return (
        f"Docker came with this deployment and goes with it, but others use it: {', '.join(found)}. Move them "
        "elsewhere, or remove them (docker rm, docker volume rm), then try again"
    )


def left(settings: Mapping[str, Any], minion_id: str) -> str:
    """What stays, where it is, and how it is read: for whoever comes here later.

    Args:
        settings: the effective ones.
    """
    storage = settings["backup"]["storage"]["target"]
    volumes = {f"/srv/data/{name}": name for name in ours(settings)} | {"/var/backups/marketplace": "backup"}
    places = "\n".join(
        f"    {path:26} {settings[name]['device'] or f'/var/lib/marketplace/volumes/{name}.img'}"
        for path, name in volumes.items()
    )
    return f"""\
The marketplace of {minion_id} was removed from this host by salt-call state.apply marketplace.absent.
Its data and backups were not. They belong to people: keep this host closed, or delete them (below).

DATA     {_data(settings)}
BACKUPS  /var/backups/marketplace/data    base backups and log (barman/), dumps (dump/), settings and secrets (house/)
         copy elsewhere: {storage or "none"}{", encrypted with backup_key" if storage else ""}
KEYS     /etc/marketplace/secrets     backup_key reads the copy, postgres_*_password are the database's;
         only root reads them. Keep backup_key elsewhere as well.
RECORD   /var/lib/marketplace         releases, ledger, uptime
File systems, mounted at boot:
{places}

ALL OF IT BACK, with these data:
    salt-call state.apply

READ {_reading(settings)}

TELEGRAM was told nothing: the webhook is registered as it was, so that updates wait there for a day, and come to
whoever answers at {settings["edge"]["domains"][0]} by then. To give the bot up, or to run it elsewhere by polling:
    curl "{settings["telegram"]["api_url"]}/bot<TOKEN>/deleteWebhook"

SALT is left, with the tree:
    rm -rf /opt/salt /usr/local/bin/salt-call /usr/local/lib/salt /etc/salt /var/cache/salt /run/salt \\
        /var/log/salt /srv/deploy

DATA, BACKUPS AND KEYS GONE FOR GOOD:
    systemctl disable --now {" ".join(f"{path[1:].replace('/', '-')}.mount" for path in volumes)}
    rm -r /srv/data /var/backups/marketplace /var/lib/marketplace /etc/marketplace \\
        /etc/systemd/system/srv-data-*.mount /etc/systemd/system/var-backups-marketplace.mount
"""


def _data(settings: Mapping[str, Any]) -> str:
    database = settings["postgres"]["database"]
    here = {
        "postgres": f"/srv/data/postgres/data/17   PostgreSQL 17, database {database}, stopped in order",
        "redis": "/srv/data/redis/data         Redis, its snapshot dump.rdb",
    }
    at_providers = [
        f"{NAMES[name]} is at its provider, {place(settings, name)}: nothing was done there"
        for name in theirs(settings)
    ]
    return "\n         ".join([*(here[name] for name in ours(settings)), *at_providers])


def _reading(settings: Mapping[str, Any]) -> str:
    dumps = "with pg_restore of any version from 17 on: /var/backups/marketplace/data/dump/"
    if is_managed(settings, "postgres"):
        return f"the database at its provider, or a dump {dumps}"
    postgres = settings["postgres"]
    return f"""\
the database without it, on any host with Docker (as root):
    docker run --detach --name reader --network none --user {postgres["user"]} --tmpfs /var/run/postgresql:mode=1777 \\
        --volume /srv/data/postgres/data:/data --env PGDATA=/data/17 \\
        {postgres["reference"]}
    docker exec -it reader psql -U postgres {postgres["database"]}
or a weekly dump, {dumps}"""
