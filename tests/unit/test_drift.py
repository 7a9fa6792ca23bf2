"""What is drift by the answer of a run under test=True, how it is put, and what of it is kept."""

from datetime import UTC, datetime

import pytest
from marketplace_applied import fingerprint, pillar_digest, waits
from marketplace_drift import SETTLED, mask, read
from marketplace_drift_format import lines
from marketplace_drift_record import FAILS, LATE, document, put_right, status, words, write

NOON = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def row(number, module, name, result=None, changes=None, comment="", sentence=None, function="managed"):
    sentence = sentence or f"Ensure {name} is right"
    key = f"{module}_|-{sentence}_|-{name}_|-{function}"
    return {
        key: {
            "name": name,
            "__id__": sentence,
            "__run_num__": number,
            "result": result,
            "changes": changes or {},
            "comment": comment,
        }
    }


WELL = row(0, "file", "/etc/well", True) | row(1, "systemd_service", "cron", True)
EDITED = row(2, "file", "/etc/motd", changes={"diff": "--- \n+++ \n@@ -1 +1 @@\n-by hand\n+as it was\n"})
FOLLOWS = row(3, "systemd_unit", "x.service", changes={"process": {"old": "older", "new": "restarted"}})
STOPPED = row(4, "systemd_service", "chrony", changes={"activity": {"old": "stopped", "new": "running"}})


def test_a_droplet_as_it_was_left_has_no_drift():
    answer = read(WELL)
    assert (answer.differences, answer.pending, answer.trouble) == ((), (), "")
    assert {"/etc/well", "cron"} <= answer.known


def test_what_differs_is_named_in_the_states_order():
    found = read(WELL | STOPPED | FOLLOWS | EDITED).differences
    assert [(one.name, one.words, one.follows) for one in found] == [
        ("/etc/motd", "was changed", False),
        ("x.service", "process: older, and not restarted", True),
        ("chrony", "is stopped", False),
    ]
    assert found[0].detail == "-by hand\n+as it was"
    assert found[0].state == "Ensure /etc/motd is right"


def test_what_only_follows_counts_where_nothing_else_differs():
    assert [one.follows for one in read(WELL | FOLLOWS).differences] == [False]


@pytest.mark.parametrize(
    ("module", "changes", "said"),
    [
        ("file", {"newfile": "/etc/x"}, "is missing"),
        ("file", {"mode": "0600"}, "its mode is not 0600"),
        ("file", {"user": "root"}, "its owner is not root"),
        ("apt_package", {"jq": {"old": None, "new": "installed"}}, "jq: missing, and not installed"),
        ("nft_table", {"rules": {"old": ['{"rule": 1}'], "new": []}}, 'rules: 1 by hand ({"rule": 1})'),
        ("nft_table", {"rules": {"old": [], "new": ["{}", "{}"]}}, "rules: 2 missing"),
        ("redis_server", {"eve": {"old": "as loaded", "new": "removed"}}, "eve: as loaded, and not removed"),
        (
            "postgres_server",
            {"work_mem by ALTER SYSTEM": {"old": "64MB", "new": None}},
            "work_mem by ALTER SYSTEM: 64MB",
        ),
        ("drift", {"/etc/x": {"old": "0:0 0666", "new": "0:0 0644"}}, "/etc/x: 0:0 0666, and not 0:0 0644"),
        ("secret", {"database_password": "replaced"}, "database_password: replaced"),
    ],
)
def test_how_changes_are_put(module, changes, said):
    assert read(row(1, module, "it", changes=changes)).differences[0].words == said


def test_a_state_that_fails_is_said_with_its_reason_and_what_needed_it_follows():
    failed = row(1, "sshd", "/etc/ssh", False, comment="another file decides\nsecond line")
    needed = row(2, "sshd", "reload", False, comment="One or more requisite failed: x")
    found = read(failed | needed).differences
    assert [(one.words, one.follows) for one in found] == [
        ("another file decides", False),
        ("One or more requisite failed: x", True),
    ]


