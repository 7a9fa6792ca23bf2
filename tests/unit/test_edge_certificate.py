"""What the edge's certificate is said to be, and what is done about one that a power loss has damaged."""

import subprocess
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import marketplace_edge_certificate as subject
import pytest
from marketplace_certificate import LOCAL_ISSUER, request
from marketplace_clock import Clock
from marketplace_edge import Edge
from marketplace_edge_certificate import Authority, AuthorityError, read
from marketplace_health import ServiceHealth, _certificate, certified
from marketplace_paths import Paths
from marketplace_spool import Spool

from tests.unit.test_states import load

DIRECTORY = "https://ca.test/directory"
FILES = ("cert", "chain", "fullchain", "privkey")


class Worker(Edge):
    """A HAProxy that knows no certificate yet: it is given whatever is in the file when it starts."""

    def command(self, command):
        return "Not found\n"


class Droplet:
    """What certbot has left behind for bot.test, and what the edge serves: the same, self-signed and for ``days``."""

    def __init__(self, root, monkeypatch, days=90, issuer="R11"):
        self.paths = Paths(root)
        self.spool = Spool(root / "spool")
        edge = Worker(root / "none", root / "none", root / "none")
        self.world = SimpleNamespace(paths=self.paths, spool=self.spool, clock=Clock(), edge=edge)
        self.lineage = self.paths.letsencrypt / "live/edge"
        self.lineage.mkdir(parents=True)
        self.paths.state.mkdir(parents=True)
        key, certificate = root / "key", root / "certificate"
        made = request(["bot.test"], days, str(key), str(certificate))
        made = [word.replace(LOCAL_ISSUER, issuer) for word in made]
        subprocess.run(made, check=True, capture_output=True)
        self.pem, self.key = certificate.read_text(), key.read_text()
        self.certbot_has()
        monkeypatch.setattr(subject, "shown", lambda domain: self.pem)
        self.asked = []
        self.fails = False
        # What openssl does in place of an answer.
        self.openssl_fails = None
        monkeypatch.setattr(subject.subprocess, "run", self._run)

    def certbot_has(self):
        renewal = self.paths.letsencrypt / "renewal"
        renewal.mkdir(exist_ok=True)
        (renewal / "edge.conf").write_text(f"server = {DIRECTORY}\n")
        for name in FILES:
            (self.lineage / f"{name}.pem").write_text(self.key if name == "privkey" else self.pem)

    def authority(self, directory=DIRECTORY):
        edge = {"domains": ["bot.test"], "directory": directory}
        return Authority.of(self.world, {"edge": edge})

    _openssl = staticmethod(subprocess.run)

    def _run(self, argv, **options):
        """certbot, which fails at a certificate that it can't read, and openssl itself."""
        if argv[0] != "certbot":
            if isinstance(self.openssl_fails, Exception):
                raise self.openssl_fails
            return self.openssl_fails or self._openssl(argv, **options)
        self.asked.append(argv[1])
        if argv[1] == "delete":
            for file in (self.paths.letsencrypt / "renewal/edge.conf", *self.lineage.iterdir()):
                file.unlink()
        elif self.fails or ((given := self.lineage / "cert.pem").exists() and read(given) is None):
            return SimpleNamespace(returncode=1, stdout="", stderr="Unable to load PEM file")
        else:
            self.certbot_has()
        return SimpleNamespace(returncode=0, stdout="", stderr="")


@pytest.fixture
def droplet(tmp_path, monkeypatch):
    return Droplet(tmp_path, monkeypatch)


def ensured(droplet, test):
    """What the state says."""
    module = load(
        "acme_certificate",
        __opts__={"test": test},
        __pillar__={"settings": {"edge": {"domains": ["bot.test"], "directory": DIRECTORY}}},
        World=SimpleNamespace(of=lambda paths: droplet.world),
    )
    return module.served("Ensure it")


def test_a_certificate_in_order_is_no_problem_and_not_due(droplet):
    found = droplet.authority().status()
    assert (found["problem"], found["usable"], found["authority"]) == (None, True, DIRECTORY)
    assert droplet.authority().reason() is None


