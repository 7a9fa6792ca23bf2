"""Asking the edge as the outside asks it: what is asked, whom is trusted, what an answer means."""

import json
import time

import pytest
from marketplace_paths import Paths
from marketplace_slo_probe import EVERY, Probe, Prober, answer, own_address, question

LOCAL = {"domains": ["bot.test", "www.test"], "directory": "", "certificate": "local", "root": ""}
PUBLIC = {"domains": ["bot.test"], "directory": "https://acme/dir", "certificate": "letsencrypt", "root": ""}


@pytest.fixture
def paths(tmp_path):
    return Paths(tmp_path)


def test_what_is_asked(paths):
    asked = question(LOCAL, "203.0.113.9", paths)
    assert asked[0] == "curl"
    assert asked[-1] == "https://bot.test/healthz"
    assert asked[asked.index("--connect-to") + 1] == "bot.test:443:203.0.113.9:443"


def test_whom_is_trusted(paths):
    def trusted(edge):
        asked = question(edge, "203.0.113.9", paths)
        return [word for word in asked if word == "--insecure" or word.endswith((".crt", ".pem"))]

    assert trusted(LOCAL) == [str(paths.tls / "bot.test.crt")]
    assert trusted(PUBLIC) == []
    rooted = PUBLIC | {"certificate": "https://acme/dir", "root": "-----BEGIN\n"}
    file = paths.run / "edge-root.pem"
    for pem in (rooted["root"], "-----BEGIN another\n"):
        assert trusted(rooted | {"root": pem}) == [str(file)]
        assert file.read_text() == pem
    assert trusted(PUBLIC | {"certificate": "letsencrypt-staging"}) == ["--insecure"]


@pytest.mark.parametrize(
    ("said", "probe"),
    [
        ("200 ", Probe(5.0, 200)),
        ("503 ", Probe(5.0, 503, "it answers 503")),
        ("000 SSL certificate problem", Probe(5.0, 0, "SSL certificate problem")),
        # Killed.
        ("", Probe(5.0, 0, "no answer")),
    ],
)
def test_what_an_answer_means(said, probe):
    assert answer(5.0, said) == probe
    assert probe.good == (probe.status == 200)


def asking(paths, monkeypatch, script):
    program = paths.root / "curl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{paths.root}:/usr/bin:/bin")
    monkeypatch.setattr("marketplace_slo_probe.own_address", lambda: "203.0.113.9")
    return Prober(paths)


def ended(prober, now):
    deadline = time.monotonic() + 10
    while (probe := prober.turn({"edge": LOCAL}, now)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return probe


def test_it_asks_for_the_name_that_the_edge_has_by_now(paths, monkeypatch):
    prober = asking(paths, monkeypatch, 'for last; do :; done; echo "000 $last"')
    assert ended(prober, 1000.0).words == "https://bot.test/healthz"
    paths.asked.parent.mkdir(parents=True)
    paths.asked.write_text(json.dumps(LOCAL | {"domains": ["before.test"]}))
    assert ended(prober, 1020.0).words == "https://before.test/healthz"
    paths.asked.write_text("{")
    assert "can't be asked" in prober.turn({"edge": LOCAL}, 1060.0).words


def test_it_asks_at_a_pace(paths, monkeypatch):
    prober = asking(paths, monkeypatch, "echo '200 '")
    begun = []
    for step in range(100):
        now = 1000.0 + 3 * step
        probe = prober.turn({"edge": LOCAL}, now)
        if probe is not None:
            begun.append(probe.at)
        elif prober._process is not None:
            prober._process.wait()
    assert begun[-1] - begun[0] == pytest.approx(EVERY * (len(begun) - 1), abs=3)
    # After a pause it begins anew, and does not make up for what it missed.
    assert ended(prober, 9000.0).at == 9000.0
    assert prober.turn({"edge": LOCAL}, 9003.0) is None
    assert prober._process is None


def test_one_that_hangs_is_ended(paths, monkeypatch):
    prober = asking(paths, monkeypatch, "exec sleep 60")
    assert prober.turn({"edge": LOCAL}, 1000.0) is None
    assert prober.turn({"edge": LOCAL}, 1010.0) is None
    assert prober.turn({"edge": LOCAL}, 1016.0) == Probe(1000.0, 0, "no answer")
    assert prober.turn({"edge": LOCAL}, 1020.0) is None
    prober.stop()
    assert prober._process.returncode is not None


def test_without_a_way_out_nobody_comes_in(paths, monkeypatch):
    prober = asking(paths, monkeypatch, "")

    def nowhere():
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("marketplace_slo_probe.own_address", nowhere)
    assert "Network is unreachable" in prober.turn({"edge": LOCAL}, 1000.0).words


def test_the_own_address_is_one():
    assert own_address().count(".") == 3