def test_what_waits_to_be_applied_is_pending_and_no_drift():
    settled = row(9, "drift", "x", changes={"tree": "the tree is another one"}, sentence=SETTLED)
    answer = read(WELL | EDITED | FOLLOWS | settled)
    assert answer.differences == ()
    assert answer.pending == (
        "the tree is another one",
        "1 states would change something: Ensure /etc/motd is right",
    )
    failed = row(9, "drift", "x", False, comment="applied.json is not JSON", sentence=SETTLED)
    assert read(WELL | failed).pending == ("applied.json is not JSON",)


def test_what_the_date_asks_for_nobody_has_changed():
    changes = {"renewal": {"old": "ends on 2026-12-01", "new": "for postgres"}}
    due = row(2, "service_authority", "/etc/postgres.pem", changes=changes)
    refused = row(3, "acme_certificate", "edge", False, changes, "the authority is out of reach")
    needed = row(4, "webhook", "hook", False, comment="One or more requisite failed: edge")
    delivered = row(5, "secret", "postgres", changes={"what is watched": "replaced"})
    loads = [
        row(number, module, module, changes={key: {"old": "as before", "new": "as in its files"}})
        for number, (module, key) in enumerate(
            [("postgres_server", "loaded"), ("redis_server", "listening"), ("haproxy", "loaded")], 6
        )
    ]
    due |= delivered | loads[0] | loads[1] | loads[2]
    assert read(WELL | due | refused | needed).differences == ()
    assert [one.name for one in read(due | FOLLOWS | EDITED).differences if not one.follows] == ["/etc/motd"]
    # No unit restarts for a certificate: one that is older than its files somebody has left so.
    assert [(one.name, one.follows) for one in read(due | FOLLOWS).differences] == [("x.service", False)]
    # Who has to be asked for another for any other reason was somebody's.
    gone = row(2, "service_authority", "/etc/postgres.pem", changes={"certificate": {"old": "missing"}})
    assert [one.name for one in read(gone | refused).differences] == ["/etc/postgres.pem"]


@pytest.mark.parametrize("answer", [["Rendering SLS 'base:ssh' failed: bad"], "no", None, {}, {"a": 1}, []])
def test_an_answer_that_is_none_is_trouble(answer):
    assert read(answer).trouble
    assert not read(answer).differences
    if isinstance(answer, list) and answer:
        assert "base:ssh" in read(answer).trouble


def test_no_secret_is_shown():
    assert mask("password = hunter2 and more") == "password = (secret)"
    assert mask('+  "api_token": "abc"\n+next') == '+  "api_token": (secret)\n+next'
    assert mask("-requirepass hunter2\n+requirepass other") == "-requirepass (secret)\n+requirepass (secret)"
    prose = "Passwords stay on: none of root has an authorised key"
    assert mask(prose) == prose
    pem = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
    assert mask(pem) == "-----BEGIN PRIVATE KEY----- (secret) -----END PRIVATE KEY-----"
    diff = "-db_password: hunter2\n+as it was"
    found = read(row(1, "file", "/etc/x", changes={"diff": diff})).differences[0]
    assert "hunter2" not in f"{found}"
    # Before it is shortened: half of one would not be known any more.
    long = row(1, "file", "/etc/x", changes={"diff": f"-{'x' * 150}hunter2hunter2hunter2"})
    assert (
        "hunter2"
        not in read(long, lambda text: text.replace("hunter2hunter2hunter2", "*")).differences[0].detail
    )


def test_a_long_diff_is_shortened():
    diff = "\n".join(f"-line {number} {'x' * 300}" for number in range(40))
    lines = read(row(1, "file", "/etc/x", changes={"diff": diff})).differences[0].detail.splitlines()
    assert lines[-1] == "(28 more lines)"
    assert max(map(len, lines)) <= 160


def test_a_difference_keeps_the_time_it_was_seen_first():
    first = document(None, read(EDITED).differences, [], [], NOON, 7.04)
    again = document(first, read(EDITED | STOPPED).differences, [], [], LATER, 7)
    assert [one["since"][:10] for one in again["differences"]] == ["2026-11-25", "2026-11-26"]
    assert words(again) == (
        "2 differences since 25 Nov 12:00 UTC: /etc/motd was changed, chrony is stopped; "
        "salt-call state.apply puts it right"
    )
    gone = document(again, [], [], [], LATER, 7)
    assert words(gone) == "none"


