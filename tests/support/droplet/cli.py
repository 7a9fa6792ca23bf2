"""The command line: ``python -m tests.support.droplet demo|clean|scratch|destroy|image|shell|list``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

from docker.errors import DockerException

from . import clean, demo, host, image, pillar
from .errors import DropletError
from .progress import Progress
from .site import Site, names

SHELL = ["docker", "exec", "--interactive"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status."""
    options = _parser().parse_args(arguments)
    progress = Progress()
    try:
        return int(options.run(options, progress) or 0)
    except (DropletError, DockerException) as error:
        progress.fail()
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        progress.fail()
        print("interrupted; 'make clean' removes what was made so far", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.support.droplet", description="Local droplets.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("demo", help="a droplet with a bot that answers, left running")
    command.set_defaults(run=lambda options, progress: demo.run(progress))

    command = commands.add_parser("clean", help="remove everything that this program ever made")
    command.set_defaults(run=lambda options, progress: clean.everything(progress))

    command = commands.add_parser(
        "scratch", help="a fresh droplet with this checkout and a fitting pillar/local"
    )
    command.add_argument("site", help="a name of your own, for example 'anna'")
    command.add_argument(
        "--role", default="droplet", help="a second droplet of the same site has another role"
    )
    command.add_argument("--converge", action="store_true", help="run bootstrap.sh as well")
    command.set_defaults(run=_scratch)

    command = commands.add_parser("destroy", help="remove a site made by 'scratch'")
    command.add_argument("site")
    command.set_defaults(run=lambda options, progress: Site(options.site, say=progress.note).destroy())

    command = commands.add_parser("image", help="build the images")
    command.set_defaults(run=_image)

    command = commands.add_parser("shell", help="a root shell in a droplet")
    command.add_argument("site", nargs="?", default="demo")
    command.add_argument("command", nargs=argparse.REMAINDER, help="a command instead of a shell")
    command.add_argument("--role", default="droplet")
    command.set_defaults(run=_shell)

    command = commands.add_parser("say", help="write to the demo's bot as a user, and show its answer")
    command.add_argument("text", help="for example '/browse'")
    command.add_argument("--site", default="demo")
    command.set_defaults(run=_say)

    command = commands.add_parser("list", help="the sites that are there")
    command.set_defaults(run=lambda options, progress: print("\n".join(names(host.connect())) or "none"))
    return parser


def _scratch(options: argparse.Namespace, progress: Progress) -> None:
    site = Site(options.site, host.ensure(progress.note), progress.note)
    with progress.step("Boot Bot API stand-in and registry, push images"):
        images = site.images()
        site.botapi()
    with progress.step("Boot the droplet"):
        droplet = site.droplet(options.role)
    with progress.step("Copy the checkout to /srv/deploy"):
        droplet.put_tree()
        pillar.write(droplet, pillar.local(site, images))
    if options.converge:
        with progress.step("./bootstrap.sh development"):
            droplet.run(["/srv/deploy/bootstrap.sh", "development"], line=progress.detail)
    print(f"{droplet.name} at {droplet.address()}; a shell: docker exec -it {droplet.name} bash")


def _image(options: argparse.Namespace, progress: Progress) -> None:
    client = host.ensure(progress.note)
    with progress.step("Images"):
        image.build_all(client, list(image.PARENTS), progress.note)


def _say(options: argparse.Namespace, progress: Progress) -> None:
    site = Site(options.site, host.connect(), progress.note)
    if site.find_droplet() is None:
        raise DropletError(f"there is no droplet of site '{options.site}'; 'make demo' makes one")
    print(demo.ask(site, options.text))


def _shell(options: argparse.Namespace, progress: Progress) -> int:
    droplet = Site(options.site, host.connect()).find_droplet(options.role)
    if droplet is None:
        raise DropletError(f"there is no droplet of site '{options.site}'; 'make demo' makes one")
    terminal = ["--tty"] if sys.stdin.isatty() else []
    environment = ["--env", f"TERM={os.environ.get('TERM', 'dumb')}"]
    command = options.command or ["bash", "-l"]
    return subprocess.run([*SHELL, *terminal, *environment, droplet.name, *command], check=False).returncode
