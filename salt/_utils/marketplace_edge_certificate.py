"""The edge's certificate from its authority: ordering it by certbot, handing it to HAProxy, and telling how it is."""

import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from marketplace_acme import (
    ALARM_AT,
    Attempts,
    Order,
    command,
    described,
    meaning,
    reason_to_order,
    share_left,
)
from marketplace_certificate import NO_AUTHORITY, RENEW_DAYS, Certificate, question
from marketplace_durable import read_json, to_json, write_atomic
from marketplace_edge import EdgeError
from marketplace_edge_serving import fingerprint, install, loaded, shown
from marketplace_spool import Spool
from marketplace_world import World

# certbot's name of it, and so the directory below /etc/letsencrypt/live.
NAME = "edge"
HOOK = "/usr/local/bin/salt-call --local --retcode-passthrough certificate.deploy"
_CERTBOT_SECONDS = 300
_CRITICAL_LEFT = timedelta(days=7)


class AuthorityError(Exception):
    """No certificate was got, handed over or looked into; the message says why and what to do."""


@dataclass(frozen=True)
class Authority:
    """The certificate of one droplet.

    Args:
        world: for its paths, edge, spool and clock.
        order: what is wanted.
        address: where certbot listens for the authority's question; port: likewise.
    """

    world: World
    order: Order
    address: str
    port: int

    @classmethod
    def of(
        cls, world: World, settings: Mapping[str, Any], address: str = "127.0.0.1", port: int = 8888
    ) -> "Authority":
        """That of a droplet with these settings; its order's directory is empty where the certificate is local."""
        edge = settings["edge"]
        order = Order(NAME, tuple(edge["domains"]), edge.get("directory", ""), edge.get("email", ""))
        return cls(world, order, address, port)

    @property
    def file(self) -> Path:
        """Certificate and key as HAProxy reads them."""
        return self.world.paths.edge_certificates / f"{self.order.domains[0]}.pem"

    @property
    def lineage(self) -> Path:
        return self.world.paths.letsencrypt / "live" / self.order.name

    @property
    def _given(self) -> Path:
        return self.lineage / "cert.pem"

    def reason(self) -> str | None:
        """Why a certificate has to be ordered, or None.

        Raises:
            AuthorityError: openssl can't be asked about the one that there is.
        """
        found = read(self._given)
        return reason_to_order(found, self._server(), self.order, self.world.clock.now())

    def attempts(self) -> Attempts:
        """What has failed of late; where the note of it is damaged, nothing that is known."""
        try:
            return Attempts.parse(read_json(self.world.paths.acme), self.order)
        except ValueError:
            return Attempts()

    def waits_until(self) -> datetime | None:
        """Until when nothing is asked of the authority, because of what went wrong; None while it may be asked."""
        until = self.attempts().next_at()
        return until if until and until > self.world.clock.now() else None

    def obtain(self) -> None:
        """Order the certificate now, and hand it over.

        Raises:
            AuthorityError: what is served stays as it is; the failure is on record and told to the operator.
        """
        # certbot renews nothing where it can't read what stands there, as after a power loss.
        if self._remembered.exists() and read(self._given) is None:
            self._run(["certbot", "delete", "--non-interactive", "--cert-name", self.order.name])
        failure = self._run(command(self.order, self.address, self.port, HOOK))
        if failure:
            reason, limited = failure
            self._failed(reason, limited)
            raise AuthorityError(reason)
        self.world.paths.acme.unlink(missing_ok=True)
        self.deploy()

    def deploy(self) -> bool:
        """Have the edge serve what the authority gave, durably and at once; whether that was a change.

        Raises:
            AuthorityError: there is nothing to serve, or HAProxy does not take it.
        """
        chain, key = self.lineage / "fullchain.pem", self.lineage / "privkey.pem"
        try:
            return install(
                self.world.edge,
                self.file,
                self.world.paths.tls / f"{self.order.domains[0]}.crt",
                chain.read_text(),
                key.read_text(),
            )
        except FileNotFoundError as error:
            raise AuthorityError(
                f"{error.filename} is missing; do: salt-call certificate.renew force=True"
            ) from error
        except ValueError as error:
            words = f"{chain} holds no certificate; do: salt-call certificate.renew force=True"
            raise AuthorityError(words) from error
        except EdgeError as error:
            raise AuthorityError(str(error)) from error

    def is_deployed(self) -> bool:
        """Whether file and running HAProxy have what the authority gave."""
        try:
            pem = (self.lineage / "fullchain.pem").read_text() + (self.lineage / "privkey.pem").read_text()
            return self.file.read_text() == pem and loaded(self.world.edge, self.file) == fingerprint(pem)
        except (OSError, EdgeError, ValueError):
            return False

    def status(self) -> dict[str, Any]:
        """How the certificate is that clients are given: ``problem`` in words (or None), whether it is ``usable`` all
        the same, and the facts.

        Raises:
            EdgeError: no TLS handshake with the edge.
            AuthorityError: openssl can't be asked.
        """
        now = self.world.clock.now()
        pem = shown(self.order.domains[0])
        served = parse(pem)
        left = share_left(served, now)
        attempts = self.attempts()
        why = f": {attempts.reason}" if attempts.reason else ""
        unusable = self._unusable(served, left)
        problem = unusable or self._impaired(served, pem, left, attempts)
        return {
            "problem": problem and problem + why,
            "usable": unusable is None,
            "domains": list(served.domains),
            "issuer": served.issuer,
            "authority": self.order.directory or NO_AUTHORITY,
            "ends": served.ends.isoformat(),
            "days_left": (served.ends - now).days,
            "share_left": round(left, 3),
            "failures": attempts.failures,
        }

    def _unusable(self, served: Certificate, left: float) -> str | None:
        """Why Telegram does not call an edge with this certificate."""
        if not left:
            return f"the certificate ended on {served.ends:%Y-%m-%d}"
        if self.order.domains[0] not in served.domains:
            return f"the certificate is for {', '.join(served.domains) or 'nobody'}, not for {self.order.domains[0]}"
        if self.order.directory and served.local:
            return f"a self-signed certificate stands in for that of {self.order.directory}"
        return None

    def _impaired(self, served: Certificate, pem: str, left: float, attempts: Attempts) -> str | None:
        missing = [domain for domain in self.order.domains if domain not in served.domains]
        if missing:
            return f"the certificate is not for {', '.join(missing)}"
        if not self.order.directory:
            return self._ends_soon(served)
        if left < ALARM_AT:
            return f"the certificate ends on {served.ends:%Y-%m-%d} and was not renewed"
        if self._given.exists() and read(self._given) is None:
            return f"{self._given} can't be read: salt-call certificate.renew gets another"
        if self._given.exists() and fingerprint(self._given.read_text()) != fingerprint(pem):
            return "the edge does not serve the newest certificate; do: salt-call certificate.deploy"
        reason = self.reason()
        if reason and attempts.failures:
            return f"the authority's certificate {reason}, and no other could be got"
        return None

    def _ends_soon(self, served: Certificate) -> str | None:
        """Where no authority is asked: nothing but state.apply makes another, and only in place of its own."""
        if served.ends - self.world.clock.now() >= timedelta(days=RENEW_DAYS):
            return None
        how = "state.apply renews it" if served.local else f"whoever put it into {self.file} renews it"
        return f"the certificate ends on {served.ends:%Y-%m-%d}: {how}"

    @property
    def _remembered(self) -> Path:
        return self.world.paths.letsencrypt / "renewal" / f"{self.order.name}.conf"

    def _server(self) -> str | None:
        """ACME directory that the certificate came from, as certbot remembers."""
        try:
            text = self._remembered.read_text()
        except FileNotFoundError:
            return None
        pairs = (line.partition("=") for line in text.splitlines())
        return next((value.strip() for key, _, value in pairs if key.strip() == "server"), None)

    def _run(self, argv: list[str]) -> tuple[str, bool] | None:
        """Run certbot; what its failure means, and whether the authority asks us to slow down."""
        try:
            result = subprocess.run(
                argv, capture_output=True, text=True, timeout=_CERTBOT_SECONDS, check=False
            )
        except FileNotFoundError:
            return "certbot is not installed; run state.apply", False
        except subprocess.TimeoutExpired:
            return f"certbot took longer than {_CERTBOT_SECONDS} s", False
        return None if result.returncode == 0 else meaning(f"{result.stdout}\n{result.stderr}")

    def _failed(self, reason: str, limited: bool) -> None:
        now = self.world.clock.now()
        attempts = self.attempts().failed(now, reason, limited)
        write_atomic(self.world.paths.acme, to_json(vars(attempts) | {"order": described(self.order)}))
        try:
            served = read(self.file)
        except AuthorityError:
            served = None
        good = served is not None and not served.local and served.ends - now > _CRITICAL_LEFT
        told = f"no certificate for {described(self.order)}: {reason}"
        tell(self.world.spool, now, "warning" if good else "critical", told)


