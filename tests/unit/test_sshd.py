"""The SSH server's configuration as text, and who could log in with a key."""

import os
from pathlib import Path

import pytest
from marketplace_sshd import (
    administrators,
    effective,
    includes,
    login_keys,
    moved,
    overruled,
    text,
    with_keys,
)

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN5v0Yw5nTqHcPl3aTDJ0kHVf4sqPVvHf3vT7sX2cQ9b ops@laptop"
DROP_INS = Path("/etc/ssh/sshd_config.d")


def test_a_keyword_may_repeat():
    assert text({"A": "no", "HostKey": ["/x", "/y"]}).splitlines()[1:] == ["A no", "HostKey /x", "HostKey /y"]


def test_what_something_else_decides_is_named():
    found = effective(
        "passwordauthentication yes\npermitrootlogin without-password\nhostkey /x\nhostkey /y\n"
    )
    wanted = {"PasswordAuthentication": "no", "PermitRootLogin": "prohibit-password", "HostKey": ["/x", "/y"]}
    assert overruled(wanted, found) == {"PasswordAuthentication": "yes"}
    assert overruled({"UnknownToThisVersion": "no"}, found) == {}
    assert overruled({"HostKey": ["/x"]}, found) == {"HostKey": "/x, /y"}


def test_a_trial_reads_the_drop_ins_of_its_own_directory():
    main = "# top\nInclude /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n"
    assert moved(main, DROP_INS, Path("/run/trial")) == "# top\nInclude /run/trial/*.conf\nUsePAM yes\n"


@pytest.mark.parametrize(
    ("main", "first"),
    [
        ("# x\n\nInclude /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n", True),
        ("include /etc/other /etc/ssh/sshd_config.d/*.conf\n", True),
        ("UsePAM yes\nInclude /etc/ssh/sshd_config.d/*.conf\n", False),
        ("", False),
    ],
)
def test_drop_ins_must_come_before_anything_else(main, first):
    assert includes(main, DROP_INS) is first


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        (KEY, 1),
        (f'from="192.0.2.0/24",no-pty {KEY}', 1),
        (f'no-port-forwarding,command="echo no root here; sleep 10; exit 142" {KEY}', 0),
        (f"# {KEY}", 0),
        ("ssh-ed25519 AAAA", 0),
        (KEY.replace("ssh-ed25519", "ssh-dss"), 0),
        (KEY.replace("ssh-ed25519", "sk-ssh-ed25519@openssh.com"), 1),
        (KEY.replace("ssh-ed25519", "ecdsa-sha2-nistp256"), 1),
        ("", 0),
    ],
)
def test_only_keys_that_give_a_shell_count(line, keys):
    assert login_keys(f"\n{line}\n") == keys


@pytest.fixture
def host(tmp_path):
    me = os.getuid()
    (tmp_path / "etc/sudoers.d").mkdir(parents=True)
    (tmp_path / "etc/passwd").write_text(
        f"root:x:{me}:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
        f"ann:x:{me}:1000:Ann:/home/ann:/bin/bash\nbob:x:{me}:1001:Bob:/home/bob:/bin/bash\n"
        "eve:x:1002:1002:Eve:/home/eve:/bin/bash\n"
    )
    (tmp_path / "etc/group").write_text("root:x:0:\nsudo:x:27:ann,daemon\nbob:x:1001:\n")
    (tmp_path / "etc/sudoers").write_text(
        "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n"
    )
    (tmp_path / "etc/sudoers.d/bob").write_text("bob ALL=(ALL) NOPASSWD: ALL\n")
    return tmp_path


def authorise(host, home, content=KEY, mode=0o600):
    directory = host / home / ".ssh"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "authorized_keys").write_text(content)
    (directory / "authorized_keys").chmod(mode)


def test_administrators_are_root_and_whom_sudo_obeys(host):
    assert [account.name for account in administrators(host)] == ["root", "ann", "bob"]


def test_somebody_with_a_key_is_enough(host):
    people, files = administrators(host), [".ssh/authorized_keys", "/etc/keys/%u"]
    assert with_keys(people, files, host) == []
    authorise(host, "home/eve")
    assert with_keys(people, files, host) == []
    authorise(host, "root", mode=0o666)
    # What others could have written the server does not believe.
    assert with_keys(people, files, host) == []
    authorise(host, "root", mode=0o600)
    assert with_keys(people, files, host) == ["root"]
    (host / "etc/keys").mkdir()
    (host / "etc/keys/bob").write_text(KEY)
    (host / "home/bob").mkdir(parents=True)
    assert with_keys(people, files, host) == ["root", "bob"]