@pytest.mark.parametrize(
    "damage", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_damaged_certificate_is_ordered_again(droplet, damage):
    (droplet.lineage / "cert.pem").write_text(damage)
    authority = droplet.authority()
    assert authority.reason() == "missing"
    found = authority.status()
    assert found["usable"] is True
    assert "cert.pem can't be read: salt-call certificate.renew" in found["problem"]
    authority.obtain()
    assert droplet.asked == ["delete", "certonly"]
    assert authority.file.read_text() == droplet.pem + droplet.key
    assert (authority.reason(), authority.status()["problem"]) == (None, None)


def test_what_is_readable_is_renewed_and_not_deleted(droplet):
    droplet.authority().obtain()
    assert droplet.asked == ["certonly"]


@pytest.mark.parametrize(
    ("fails", "words"),
    [
        (SimpleNamespace(returncode=-9, stdout="", stderr=""), "signal 9"),
        (SimpleNamespace(returncode=1, stdout="", stderr="malloc failure"), "malloc failure"),
        (OSError(12, "Cannot allocate memory"), "Cannot allocate memory"),
        (subprocess.TimeoutExpired("openssl", 30), "30 seconds"),
    ],
)
def test_nothing_is_deleted_where_openssl_can_t_be_asked(droplet, fails, words):
    droplet.openssl_fails = fails
    authority = droplet.authority()
    for asked in (authority.obtain, authority.reason, authority.status):
        with pytest.raises(AuthorityError, match=words):
            asked()
    found = ensured(droplet, test=False)
    assert (found["result"], found["changes"]) == (False, {})
    assert words in found["comment"]
    known = {"edge": {"domains": ["bot.test"], "directory": DIRECTORY}}
    told = certified(ServiceHealth("healthy", "HAProxy answers"), _certificate(droplet.world, known))
    assert told.status == "degraded"
    assert words in told.detail
    assert droplet.asked == []
    assert (droplet.lineage / "privkey.pem").read_text() == droplet.key


def test_an_order_that_fails_is_told_whatever_the_edge_s_file_says(droplet):
    authority = droplet.authority()
    authority.file.parent.mkdir(parents=True)
    authority.file.write_text("damaged")
    droplet.fails = True
    with pytest.raises(AuthorityError, match="Unable to load PEM file"):
        authority.obtain()
    [event] = droplet.spool.pending()
    assert (event.kind, event.severity) == ("certificate.failed", "critical")


@pytest.mark.parametrize("note", ["{", "[]", '{"order": "bot.test from elsewhere"}'])
def test_a_damaged_note_of_what_has_failed_keeps_nobody_from_asking(droplet, note):
    droplet.world.paths.acme.parent.mkdir(parents=True, exist_ok=True)
    droplet.world.paths.acme.write_text(note)
    assert droplet.authority().waits_until() is None


def test_a_chain_that_is_damaged_is_not_given_to_the_edge(droplet):
    authority = droplet.authority()
    authority.deploy()
    before = authority.file.read_text()
    (droplet.lineage / "fullchain.pem").write_text("")
    with pytest.raises(AuthorityError, match=r"fullchain\.pem holds no certificate; do: .*force=True"):
        authority.deploy()
    assert authority.file.read_text() == before


@pytest.mark.parametrize(
    ("issuer", "days", "words"),
    [
        (LOCAL_ISSUER, 31, None),
        (LOCAL_ISSUER, 30, "state.apply renews it"),
        # Somebody's own, which state.apply leaves alone.
        ("R11", 31, None),
        ("R11", 30, "whoever put it into"),
    ],
)
def test_a_certificate_that_no_authority_renews_is_told_before_it_ends(
    tmp_path, monkeypatch, issuer, days, words
):
    found = Droplet(tmp_path, monkeypatch, days, issuer).authority("").status()
    assert (found["usable"], found["authority"]) == (True, "local")
    assert words in found["problem"] if words else found["problem"] is None


@pytest.mark.parametrize(("days_later", "change"), [(60, "renewal"), (0, "certificate")])
@pytest.mark.parametrize("waits", [False, True])
def test_a_plan_tells_a_renewal_from_what_somebody_did(droplet, waits, days_later, change):
    """Also while the authority, which has failed, is not asked."""
    if not days_later:
        (droplet.lineage / "cert.pem").unlink()
    droplet.world.clock = SimpleNamespace(now=lambda: datetime.now(UTC) + timedelta(days_later))
    if waits:
        droplet.fails = True
        with pytest.raises(AuthorityError):
            droplet.authority().obtain()
    found = ensured(droplet, test=True)
    assert (found["result"], list(found["changes"])) == (False if waits else None, [change])


@pytest.mark.parametrize(("days", "change"), [(29, "renewal"), (None, "certificate"), (31, None)])
def test_a_local_certificate_s_renewal_is_told_from_one_that_is_gone(tmp_path, days, change):
    file, public = tmp_path / "bot.pem", tmp_path / "bot.crt"

    def run_all(command, **_):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return {"retcode": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    def present(**options):
        module = load(
            "local_certificate", __opts__={"test": options.pop("test")}, __salt__={"cmd.run_all": run_all}
        )
        return module.present(str(file), str(public), ["bot.test"], **options)

    if days:
        # A new one, made by a run that would not renew it at once.
        assert present(test=False, days=days, renew_days=1)["result"] is True
    assert list(present(test=True)["changes"]) == ([change] if change else [])
    assert present(test=False)["result"] is True
    assert present(test=True)["changes"] == {}
