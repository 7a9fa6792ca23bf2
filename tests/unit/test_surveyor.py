"""The watchdog's survey: made by a process of its own, and some of its parts."""

import time

import pytest
from marketplace_survey import PARTS, survey
from marketplace_surveyor import EVERY, Surveyor


def until(surveyor, condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        surveyor.turn()
        time.sleep(0.02)


def test_a_survey_is_made_by_a_process_of_its_own(tmp_path):
    program = tmp_path / "survey.py"
    program.write_text(
        "import json, sys\n"
        "print(json.dumps({'found': {'units': sys.argv[1:]}, 'errors': {'clock': 'no chrony'}}))\n"
    )
    surveyor = Surveyor(program)
    until(surveyor, lambda: surveyor.found)
    assert surveyor.found["units"] == list(EVERY)
    assert surveyor.errors == {"clock": "no chrony"}
    # Nothing is due again at once.
    assert surveyor.turn() == []
    assert surveyor.turn() == []


def test_a_survey_that_breaks_is_said_for_every_part(tmp_path):
    program = tmp_path / "survey.py"
    program.write_text("raise SystemExit(3)\n")
    surveyor = Surveyor(program)
    until(surveyor, lambda: surveyor.errors)
    assert surveyor.errors == dict.fromkeys(EVERY, "it ended with exit code 3")


def test_a_survey_that_can_not_be_begun_ends_no_look(tmp_path, monkeypatch):
    def full():
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    surveyor = Surveyor(tmp_path / "survey.py")
    assert (surveyor.turn(), surveyor.turn()) == ([], [])
    assert "No space left" in surveyor.errors["units"]


def test_a_survey_that_hangs_is_ended(tmp_path, monkeypatch):
    program = tmp_path / "survey.py"
    program.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr("marketplace_surveyor.LONGEST", 0.2)
    surveyor = Surveyor(program)
    until(surveyor, lambda: surveyor.errors)
    assert "took longer" in surveyor.errors["units"]


@pytest.mark.parametrize(
    ("strength", "unwell"),
    [
        ("full", ["b.service", "prometheus-node-exporter.service"]),
        # Nobody misses what nobody wants.
        ("minimal", ["b.service"]),
    ],
)
def test_units_that_failed_or_that_systemd_starts_again_and_again(monkeypatch, tmp_path, strength, unwell):
    for name in ("prometheus", "prometheus-node-exporter"):
        (tmp_path / f"{name}.service").touch()

    def systemctl(*command):
        patterns = [word for word in command if word.endswith(".service")]
        listed = {"b.service": "failed", "prometheus-node-exporter.service": "activating"}
        listed |= dict.fromkeys(set(patterns) - listed.keys(), "active")
        state = next(
            word.rpartition("=")[2].replace("--", "") for word in command if word[:3] in ("--f", "--s")
        )
        return "".join(f"{name} loaded {shown} -\n" for name, shown in listed.items() if shown == state)

    monkeypatch.setattr("marketplace_survey._run", systemctl)
    # The other exporters' packages are still to come.
    monkeypatch.setattr("marketplace_survey._PACKAGED", tmp_path)
    assert PARTS["units"](None, {"monitoring": {"strength": strength}}) == unwell


def test_how_often_systemd_has_restarted_whom(monkeypatch):
    monkeypatch.setattr("marketplace_survey._run", lambda *_: "2\n\n0\n\n0\n\n1\n")
    assert PARTS["restarts"](None, {}) == {"edge": 2, "docker": 0, "containerd": 0, "alertmanager": 1}


def test_one_part_that_fails_keeps_nobody_from_the_others(monkeypatch):
    def fails(*_):
        raise FileNotFoundError("chronyc")

    monkeypatch.setitem(PARTS, "clock", fails)
    monkeypatch.setitem(PARTS, "units", lambda *_: [])
    assert survey(None, {}, ["clock", "units"]) == {
        "found": {"units": []},
        "errors": {"clock": "FileNotFoundError: chronyc"},
    }
    assert PARTS.keys() == EVERY.keys()