def test_an_apply_that_went_well_leaves_what_no_state_owns():
    kept = document(None, read(EDITED).differences, [], [], NOON, 7)
    foreign = {**kept["differences"][0], "owned": False, "state": "container", "name": "eve"}
    both = kept | {"differences": [*kept["differences"], foreign]}
    assert put_right(both)["differences"] == [foreign]
    assert put_right(both | {"differences": [foreign]}) is None
    assert put_right(kept | {"differences": []}) is None
    blind = kept | {"differences": [], "trouble": [f"{FAILS}: x", "container: y"]}
    assert put_right(blind)["trouble"] == ["container: y"]
    assert words(both | {"differences": [foreign]}).startswith(
        "1 difference since 25 Nov 12:00 UTC: container eve"
    )


def test_what_the_status_says(tmp_path):
    file = tmp_path / "drift.json"
    assert status(file, NOON.timestamp()) is None
    write(file, document(None, read(EDITED | FOLLOWS).differences, ["a setting"], [], NOON, 7))
    found = status(file, NOON.timestamp())
    assert found["differences"] == ["/etc/motd was changed"]
    assert (found["pending"], found["looked"][:10]) == (["a setting"], "2026-11-25")
    assert "nobody has looked" not in found["summary"]
    assert found["trouble"] == []
    late = status(file, NOON.timestamp() + LATE + 3600)
    assert late["summary"].endswith("; nobody has looked for 3 days")
    assert late["trouble"] == ["nobody has looked for 3 days"]
    write(file, document(None, [], [], ["state.apply test=True fails: x"], NOON, 7))
    found = status(file, NOON.timestamp())
    assert "can't be looked for" in found["summary"]
    assert found["trouble"] == ["state.apply test=True fails: x"]
    # One difference hides nothing of what could not be looked at.
    write(file, document(None, read(EDITED).differences, [], ["container: no answer"], NOON, 7))
    found = status(file, NOON.timestamp())
    assert found["summary"].endswith("puts it right; not all could be looked at: container: no answer")
    assert found["trouble"] == ["container: no answer"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_how_it_is_shown_to_people():
    found = document(None, read(EDITED | FOLLOWS).differences, [], ["container: no answer"], NOON, 7)
    assert lines({"drift": words(found), **found, "note": "some is looked at elsewhere"}).splitlines() == [
        f"drift: {words(found)}",
        "",
        "/etc/motd: was changed",
        "    since 2026-11-25T12:00:00+00:00; Ensure /etc/motd is right",
        "    -by hand",
        "    +as it was",
        "    type: salt-call state.apply",
        "",
        "x.service: process: older, and not restarted (goes back to another)",
        "    since 2026-11-25T12:00:00+00:00; Ensure x.service is right",
        "    type: salt-call state.apply",
        "",
        "trouble:",
        "    container: no answer",
        "",
        "some is looked at elsewhere",
        "",
        "looked: 2026-11-25T12:00:00+00:00",
    ]


def test_what_was_applied_is_known_by_its_content(tmp_path):
    (tmp_path / "a.sls").write_text("one")
    first = fingerprint([tmp_path])
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/a.pyc").write_text("x")
    assert fingerprint([tmp_path]) == first
    (tmp_path / "a.sls").write_text("two")
    assert fingerprint([tmp_path]) != first
    assert pillar_digest({"a": 1, "allow_restart": True}) == pillar_digest({"a": 1})
    assert pillar_digest({"a": 1}) != pillar_digest({"a": 2})


def test_what_changed_since_it_was_applied():
    now = {"tree": "b", "pillar": "c"}
    assert set(waits(None, now)) == {"applied"}
    assert waits(now, now) == {}
    assert set(waits({"tree": "a", "pillar": "c"}, now)) == {"tree"}
