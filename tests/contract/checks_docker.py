"""Containers and images."""

from collections.abc import Iterator
from contextlib import contextmanager

from marketplace_container import ContainerState, DockerError
from marketplace_reference import Reference

from tests.contract.effects import NAME, ONE_OFF, PROBE, PROJECT, Effects, raises


def _state(effects: Effects) -> ContainerState:
    return effects.world.docker.containers(PROBE)[PROBE]


@contextmanager
def _probe(effects: Effects, kind: str = "good") -> Iterator[None]:
    """A container of a compose project runs, and is gone again afterwards."""
    file = effects.place / f"{kind}.yaml"
    effects.world.disk.write(file, effects.compose(kind))
    try:
        effects.world.docker.start_project(file, "probe")
        yield
    finally:
        effects.world.docker.remove(PROBE)
        effects.world.disk.remove(file)


def check_containers_that_do_not_exist(effects: Effects) -> None:
    docker = effects.world.docker
    assert docker.containers() == {}
    assert docker.containers(PROBE) == {}
    assert set(docker.containers("postgres", PROBE)) == {"postgres"}
    docker.stop(PROBE, grace=1)
    docker.remove(PROBE)
    with raises(DockerError):
        docker.start(PROBE)
    assert docker.exec_in(PROBE, ["true"], timeout=10).returncode != 0


def check_project_is_started_stopped_and_started_again(effects: Effects) -> None:
    docker = effects.world.docker
    with _probe(effects):
        state = _state(effects)
        assert (state.status, state.running, state.restarts, state.oom_killed) == ("running", True, 0, False)
        assert state.labels["marketplace.release"] == "contract"
        assert state.image == effects.image
        assert docker.projects()[PROBE] == PROJECT
        assert "postgres" in docker.projects()
        assert ONE_OFF not in docker.projects()
        docker.stop(PROBE, grace=10)
        assert (_state(effects).status, _state(effects).exit_code) == ("exited", 0)
        docker.stop(PROBE, grace=10)
        assert docker.projects()[PROBE] == PROJECT
        docker.start(PROBE)
        docker.start(PROBE)
        assert _state(effects).running
    assert docker.containers(PROBE) == {}
    assert PROBE not in docker.projects()


def check_project_replaces_what_is_there(effects: Effects) -> None:
    docker, file = effects.world.docker, effects.place / "again.yaml"
    with _probe(effects):
        docker.stop(PROBE, grace=10)
        effects.world.disk.write(file, effects.compose("another"))
        docker.start_project(file, "probe")
        state = _state(effects)
        assert state.running
        assert state.labels["marketplace.release"] == "another"
        assert [name for name in docker.projects() if name.endswith(PROBE)] == [PROBE]
    effects.world.disk.remove(file)


def check_project_needs_its_file_and_its_image(effects: Effects) -> None:
    docker, file = effects.world.docker, effects.place / "missing.yaml"
    with raises(DockerError):
        docker.start_project(file, "probe")
    effects.world.disk.write(file, effects.compose("missing"))
    with raises(DockerError):
        docker.start_project(file, "probe")
    assert docker.containers(PROBE) == {}
    effects.world.disk.remove(file)


def check_container_that_exits_is_restarted_and_counted(effects: Effects) -> None:
    docker, clock = effects.world.docker, effects.world.clock
    assert docker.last_exit(PROBE) is None
    with _probe(effects):
        assert docker.last_exit(PROBE) is None
    with _probe(effects, "exits"):
        assert clock.wait_until(lambda: _state(effects).restarts > 0, timeout=20)
        assert _state(effects).status in ("restarting", "running", "exited")
        assert docker.last_exit(PROBE) == 3
        docker.stop(PROBE, grace=1)
        counted = _state(effects)
        assert counted.status == "exited"
        assert not clock.wait_until(lambda: _state(effects) != counted, timeout=1.5)


def check_half_made_container_is_listed_and_removed(effects: Effects) -> None:
    """Whether compose gets over it is up to compose: mostly it does, sometimes its name is in the way."""
    docker, file = effects.world.docker, effects.place / "good.yaml"
    with _probe(effects):
        stray = effects.leave_stray()
        assert docker.projects()[stray] == PROJECT
        assert docker.containers(stray)[stray].status == "created"
        docker.remove(stray)
        assert stray not in docker.projects()
        docker.remove(PROBE)
        docker.start_project(file, "probe")
        assert _state(effects).running


