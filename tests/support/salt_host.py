"""A droplet that is a directory, and Salt's own loaders over the real tree."""

from pathlib import Path
from typing import Any

import salt.config
from marketplace_durable import make_directory, to_json, write_atomic
from marketplace_effective import release_digest
from marketplace_ledger import Ledger
from marketplace_paths import Paths
from marketplace_records import ReleaseRecord
from marketplace_settings_gate import gate
from saltfactories.utils.functional import Loaders

from tests.support.pillars import ENVIRONMENTS, pillar

TREE = Path(__file__).resolve().parents[2]


def options() -> dict[str, Any]:
    """A minion's configuration with this tree's modules; releases run in this process."""
    opts = salt.config.minion_config(None)
    opts.update(
        id="production", file_client="local", module_dirs=[str(TREE / "salt")], marketplace_inline=True
    )
    return dict(opts)


class Host:
    """A droplet's files below a directory, and Salt's loaders with a pillar that went through the gate."""

    def __init__(
        self,
        root: Path,
        options: dict[str, Any],
        changes: dict[str, Any] | None = None,
        compiled: dict[str, Any] | None = None,
    ) -> None:
        self.paths = Paths(root / "root")
        said = pillar(changes)
        self.pillar = compiled or said | gate(said, "production", ENVIRONMENTS)
        self.options = options | {
            "marketplace_root": str(root / "root"),
            "cachedir": str(root / "cache"),
            "pillar": self.pillar,
        }
        self._loaders: dict[bool, Loaders] = {}
        make_directory(self.paths.etc)
        make_directory(self.paths.state)

    def apply_settings(self) -> None:
        """What the first state does."""
        write_atomic(self.paths.settings, to_json(self.pillar["settings"]))

    def record(self, version: str = "1.0.0", digest: str | None = None) -> None:
        """A live release in the ledger."""
        settings_digest = digest or release_digest(self.pillar["settings"], self.paths)
        Ledger(self.paths.ledger).append(
            ReleaseRecord(
                "20260101T000000Z", version, "i@sha256:0", None, "live", "", "blue", {"before": None, "after": None},
                "alice", "abc", "2026-01-01T00:00:00+00:00", 1.0, settings_digest,
            )
        )  # fmt: skip

    def loaders(self, test: bool) -> Loaders:
        """Salt's loaders, for test mode or for real."""
        if test not in self._loaders:
            self._loaders[test] = Loaders(self.options | {"test": test})
        return self._loaders[test]

    def call(self, function: str, *arguments: Any, **options: Any) -> tuple[Any, int]:
        """A function's data and exit code."""
        loaders = self.loaders(test=False)
        loaders.context.clear()
        value = loaders.modules[function](*arguments, **options)
        return value, loaders.context.get("retcode", 0)

    def state(self, function: str, test: bool, **options: Any) -> Any:
        """A state's return."""
        return self.loaders(test).states[function](name="Ensure it", **options)
