"""A mailbox and another system, to be told by Alertmanager: real SMTP with STARTTLS and a login, and real HTTP.

``python3 receivers.py CERTIFICATE KEY USER PASSWORD LOG`` on a host with Debian's python3-aiosmtpd; what arrives is a
line of JSON each in LOG. Mail is taken at port 2525 from who logs in by TLS, webhooks at 8098.
"""

from __future__ import annotations

import email
import email.policy
import json
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SMTP_PORT, HTTP_PORT = 2525, 8098


def main(certificate: str, key: str, user: str, password: str, log: str) -> None:
    """Take what comes until somebody ends this."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import SMTP, AuthResult

    # As mail providers ask: Alertmanager answers nobody who asks otherwise.
    SMTP.AuthLoginUsernameChallenge, SMTP.AuthLoginPasswordChallenge = "Username:", "Password:"

    def keep(**what: Any) -> None:
        with Path(log).open("a") as file:
            file.write(json.dumps(what) + "\n")

    class Mailbox:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            text = mail.get_body(("plain",)).get_content()
            keep(
                kind="mail",
                to=envelope.rcpt_tos,
                sender=envelope.mail_from,
                subject=mail["Subject"],
                text=text,
            )
            return "250 taken"

    class System(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            keep(kind="webhook", path=self.path, body=json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """What arrived is in the log already."""

    def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = (data.login, data.password) == (user.encode(), password.encode())
        return AuthResult(success=right, handled=right)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    Controller(
        Mailbox(),
        hostname="0.0.0.0",
        port=SMTP_PORT,
        tls_context=context,
        require_starttls=True,
        authenticator=login,
        auth_required=True,
    ).start()
    ThreadingHTTPServer(("0.0.0.0", HTTP_PORT), System).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
