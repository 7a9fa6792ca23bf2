"""What somebody gives who rebuilds a lost droplet: where the copy of its backups is, and the secrets that open it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from marketplace_arguments import Unusable
from marketplace_settings_fields import Problem, read_section
from marketplace_settings_model_backup import BackupStorage


@dataclass(frozen=True)
class Given:
    """The secrets that somebody has given; the droplet's own are in the archive that they open."""

    values: Mapping[str, str] = field(repr=False)

    def read(self, name: str) -> str:
        """The value of a secret."""
        return self.values[name]


def storage(target: str, endpoint: str, region: str, access_key: str) -> dict[str, Any]:
    """Where the copy is, as the settings ``backup:storage`` would have it.

    Raises:
        Unusable: something is missing, or none of such a thing; all of it is named.
    """
    problems: list[Problem] = []
    named = {"target": target, "endpoint": endpoint, "region": region, "access_key": access_key}
    found = read_section(BackupStorage, named, "", problems)
    if not target:
        problems.append(Problem("target", "is not given", "s3:your-bucket/production"))
    elif target.startswith("s3:"):
        lacking = [name for name in ("endpoint", "access_key") if not named[name]]
        problems += [
            Problem(name, f"is not given, but target is {target}", "as in pillar") for name in lacking
        ]
    if problems:
        raise Unusable("; ".join(str(problem) for problem in problems))
    return found


def given(key_file: str, secret_file: str) -> Given:
    """The key of the copy, and the object storage's secret where there is one, from their files.

    Raises:
        Unusable: a file is not there, or holds no secret.
    """
    found = {"backup_key": _line("key_file", key_file)}
    if secret_file:
        found["backup_storage_secret"] = _line("secret_file", secret_file)
    return Given(found)


def _line(name: str, file: str) -> str:
    try:
        lines = Path(file).read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise Unusable(f"{name} is {file!r}, which can't be read: {error}") from None
    if len(lines) != 1:
        raise Unusable(
            f"{name} is {file!r}, which holds {len(lines)} words; expected the secret and nothing else"
        )
    return lines[0]
