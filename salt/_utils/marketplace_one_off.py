"""One-off containers of an image: migrations, and the image's own hooks."""

import shlex

from marketplace_container import DockerError
from marketplace_flight import Run
from marketplace_release_compose import MIGRATION, one_off
from marketplace_step import StepFailed
from marketplace_world import World

# Of what somebody else wrote, this much goes into a record.
OUTPUT_CHARACTERS = 4000
QUESTION_SECONDS = 60


def run_once(
    world: World, run: Run, image: str, command: tuple[str, ...], timeout: float, role: str = "owner"
) -> str:
    """Run ``command`` in a container of its own, as the schema's owner or, for hooks, as the application.

    Args:
        image: the reference with its digest; timeout: seconds that it may take.

    Returns:
        What it wrote to stdout.

    Raises:
        StepFailed: with its output, in which no secret is left.
        KeyboardInterrupt: a signal came meanwhile; the container is removed then.
    """
    delivered = str(world.paths.delivered / ("migration" if role == "owner" else "backend"))
    arguments = one_off(
        run.settings, run.release, run.version, image, run.colour, command, delivered, timeout, role
    )
    words = shlex.join(command)
    try:
        # One that a killed release left behind has our name and our address.
        world.docker.remove(MIGRATION)
        result = world.docker.run_once(arguments, timeout=timeout + 10)
    except KeyboardInterrupt:
        # Who only asked is gone; what it started goes on without it.
        world.docker.remove(MIGRATION)
        raise
    except DockerError as error:
        world.docker.remove(MIGRATION)
        raise StepFailed(f"`{words}` in {image}: {world.scrubbed(str(error))}") from error
    if result.returncode != 0:
        output = world.scrubbed((result.stdout + result.stderr).strip())
        said = f"Its output:\n{output[-OUTPUT_CHARACTERS:]}" if output else "It said nothing."
        raise StepFailed(f"`{words}` failed with exit code {result.returncode}. {said}")
    return result.stdout


def revisions(world: World, run: Run, image: str, command: tuple[str, ...]) -> list[str]:
    """What ``marketplace.migrate.current`` or ``.heads`` prints: ids, one a line, the id first."""
    output = run_once(world, run, image, command, QUESTION_SECONDS)
    return sorted(line.split()[0] for line in output.splitlines() if line.strip())
