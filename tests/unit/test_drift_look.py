"""A look as a whole, over a droplet that is made up: when it is made, made again or put off, and what it keeps."""

import json
from types import SimpleNamespace

import marketplace_drift_look as subject
import pytest
from marketplace_clock import Clock
from marketplace_drift import SETTLED
from marketplace_drift_look import FROM_AFAR, Disturbed, DriftLook
from marketplace_inventory_look import other_images
from marketplace_lock import LockHeld
from marketplace_paths import Paths

SETTINGS = {"postgres": {"reference": "pg@sha256:1"}, "redis": {"reference": "redis@sha256:2"}}
WELL = {
    "file_|-Ensure x_|-/etc/x_|-managed": {
        "__id__": "Ensure x",
        "name": "/etc/x",
        "result": True,
        "changes": {},
    }
}
EDITED = {
    "file_|-Ensure x_|-/etc/x_|-managed": {
        "__id__": "Ensure x",
        "name": "/etc/x",
        "result": None,
        "changes": {"diff": "-hunter2hunter2\n+as it was"},
    }
}


@pytest.fixture
def droplet(tmp_path, monkeypatch):
    """Files of a droplet that has the states; its inventory is ``droplet.there``, and nothing is at work."""
    paths = Paths(tmp_path)
    (tmp_path / "srv/deploy/salt").mkdir(parents=True)
    (tmp_path / "srv/deploy/salt/top.sls").write_text("")
    found = SimpleNamespace(paths=paths, there={"account": {"root": "0"}}, images={}, busy=[], applying=[])
    found.world = SimpleNamespace(
        paths=paths, clock=Clock(), scrubbed=lambda text: text.replace("hunter2hunter2", "(secret)")
    )
    monkeypatch.setattr(subject, "take", lambda world: ({k: dict(v) for k, v in found.there.items()}, []))
    monkeypatch.setattr(subject, "packaged", lambda names: set())
    monkeypatch.setattr(subject, "other_images", lambda *_: found.images)
    monkeypatch.setattr(subject, "busy", lambda paths: found.busy.pop(0) if found.busy else None)
    monkeypatch.setattr(subject.time, "sleep", lambda _: None)
    return found


def looking(droplet, answer=WELL, apply=None):
    said = apply or (lambda: answer)
    return DriftLook(droplet.world, said, lambda: droplet.applying.pop(0) if droplet.applying else "")


def look(droplet, answer=WELL, wait=0):
    return looking(droplet, answer).look(SETTINGS, "ann", wait)


def test_the_first_look_takes_what_it_finds_for_right(droplet):
    assert look(droplet)["differences"] == []
    droplet.there["account"]["eve"] = "0"
    found = look(droplet)["differences"]
    assert [(one["state"], one["name"], one["owned"]) for one in found] == [("account", "eve", False)]
    assert json.loads(droplet.paths.drift.read_text())["differences"] == found


def test_what_is_accepted_is_no_drift_any_more(droplet):
    look(droplet)
    droplet.there["account"]["eve"] = "0"
    look(droplet, EDITED)
    assert looking(droplet).accept("ann") == ["account eve was added (0)"]
    left = json.loads(droplet.paths.drift.read_text())["differences"]
    assert [one["name"] for one in left] == ["/etc/x"]
    assert look(droplet)["differences"] == []


def test_no_secret_is_kept(droplet):
    assert look(droplet, EDITED)["differences"][0]["detail"] == "-(secret)\n+as it was"
    assert "hunter2hunter2" not in droplet.paths.drift.read_text()


def test_what_is_pending_is_no_drift_but_what_nobody_owns_is(droplet):
    look(droplet)
    droplet.there["account"]["eve"] = "0"
    waits = {
        f"drift_|-{SETTLED}_|-x_|-settled": {
            "__id__": SETTLED,
            "result": None,
            "changes": {"tree": "it moved"},
        }
    }
    found = look(droplet, EDITED | waits)
    assert [one["name"] for one in found["differences"]] == ["eve"]
    assert found["pending"][0] == "it moved"


def test_states_that_do_not_even_compile_are_trouble(droplet):
    found = look(droplet, ["Rendering SLS 'base:ssh' failed"])
    assert found["trouble"] == ["state.apply test=True fails: Rendering SLS 'base:ssh' failed"]


