"""The first steps: may this release begin, and what is it that is released? They change nothing that serves."""

import contextlib

from marketplace_colour import is_ready
from marketplace_container import DockerError
from marketplace_contract import ContractError, parse_contract, wrong_variables
from marketplace_database import DatabaseError
from marketplace_docker import ImageFacts
from marketplace_drills import late
from marketplace_flight import Run
from marketplace_managed import is_managed, ours
from marketplace_provider import ProviderError, ping
from marketplace_reference import Reference
from marketplace_release_compose import environment, project, worker
from marketplace_restore_begun import undecided
from marketplace_retention import keep_name
from marketplace_secrets import Store, UnknownSecret
from marketplace_step import StepFailed, Unchanged
from marketplace_steps_schema import lacks_migrations
from marketplace_world import World

# Layers are compressed in the registry; on disk they take about this many times their size.
UNPACKED = 3
# Room for the write-ahead log that a migration writes, besides a restore point.
LOG_ROOM = 64 << 20


def preflight(world: World, run: Run) -> str:
    """Refuse where the release could not end well: data services that do not answer, or disks with no room."""
    problems = [*_data_services(world, run), *_disks(world, run), *_drill(world, run)]
    if problems:
        raise StepFailed("; ".join(problems))
    return "data services answer, the disks have room"


def _drill(world: World, run: Run) -> list[str]:
    """A release may need a backup; going back must never wait for one."""
    if run.request.kind != "release":
        return []
    return late(world.paths, world.disk, run.settings["backup"]["max_drill_age"], world.clock.now())


def _data_services(world: World, run: Run) -> list[str]:
    problems = []
    states = world.docker.containers(*ours(run.settings))
    for name in ours(run.settings):
        state = states.get(name)
        if state is None or not state.running:
            problems.append(
                f"{name} does not run ({state.status if state else 'no container'}): "
                + (undecided(world.paths, world.disk) or "run state.apply")
            )
        elif state.health == "unhealthy":
            problems.append(f"{name} fails its health check; see: deploy.logs service={name}")
    if not problems:
        try:
            world.database.check(run.settings["postgres"]["database"])
        except DatabaseError as error:
            problems.append(str(error))
    waiting = undecided(world.paths, world.disk)
    if not problems and waiting:
        problems.append(waiting)
    if not problems and is_managed(run.settings, "redis"):
        try:
            ping(run.settings, Store(world.paths.secrets).read("redis_app_password"))
        except (ProviderError, UnknownSecret) as error:
            problems.append(str(error))
    return problems


def _disks(world: World, run: Run) -> list[str]:
    problems = []
    reserve = run.settings["backend"]["disk_reserve"]
    size = 0
    if world.docker.image(run.reference) is None:
        with contextlib.suppress(DockerError):
            size = (world.docker.remote_size(run.reference) or 0) * UNPACKED
    images = world.paths.root / "var/lib/docker"
    free, _ = world.host.free(images)
    if free < size + reserve:
        for_image = f"the image takes about {_mib(size)}, and " if size else ""
        problems.append(
            f"{images} has {_mib(free)} free: {for_image}{_mib(reserve)} are to stay free (backend:disk_reserve)"
        )
    return problems + _room_for_schema(world, run)


def _room_for_schema(world: World, run: Run) -> list[str]:
    """A restore point is a copy in the server; of a database at a provider it is a dump, among the backups."""
    problems: list[str] = []
    provided = is_managed(run.settings, "postgres")
    if provided and not run.maintenance:
        return problems
    data = world.paths.backups if provided else world.paths.root / "srv/data/postgres"
    free, _ = world.host.free(data)
    point = 0
    if run.maintenance:
        with contextlib.suppress(DatabaseError):
            point = world.database.size(run.settings["postgres"]["database"])
    if free < point + LOG_ROOM:
        for_point = f"the restore point takes {_mib(point)} and " if point else ""
        problems.append(
            f"{data} has {_mib(free)} free: {for_point}a migration's log needs {_mib(LOG_ROOM)}; "
            f"give {'backup' if provided else 'postgres'}:disk more"
        )
    return problems


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"


