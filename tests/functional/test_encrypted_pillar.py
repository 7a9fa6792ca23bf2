"""Secrets in git: encrypted with the droplet's public key, decrypted by Salt's own gpg where pillar is compiled."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.functional.test_settings_gate import Host
from tests.support.pillars import REMOVED, TOKEN

USER = "droplet@production"


class Keys:
    """A directory of keys such as /etc/salt/gpgkeys, and the gpg that works on it."""

    def __init__(self, directory: Path):
        self.directory = directory
        directory.mkdir(mode=0o700, parents=True)

    def gpg(self, *arguments: str, stdin: str = "") -> str:
        return subprocess.run(
            ["gpg", "--homedir", str(self.directory), "--batch", "--quiet", *arguments],
            input=stdin, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    def close(self) -> None:
        subprocess.run(
            ["gpgconf", "--homedir", str(self.directory), "--kill", "gpg-agent"],
            check=False, capture_output=True, env=os.environ,
        )  # fmt: skip


@pytest.fixture
def keys(host):
    """The host's keys, made as the manual says."""
    made = Keys(host.directory / "gpgkeys")
    made.gpg("--passphrase", "", "--quick-generate-key", USER, "rsa2048", "encrypt", "never")
    yield made
    made.close()


@pytest.fixture
def host(tmp_path):
    made = Host(tmp_path)
    made.configure()
    made.say({"secrets": REMOVED})
    return made


def encrypt(keys, host, sender):
    """Production's pillar with the token as a laptop encrypts it, which has the public key alone."""
    laptop = Keys(sender)
    laptop.gpg("--import", stdin=keys.gpg("--armor", "--export", USER))
    message = laptop.gpg("--armor", "--trust-model", "always", "--encrypt", "--recipient", USER, stdin=TOKEN)
    laptop.close()
    indented = "".join(f"      {line}\n" for line in message.splitlines())
    (host.pillar / "production/init.sls").write_text(
        f"#!yaml|gpg\nsecrets:\n  telegram_token:\n    value: |\n{indented}"
    )
    return message


def test_an_encrypted_secret_is_used_and_shown_nowhere(host, keys, tmp_path):
    encrypt(keys, host, tmp_path / "laptop")
    (host.states / "behind.sls").write_text("Ensure secrets are there: {secret.present: []}\n")
    done = host.call("state.apply", "behind")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (host.root / "etc/marketplace/secrets/telegram_token").read_text() == TOKEN
    shown = host.call("settings.show", "secrets.telegram_token").stdout
    assert shown.split() == ["secrets.telegram_token", "pillar/production/init.sls", "given"]
    assert TOKEN not in done.stdout + done.stderr


def test_without_the_key_it_says_that_it_is_still_encrypted(host, keys, tmp_path):
    message = encrypt(keys, host, tmp_path / "laptop")
    keys.close()
    shutil.rmtree(keys.directory)
    keys.directory.mkdir(mode=0o700)
    done = host.call("state.apply", "behind")
    assert done.returncode == 1
    assert "secrets.telegram_token is still encrypted: gpg can't decrypt it here" in done.stdout
    assert message.splitlines()[3] not in done.stdout
    assert host.made() == []