def test_a_droplet_that_is_converged_from_elsewhere_looks_at_the_rest(droplet):
    (droplet.paths.root / "srv/deploy/salt/top.sls").unlink()
    droplet.paths.state.mkdir(parents=True)
    droplet.paths.applied.write_text(json.dumps({"names": ["/etc/cron.d/ours"]}))
    droplet.there["file"] = {}
    look(droplet)
    droplet.there["file"] = {"/etc/cron.d/ours": "1", "/etc/cron.d/eve": "2"}
    found = looking(droplet, apply=lambda: pytest.fail("there are no states")).look(SETTINGS, "ann", 0)
    assert (found["trouble"], found["note"]) == ([], FROM_AFAR)
    assert [one["name"] for one in found["differences"]] == ["/etc/cron.d/eve"]


def test_a_look_waits_for_who_is_at_work_and_not_for_ever(droplet):
    droplet.busy = ["a release runs", "a backup runs"]
    assert look(droplet, wait=60)["differences"] == []
    droplet.applying = ["state.apply is running (pid 7)"]
    with pytest.raises(Disturbed, match="pid 7"):
        look(droplet)
    assert json.loads(droplet.paths.drift.read_text())["differences"] == []


def test_a_look_in_the_middle_of_which_states_were_applied_is_made_again(droplet):
    droplet.paths.state.mkdir(parents=True)
    looks = []

    def apply():
        looks.append(1)
        if len(looks) == 1:
            droplet.paths.applied.write_text("{}")
        return EDITED if len(looks) == 1 else WELL

    assert looking(droplet, apply=apply).look(SETTINGS, "ann", 0)["differences"] == []
    assert len(looks) == 2


def test_two_do_not_look_at_once(droplet):
    other = looking(droplet)
    with other.lock.held("bob", "a look for drift"), pytest.raises(LockHeld, match="bob"):
        look(droplet)


def test_a_container_from_another_image_is_named_with_what_to_do(droplet):
    droplet.images = {"postgres": "runs from x", "backend-blue": "runs from y"}
    found = {one["name"]: one for one in look(droplet)["differences"]}
    assert found["postgres"]["remedy"] == "docker rm --force postgres, then salt-call state.apply"
    assert "deploy.release" in found["backend-blue"]["remedy"]


class Engine:
    """Docker with these containers (name -> image id), and images by reference."""

    def __init__(self, containers, images):
        self._containers, self._images = containers, images

    def run(self, *words):
        if words[1] == "ls":
            found = [name for name in self._containers if f"--filter=name=^/?{name}$" in words]
            return SimpleNamespace(stdout=" ".join(found))
        rows = [
            {"Name": f"/{name}", "Image": self._containers[name], "Config": {"Image": "somebody's"}}
            for name in words[2:]
        ]
        return SimpleNamespace(stdout=json.dumps(rows))

    def image(self, reference):
        found = self._images.get(reference)
        return None if found is None else SimpleNamespace(id=found)


@pytest.mark.parametrize(
    ("running", "pending", "wrong"),
    [
        ({"postgres": "sha256:1", "redis": "sha256:2", "backend-blue": "sha256:3"}, [], set()),
        (
            {"postgres": "sha256:9", "redis": "sha256:2", "backend-blue": "sha256:9"},
            ["redis"],
            {"postgres", "backend-blue"},
        ),
        ({"redis": "sha256:2", "worker-blue": "sha256:9"}, [], {"worker-blue"}),
        (
            {"postgres": "sha256:9", "redis": "sha256:2", "backend-blue": "sha256:3"},
            ["postgres"],
            set(),
        ),
        ({}, [], set()),
    ],
)
def test_which_container_runs_from_another_image(running, pending, wrong):
    images = {"pg@sha256:1": "sha256:1", "redis@sha256:2": "sha256:2", "bot@sha256:3": "sha256:3"}
    live = SimpleNamespace(colour="blue", image="bot@sha256:3")
    world = SimpleNamespace(docker=Engine(running, images), ledger=SimpleNamespace(live=lambda: live))
    assert set(other_images(world, SETTINGS, pending)) == wrong
