"""What commands say where the settings of the last state.apply are damaged, by Salt's own loaders."""

import pytest
from salt.exceptions import CommandExecutionError

from tests.support.salt_host import Host


@pytest.fixture
def damaged(host: Host) -> Host:
    host.paths.settings.parent.mkdir(parents=True, exist_ok=True)
    host.paths.settings.write_text("{")
    return host


@pytest.mark.parametrize(
    "command", ["health.check", "health.logs", "health.slo", "health.drift", "alerts.test", "deploy.status"]
)
def test_a_command_names_the_file_and_fails(damaged: Host, command: str) -> None:
    answer, code = damaged.call(command)
    assert code == 1
    assert str(damaged.paths.settings) in (answer.get("reason") or answer["short"][0])


@pytest.mark.parametrize("command", ["certificate.status", "certificate.renew", "certificate.deploy"])
def test_so_does_one_whose_answer_is_a_certificate(damaged: Host, command: str) -> None:
    with pytest.raises(CommandExecutionError, match=r"settings\.json"):
        damaged.call(command)
