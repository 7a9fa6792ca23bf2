"""Takes the inventory of what no state owns (marketplace_inventory). Reads only."""

import base64
import contextlib
import hashlib
import json
import subprocess
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from marketplace_accounts import accounts
from marketplace_container import DockerError
from marketplace_database import DatabaseError
from marketplace_drill import CONTAINER as DRILL
from marketplace_durable import read_json
from marketplace_edge import EdgeError
from marketplace_import import READER
from marketplace_ledger import LedgerError
from marketplace_managed import SERVICES, is_managed, ours
from marketplace_release_compose import MIGRATION
from marketplace_restore import SCRATCH
from marketplace_restore_live import LIVE
from marketplace_world import World

_SECONDS = 60.0
# Who is in one of these is as good as root.
_MIGHTY = ("root", "sudo", "docker", "adm", "disk", "shadow")
_KEY_FILES = (".ssh/authorized_keys", ".ssh/authorized_keys2")
_KEY_TYPES = ("ssh-", "ecdsa-", "sk-")
# Whatever lies in one of these runs, or decides what may run.
DIRECTORIES = (
    "etc/apt/apt.conf.d",
    "etc/apt/sources.list.d",
    "etc/cron.d",
    "etc/cron.daily",
    "etc/cron.hourly",
    "etc/cron.monthly",
    "etc/cron.weekly",
    "etc/profile.d",
    "etc/ssh/sshd_config.d",
    "etc/sudoers.d",
    "etc/sysctl.d",
    "etc/systemd/system",
    "var/spool/cron/crontabs",
)
FILES = ("etc/crontab", "etc/sudoers", "etc/ld.so.preload", "etc/rc.local", "etc/apt/sources.list")
# Docker leaves these chains to others: whatever is in there, somebody has added.
_FREE_CHAINS = ("INPUT", "OUTPUT", "DOCKER-USER")
_ROLES = """SELECT json_object_agg(rolname, concat_ws(', ', CASE WHEN rolsuper THEN 'superuser' END,
    CASE WHEN rolcreaterole THEN 'makes roles' END, CASE WHEN rolcanlogin THEN 'may log in' ELSE 'may not log in' END))
  FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%'"""
_SETTINGS = """SELECT coalesce(json_object_agg(concat_ws(' of ', split_part(one, '=', 1),
    'role ' || nullif(setrole, 0)::regrole::text, 'database ' || d.datname), split_part(one, '=', 2)), '{}')
  FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(setconfig) one"""

# What says that there is nothing to look at, and not that there is nothing.
TROUBLE = (OSError, subprocess.SubprocessError, DockerError, DatabaseError, ValueError, KeyError)


def take(world: World) -> tuple[dict[str, dict[str, str]], list[str]]:
    """What there is, by kind; and what could not be looked at, in words. A provider's database is the provider's."""
    root = world.paths.root
    found: dict[str, dict[str, str]] = {}
    trouble = []
    looks: dict[str, Callable[[], dict[str, str]]] = {
        "account": lambda: logins((root / "etc/passwd").read_text()),
        "authorised key": lambda: keys(root),
        "group member": lambda: members((root / "etc/group").read_text()),
        "file": lambda: files(root),
        "held package": held_packages,
        "firewall table": lambda: dict.fromkeys(tables(_ruleset()), ""),
        "firewall rule": lambda: free_rules(_ruleset()),
        "container": lambda: containers(world),
    }
    settings = read_json(world.paths.settings)
    if settings is None or not is_managed(settings, "postgres"):
        looks |= {
            "database role": lambda: dict(json.loads(world.database.ask("postgres", _ROLES))),
            "database setting": lambda: closed(json.loads(world.database.ask("postgres", _SETTINGS))),
        }
    for kind, look in looks.items():
        try:
            found[kind] = look()
        except TROUBLE as error:
            trouble.append(f"{kind}: {error}")
    return found, trouble


def logins(passwd: str) -> dict[str, str]:
    """Who can log in, or is root by number. Pure."""
    return {
        one.name: f"number {one.uid}, home {one.home}, shell {one.shell}"
        for one in accounts(passwd)
        if one.uid == 0 or one.has_shell
    }


def members(group: str) -> dict[str, str]:
    """Who is in a group that is as good as root. Pure."""
    rows = [line.split(":") for line in group.splitlines() if line.count(":") == 3]
    return {
        f"{who} in {name}": ""
        for name, _, _, all_ in rows
        if name in _MIGHTY
        for who in all_.split(",")
        if who
    }


def keys(root: Path) -> dict[str, str]:
    """Every key that lets somebody in: account and fingerprint, as ``ssh-keygen -l`` writes it."""
    found: dict[str, str] = {}
    for one in accounts((root / "etc/passwd").read_text()):
        for file in _KEY_FILES:
            with contextlib.suppress(OSError):
                text = (root / one.home.lstrip("/") / file).read_text(errors="replace")
                found |= {f"{print_} of {one.name}": comment for print_, comment in fingerprints(text)}
    return found


def fingerprints(text: str) -> list[tuple[str, str]]:
    """Fingerprint and comment of each key in an authorized_keys file. Pure."""
    found = []
    for line in text.splitlines():
        words = line.split()
        at = next((place for place, word in enumerate(words) if word.startswith(_KEY_TYPES)), None)
        if at is None or line.lstrip().startswith("#") or len(words) < at + 2:
            continue
        with contextlib.suppress(ValueError):
            digest = hashlib.sha256(base64.b64decode(words[at + 1])).digest()
            print_ = f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"
            # An option may hold a variable, and a variable anything.
            options = [f"options {_digest(' '.join(words[:at]).encode())}"] if at else []
            found.append((print_, " ".join([*options, *words[at + 2 :]])))
    return found