def pull(world: World, run: Run) -> str:
    """Have the image, resolve its digest once, and read its contract."""
    facts = _kept(world, run) if run.origin else _fetched(world, run)
    ours = world.docker.architecture()
    if facts.architecture and ours and facts.architecture != ours:
        raise StepFailed(
            f"image {run.image} is built for {facts.architecture}, this droplet is {ours}; "
            f"build it with --platform linux/{ours}"
        )
    try:
        run.contract = parse_contract(
            run.image, facts.labels, run.settings["backend"]["port"], facts.has_healthcheck
        )
    except ContractError as error:
        raise StepFailed(str(error)) from error
    given = environment(run.settings, run.release, run.version, run.colour, "application")
    wrong = wrong_variables(run.contract.environment, given)
    if wrong:
        raise StepFailed(
            f"{run.image} wants variables that are not there as it needs them: {'; '.join(wrong)}. "
            "Set them in backend:environment"
        )
    if _is_live(world, run) and not lacks_migrations(world, run):
        raise Unchanged(f"version {run.version} with these settings is live")
    # The release has a name of its own for its image, so that pruning what has no name does not take it.
    world.docker.tag(facts.id, keep_name(run.origin.origin if run.origin else run.release))
    return run.image


def _fetched(world: World, run: Run) -> ImageFacts:
    try:
        world.docker.pull(run.reference)
    except DockerError as error:
        raise StepFailed(f"image {run.reference} could not be pulled: {error}") from error
    asked = Reference.parse(run.reference)
    facts = world.docker.image(run.reference)
    digests = (
        [name.rsplit("@", 1)[1] for name in facts.repo_digests if asked.same_repository(name)]
        if facts
        else []
    )
    if facts is None or not (asked.digest or digests):
        raise StepFailed(
            f"image {run.reference} has no digest in its registry; push it to {asked.repository} first"
        )
    run.version = run.version or asked.tag or facts.labels.get("org.opencontainers.image.version", "")
    if not run.version:
        raise StepFailed(
            f"image {run.reference} has neither tag nor label that names its version; say version=... too"
        )
    # A tag and the digest in one reference: people read the tag, Docker obeys the digest.
    run.image = f"{asked.repository}:{asked.tag or run.version}@{asked.digest or digests[0]}"
    return facts


def _kept(world: World, run: Run) -> ImageFacts:
    """The image of the release that a rollback goes back to: kept here, so no registry has to answer."""
    run.image = run.reference
    facts = world.docker.image(run.image)
    if facts is None:
        try:
            world.docker.pull(run.image)
        except DockerError as error:
            raise StepFailed(
                f"image {run.image} of version {run.version} is no longer here, "
                f"and could not be pulled: {error}"
            ) from error
        facts = world.docker.image(run.image)
    if facts is None:
        raise StepFailed(f"image {run.image} was pulled and is not here; see: docker image ls")
    return facts


def forget_image(world: World, run: Run) -> None:
    """A release that did not happen keeps no image from being pruned; one that was gone back to keeps its own."""
    if run.origin is None:
        world.docker.untag(keep_name(run.release))


def _is_live(world: World, run: Run) -> bool:
    """Whether just this runs already and answers, worker and all."""
    live, colour = run.previous, run.live_colour
    if live is None or colour is None or live.colour != colour or live.settings_digest != run.settings_digest:
        return False
    same = Reference.parse(live.image).digest == Reference.parse(run.image).digest
    if not same or not is_ready(world, run.settings, colour):
        return False
    names = [project(colour), *([worker(colour)] if run.has_worker else [])]
    states = world.docker.containers(*names)
    return all(name in states and states[name].running for name in names)
