"""The directories of the pillar: which environments there are, and what each directory says by itself."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import salt.pillar  # type: ignore[import-untyped]

BASE, LOCAL = "base", "local"


def roots_of(opts: Mapping[str, Any]) -> list[Path]:
    """The pillar's roots that Salt was configured with."""
    return [Path(root) for root in opts.get("pillar_roots", {}).get("base", [])]


def environments(roots: Iterable[Path]) -> list[str]:
    """Names of the environments in pillar ``roots``: their directories other than base and local."""
    return sorted(
        {
            directory.name
            for root in roots
            if root.is_dir()
            for directory in root.iterdir()
            if directory.name not in (BASE, LOCAL) and (directory / "init.sls").is_file()
        }
    )


class Layers:
    """The pillar as one host of ``environment`` gets it, directory by directory.

    Args:
        opts: Salt's configuration, with the grains.
        environment: the host's; it may be another one than this host's.
    """

    def __init__(self, opts: Mapping[str, Any], environment: str) -> None:
        self._roots = roots_of(opts)
        # What is asked for is what the files say: the gate would refuse all of it for a secret that isn't here.
        plain = {**opts, "ext_pillar": [], "id": environment}
        grains = {**opts["grains"], "id": environment}
        self._compiler = salt.pillar.Pillar(plain, grains, environment, "base")

    def apart(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The pillar of each directory alone, by its file, in the order of ``names``; those that there are."""
        found = {}
        for name in names:
            file = self._file(name)
            if file:
                found[file] = self.merged([name])
        return found

    def merged(self, names: Iterable[str]) -> dict[str, Any]:
        """The pillar of these directories, merged by Salt.

        Raises:
            ValueError: a file can't be rendered; the message is Salt's.
        """
        pillar, errors = self._compiler.render_pillar({"base": list(names)})
        if errors:
            raise ValueError("; ".join(map(str, errors)))
        return dict(pillar)

    def _file(self, name: str) -> str:
        for root in self._roots:
            for file in (root / name / "init.sls", root / f"{name}.sls"):
                if file.is_file():
                    return f"pillar/{file.relative_to(root)}"
        return ""