def files(root: Path) -> dict[str, str]:
    """Digest of each file below DIRECTORIES and of FILES; a link's is where it leads."""
    paths = [path for directory in DIRECTORIES for path in sorted((root / directory).rglob("*"))]
    paths += [root / file for file in FILES]
    found = {}
    for path in paths:
        if path.is_symlink():
            found[f"/{path.relative_to(root)}"] = f"-> {path.readlink()}"
        elif path.is_file():
            found[f"/{path.relative_to(root)}"] = _digest(path.read_bytes())
    return found


def packaged(paths: Iterable[str]) -> set[str]:
    """Those of ``paths`` that belong to a Debian package, and are as it has brought them."""
    owned = _owned(paths)
    if not owned:
        return set()
    shipped = conffiles(_command("dpkg-query", "--show", "--showformat=${Conffiles}\n"))
    return {path for path in owned if path not in shipped or shipped[path] == _md5(Path(path))}


def installed_files(paths: Iterable[str], root: Path) -> set[str]:
    """Those of ``paths`` that belong to a Debian package or were made when one came, whatever they say by now."""
    asked = set(paths)
    hashes = root / "var/lib/ucf/hashfile"
    lines = hashes.read_text().splitlines() if hashes.exists() else []
    made = {line.split()[-1] for line in lines if line.split()} | {"/etc/localtime", "/etc/timezone"}
    return _owned(asked) | (asked & made)


def _owned(paths: Iterable[str]) -> set[str]:
    asked = sorted(paths)
    if not asked:
        return set()
    # It fails where one of them is nobody's, and still names the others.
    said = _command("dpkg-query", "--search", *asked, accept=(0, 1))
    return {line.split(": ", 1)[1] for line in said.splitlines() if ": " in line}


def conffiles(said: str) -> dict[str, str]:
    """Configuration files of packages and their MD5, as dpkg knows them; debsums leaves these out. Pure."""
    rows = [line.split() for line in said.splitlines()]
    return {row[0]: row[1] for row in rows if len(row) >= 2 and row[0].startswith("/")}


def _md5(file: Path) -> str:
    try:
        return hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return ""


def closed(values: dict[str, str]) -> dict[str, str]:
    """By name a digest of each value, which may be a secret. Pure."""
    return {name: _digest(value.encode()) for name, value in values.items()}


def _digest(content: bytes) -> str:
    """Enough of it to tell two apart."""
    return hashlib.sha256(content).hexdigest()[:16]


def held_packages() -> dict[str, str]:
    """Packages that apt is told to leave alone."""
    said = _command("dpkg-query", "--show", "--showformat=${db:Status-Want} ${Package}\n")
    return {line.split()[1]: "" for line in said.splitlines() if line.startswith("hold ")}


def _ruleset() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(_command("nft", "--json", "--stateless", "list", "ruleset"))[
        "nftables"
    ]
    return found


def tables(ruleset: list[dict[str, Any]]) -> list[str]:
    """The packet filter's tables: ``inet host``. Pure."""
    found = [entry["table"] for entry in ruleset if "table" in entry]
    return [f"{table['family']} {table['name']}" for table in found]


def free_rules(ruleset: list[dict[str, Any]]) -> dict[str, str]:
    """Rules in chains that Docker leaves to others. Pure."""
    found = {}
    for entry in ruleset:
        rule = entry.get("rule") or {}
        if rule.get("table") != "filter" or rule.get("chain") not in _FREE_CHAINS:
            continue
        words = json.dumps([part for part in rule["expr"] if "counter" not in part], sort_keys=True)
        if words not in ('[{"return": null}]', "[]") and '"jump"' not in words:
            found[f"{rule['family']} filter {rule['chain']}: {words}"] = ""
    return found


def containers(world: World) -> dict[str, str]:
    """Containers that neither state.apply nor a release, a job, a restore or a drill has made, with their image."""
    listed = world.docker.run("ps", "--all", "--no-trunc", "--format={{json .}}").stdout
    rows = [json.loads(line) for line in listed.splitlines()]
    known = {*SERVICES, MIGRATION, SCRATCH, LIVE, READER, DRILL}
    return {
        row["Names"]: f"image {row['Image']}"
        for row in rows
        if row["Names"] not in known and "marketplace.release=" not in row["Labels"]
    }


def other_images(world: World, settings: dict[str, Any], pending: Collection[str]) -> dict[str, str]:
    """Containers that run from another image than they should, by name, in words.

    Args:
        settings: the effective settings.
        pending: subjects of which state.apply has said that they need a restart: that is known, and no drift.
    """
    wanted = {name: settings[name]["reference"] for name in ours(settings) if name not in pending}
    with contextlib.suppress(LedgerError, EdgeError):
        live = world.ledger.live()
        if live is not None:
            wanted |= {f"backend-{live.colour}": live.image, f"worker-{live.colour}": live.image}
    said = world.docker.run(
        "container", "ls", "--all", "--quiet", "--no-trunc", *(f"--filter=name=^/?{name}$" for name in wanted)
    ).stdout.split()
    if not said:
        return {}
    found = {}
    for entry in json.loads(world.docker.run("container", "inspect", *said).stdout):
        name = entry["Name"].lstrip("/")
        image = world.docker.image(wanted[name])
        if image is None or image.id != entry["Image"]:
            found[name] = (
                f"runs from {entry['Config']['Image']} ({entry['Image'][:19]}), and not from {wanted[name]}"
            )
    return found


def _command(*argv: str, accept: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(
        argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_SECONDS, check=False
    )
    if done.returncode not in accept:
        raise OSError(f"{argv[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
