"""The line that a run of Salt leaves."""

import json

from marketplace_run_record import record


def run(**values):
    given = {"fun": "deploy.status", "fun_args": [], "retcode": 0, "jid": "1", "return": {"live": None}}
    went_well, line = record(given | values, "alice")
    return went_well, json.loads(line)


def test_what_was_called_and_by_whom():
    assert run() == (
        True,
        {"level": "info", "message": "deploy.status went well", "by": "alice", "jid": "1"},
    )


def test_a_failure():
    went_well, line = run(fun="deploy.release", fun_args=["1.4.2", "soak=3"], retcode=1)
    assert went_well is False
    assert line["level"] == "error"
    assert line["message"] == "deploy.release 1.4.2 soak=3 failed with exit code 1"


def test_pillar_by_hand_is_not_told():
    assert "secret" not in json.dumps(run(fun_args=["pillar={'x': 'secret'}", {"x": 1}]))


def test_states_are_counted_and_named():
    states = {
        "file_|-A_|-a_|-managed": {"__id__": "Ensure A", "result": True, "changes": {"diff": "x"}},
        "file_|-B_|-b_|-managed": {"__id__": "Ensure B", "result": False, "changes": {}, "comment": "words"},
        "file_|-C_|-c_|-managed": {"__id__": "Ensure C", "result": True, "changes": {}},
    }
    _, line = run(fun="state.apply", retcode=1, **{"return": states})
    assert (line["states"], line["changed"], line["failed"]) == (3, 1, 1)
    assert (line["changed_states"], line["failed_states"]) == (["Ensure A"], ["Ensure B"])
