"""``make demo``: from nothing to a bot that answers, and a second release, on a droplet that stays."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from . import host, pillar
from .droplets import Droplet
from .errors import DropletError
from .paths import state_dir
from .progress import Progress
from .site import DOMAIN, Images, Site

SITE = "demo"
FIRST, SECOND = "1.0.0", "1.1.0"
ANSWER_TIMEOUT = 30
CHAT = 1001


def run(progress: Progress) -> None:
    """Make, converge and show the demonstration's droplet. On a running one everything is found done and only shown.

    Raises:
        DropletError: a step failed; the message says where its whole output is.
    """
    with progress.step("Docker engine and tools"):
        client = host.ensure(progress.note)
    site = Site(SITE, client, progress.note)
    with progress.step("Images, from Debian packages, into a registry of their own"):
        images = site.images()
    with progress.step("Bot API stand-in"):
        site.botapi()
    with progress.step("Boot the droplet: Debian 13, 4 GB, 2 CPUs"):
        droplet = site.droplet()
    with progress.step("Put the checkout at /srv/deploy, with a pillar/local for this place"):
        droplet.put_tree()
        pillar.write(droplet, pillar.local(site, images))
    with progress.step("./bootstrap.sh development"):
        _logged(droplet, ["/srv/deploy/bootstrap.sh", "development"], "bootstrap.log", progress)
    with progress.step("A user registers with the bot and lists an item"):
        talk = _lists_an_item(site)
    with progress.step(f"Version {SECOND} of the bot is built and pushed"):
        site.backend(SECOND)
    with progress.step(f"salt-call deploy.release {SECOND}"):
        release = _logged(
            droplet, ["salt-call", "--out=json", "deploy.release", SECOND], "release.log", progress
        )
    with progress.step(f"A user asks version {SECOND} for the item, and uses what is new in it"):
        talk += [(text, ask(site, text)) for text in ("/browse", "/like 1")]
    _summary(site, droplet, images, json.loads(release)["local"], talk, progress)


def ask(site: Site, text: str) -> str:
    """What the bot answers to a user's message, through Telegram's stand-in and the real HTTPS webhook.

    Raises:
        DropletError: no answer in half a minute.
    """
    try:
        return site.telegram().ask(text, chat_id=CHAT, wait=ANSWER_TIMEOUT)
    except (RuntimeError, OSError) as error:
        raise DropletError(
            f"the bot does not answer {text!r}: {error}\n"
            f"look at: docker exec {site.droplet_name('droplet')} salt-call deploy.status"
        ) from error


def _lists_an_item(site: Site) -> list[tuple[str, str]]:
    """The conversation; on a second demonstration the item is there already."""
    talk = [(text, ask(site, text)) for text in ("/start", "/browse")]
    if "#1" not in talk[-1][1]:
        talk += [(text, ask(site, text)) for text in ("/sell", "A blue bicycle", "80")]
    return talk


def _logged(droplet: Droplet, argv: list[str], name: str, progress: Progress) -> str:
    """Run a command with all it says kept in a log on this machine. Returns its standard output."""
    log = state_dir() / name
    with log.open("w") as file:

        def line(text: str) -> None:
            file.write(text + "\n")
            progress.detail(text)

        result = droplet.run(argv, check=False, line=line)
    if not result.ok:
        tail = "\n".join(log.read_text().splitlines()[-40:])
        raise DropletError(
            f"{' '.join(argv)} failed with status {result.returncode}; all of it: {log}\n{tail}"
        )
    return result.stdout


def _summary(
    site: Site,
    droplet: Droplet,
    images: Images,
    release: dict[str, Any],
    talk: list[tuple[str, str]],
    progress: Progress,
) -> None:
    address = droplet.address()
    health = droplet.run(
        [
            "curl",
            "--silent",
            "--insecure",
            "--resolve",
            f"{DOMAIN}:443:127.0.0.1",
            f"https://{DOMAIN}/healthz",
        ],
        check=False,
    ).stdout.strip()
    done = (
        "as it was before" if release["outcome"] == "unchanged" else f"released in {release['seconds']:.1f} s"
    )
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    lines = ["", "The conversation, through the Bot API's stand-in and the webhook at the TLS edge:"]
    for text, answer in talk:
        first, *rest = answer.splitlines() or [""]
        lines += [f"    you  {text}", f"    bot  {first}", *(f"         {more}" for more in rest)]
    rows = {
        "Webhook": f"https://{DOMAIN}/telegram/webhook/..., {DOMAIN} being {address}",
        "Health": f"curl -k --resolve {DOMAIN}:443:{address} https://{DOMAIN}/healthz",
        "": health,
        "Release": f"{release['version']} is live ({release['colour']}), {done}",
        "Images": f"PostgreSQL {images.postgres.tag}, Redis {images.redis.tag}, pinned by digest",
        "Status": f"docker exec {droplet.name} salt-call deploy.status",
        "Talk": f"{python} -m tests.support.droplet say /browse",
        "Shell": f"docker exec -it {droplet.name} bash",
        "Again": "make demo",
        "Throw away": "make clean",
    }
    width = max(len(name) for name in rows) + 2
    lines += ["", *(f"  {name:<{width}}{value}" for name, value in rows.items())]
    lines += ["", f"  All of it took {time.monotonic() - progress.started:.0f} s.", ""]
    print("\n".join(lines))