def check_one_off_returns_what_it_said_and_its_exit_code(effects: Effects) -> None:
    docker = effects.world.docker
    result = docker.run_once(effects.one_off("prints"), timeout=60)
    assert (result.returncode, result.stdout.strip()) == (0, "out")
    result = docker.run_once(effects.one_off("fails"), timeout=60)
    assert (result.returncode, "err" in result.stderr) == (3, True)
    assert docker.containers(ONE_OFF) == {}
    assert docker.run_once(effects.one_off("missing"), timeout=60).returncode == 125


def check_one_off_that_outlasts_its_deadline_goes_on_until_it_is_removed(effects: Effects) -> None:
    docker = effects.world.docker
    try:
        with raises(DockerError, "took longer than 3 s"):
            docker.run_once(effects.one_off("hangs"), timeout=3)
        assert docker.containers(ONE_OFF)[ONE_OFF].running
        # And its name is taken: that is an exit code as well, no error.
        assert docker.run_once(effects.one_off("prints"), timeout=60).returncode == 125
    finally:
        docker.remove(ONE_OFF)
    assert docker.containers(ONE_OFF) == {}


def check_command_in_a_container(effects: Effects) -> None:
    docker = effects.world.docker
    result = docker.exec_in("postgres", ["cat"], timeout=20, stdin="hello\n")
    assert (result.returncode, result.stdout) == (0, "hello\n")
    assert docker.exec_in("postgres", ["false"], timeout=20).returncode == 1


def check_image_is_found_by_each_of_its_names(effects: Effects) -> None:
    docker, reference = effects.world.docker, Reference.parse(effects.image)
    facts = docker.image(effects.image)
    assert facts is not None
    assert facts.labels["marketplace.contract"] == "1"
    assert facts.has_healthcheck
    assert facts.architecture == docker.architecture()
    by_digest = f"{reference.repository}@{reference.digest}"
    assert by_digest in facts.repo_digests
    assert docker.image_names()[by_digest] == facts.id
    # Of a tag and a digest, the digest is obeyed.
    for name in (by_digest, f"{reference.repository}:nonsense@{reference.digest}", facts.id):
        found = docker.image(name)
        assert found is not None, name
        assert found.id == facts.id
    assert docker.image(f"{reference.repository}:nonsense") is None
    assert docker.image(f"elsewhere.test/app@{reference.digest}") is None


def check_image_gets_and_loses_a_name(effects: Effects) -> None:
    docker = effects.world.docker
    facts = docker.image(effects.image)
    assert facts is not None
    docker.tag(facts.id, NAME)
    docker.tag(facts.id, NAME)
    assert docker.image_names()[NAME] == facts.id
    docker.untag(NAME)
    docker.untag(NAME)
    assert NAME not in docker.image_names()
    assert docker.image(effects.image) == facts
    with raises(DockerError):
        docker.tag("contract:nonsense", NAME)


def check_pull_of_what_there_is_not(effects: Effects) -> None:
    docker, repository = effects.world.docker, Reference.parse(effects.image).repository
    with raises(DockerError, "docker pull failed"):
        docker.pull(f"{repository}:nonsense")
    assert docker.remote_size(f"{repository}:nonsense") is None
    docker.pull(effects.image)


def check_last_tag_of_a_repository_takes_its_digests_along(effects: Effects) -> None:
    docker, reference = effects.world.docker, Reference.parse(effects.image)
    tagged, by_digest = (
        f"{reference.repository}:{reference.tag}",
        f"{reference.repository}@{reference.digest}",
    )
    docker.pull(tagged)
    before = docker.image_names()
    facts = docker.image(tagged)
    assert facts is not None
    docker.tag(facts.id, NAME)
    others = [name for name in before if name.startswith(f"{reference.repository}:") and name != tagged]
    try:
        for name in others:
            if before[name] == facts.id:
                docker.untag(name)
        docker.untag(tagged)
        names = docker.image_names()
        assert names[NAME] == facts.id
        assert tagged not in names
        assert by_digest not in names
        assert docker.image(effects.image) is None
    finally:
        docker.pull(effects.image)
        docker.pull(tagged)
        for name in others:
            docker.tag(before[name], name)
        docker.untag(NAME)
    assert docker.image_names() == before
