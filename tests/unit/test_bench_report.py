"""What the bench says of a run with nothing to do."""

from bench import report
from bench.converge import Way

WAYS = [Way("ours", (2.0, 3.0, 2.5)), Way("pyinfra", (5.0, 5.0, 6.0)), Way("Ansible", (), "it is not there")]


def test_slow_states_are_told_with_the_reason_that_is_known():
    states = {
        ("compose.running", "Ensure the data services are running"): [80.0, 120.0, 90.0],
        ("file.managed", "Ensure a file is there"): [60.0, 61.0, 62.0],
        ("file.managed", "Ensure another is there"): [2.0, 200.0, 1.0],
    }
    said = report.converge([], WAYS, states)
    assert "All 3 states of ours take 0.15 s" in said
    assert "| `compose.running`: Ensure the data services are running | 90 | has docker compose say" in said
    assert "| `file.managed`: Ensure a file is there | 61 | **nobody knows** |" in said
    assert "another" not in said
    assert "| pyinfra | 5.00 | 5.00 | 6.00 | 2.0 |" in said
    assert "Ansible did not run: it is not there" in said


def test_the_note_is_what_evidence_judges():
    assert report.converge_note([], WAYS) == (
        "nothing to do in 0 resources: 2.50 s; pyinfra 5.0 s; the fastest of the others takes 2.00 times as long"
    )
