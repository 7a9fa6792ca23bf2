"""All checks, by name."""

from tests.contract import checks_docker, checks_edge, checks_files, checks_outside
from tests.contract.effects import Check

CHECKS: dict[str, Check] = {
    name: check
    for module in (checks_files, checks_docker, checks_edge, checks_outside)
    for name, check in vars(module).items()
    if name.startswith("check_")
}