def tell(spool: Spool, now: datetime, severity: str, summary: str) -> None:
    """One event a day, however often it fails."""
    spool.emit("certificate.failed", severity, summary, subject=f"{now:%Y%m%d}-certificate")


def read(file: Path) -> Certificate | None:
    """The certificate in a file; None where there is none that anybody can read.

    Raises:
        AuthorityError: there is one, and openssl can't be asked about it.
    """
    try:
        return parse(file.read_text()) if file.exists() else None
    except ValueError:
        return None


def parse(pem: str) -> Certificate:
    """What openssl says of a certificate.

    Raises:
        ValueError: it is no certificate.
        AuthorityError: it is one, and openssl can't be asked, as where memory is short.
    """
    try:
        result = subprocess.run(
            question("/dev/stdin"), input=pem, capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AuthorityError(f"openssl can't be asked about a certificate: {error}") from error
    if not result.returncode:
        return Certificate.parse(result.stdout)
    said = result.stderr.strip()[:200]
    if not _is_one(pem):
        raise ValueError(f"no certificate that openssl can read: {said}")
    ended = f"signal {-result.returncode}" if result.returncode < 0 else f"exit code {result.returncode}"
    raise AuthorityError(
        f"openssl ended by {ended} at a certificate that is whole: {said or 'it said nothing'}"
    )


def _is_one(pem: str) -> bool:
    """Whether a text is a certificate, by a second reader: what is deleted for its content has to be judged by that."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError, TypeError):
        return False
    return True
