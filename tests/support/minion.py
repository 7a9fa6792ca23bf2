"""A minion whose droplet is a directory: its pillar is written as a user writes it, and Salt itself compiles it."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import salt.config
import salt.loader
import salt.pillar
import yaml

from tests.support.pillars import pillar

TREE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    raw: dict[str, Any]

    @property
    def result(self):
        return self.raw["result"]

    @property
    def changes(self):
        return self.raw["changes"]

    @property
    def comment(self):
        return self.raw["comment"]


_OPTS = salt.config.minion_config(None)
_OPTS.update(file_client="local", master_type="disable")


class Minion:
    """Salt's loaders over the tree, with pillar compiled once."""

    def __init__(self, opts):
        self.opts = opts
        self.context: dict[str, Any] = {}
        self.opts["pillar"] = salt.pillar.Pillar(opts, opts["grains"], opts["id"], "base").compile_pillar()
        self.modules = salt.loader.minion_mods(opts, context=self.context)
        self._states = salt.loader.states(opts, self.modules, {}, {}, context=self.context)

    def run(self, function, *args, **kwargs):
        return Result(self._states[function](*args, **kwargs))


class Droplet:
    """A minion whose droplet is a directory: pillar is written as a user writes it, states run on the result."""

    def __init__(self, directory, minion_id="production"):
        self.root = directory / "root"
        self.pillar = directory / "pillar"
        self.id = minion_id
        self._directory = directory
        for path in (self.root, self.pillar):
            path.mkdir(parents=True)
        (self.pillar / "top.sls").write_text((TREE / "pillar/top.sls").read_text())
        for environment in ("production", "staging"):
            (self.pillar / environment).mkdir()
            (self.pillar / environment / "init.sls").write_text("{}\n")
        (self.pillar / "base").mkdir()
        self.say()

    def say(self, **changes):
        (self.pillar / "base/init.sls").write_text(yaml.safe_dump(pillar(changes.get("changes"))))

    def minion(self, test=False, **overrides):
        base = self._directory / "salt"
        opts = copy.deepcopy(_OPTS)
        opts.update(
            id=self.id,
            root_dir=str(base),
            cachedir=str(base / "cache"),
            extension_modules=str(base / "extmods"),
            file_roots={"base": [str(TREE / "salt")]},
            pillar_roots={"base": [str(self.pillar)]},
            module_dirs=[str(TREE / "salt")],
            ext_pillar=[{"marketplace": {}}],
            marketplace_root=str(self.root),
            test=test,
        )
        opts.update(overrides)
        opts["grains"] = {"id": self.id}
        return Minion(opts)

    def file(self, name):
        return self.root / "etc/marketplace" / name

    def listing(self):
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))
