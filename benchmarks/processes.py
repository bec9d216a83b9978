"""Processes of our own: how one is started, and what it finds under which name.

In a checkout `backends` and `benchmarks` are top-level packages, where we are installed they lie in
`activation_bench`. A process of ours finds them there whatever folder it is started in: a project may have folders
of these names, or one called `numpy`, which must not be imported in their place.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from importlib.abc import Loader

HOME = Path(__file__).resolve().parents[1]
"""The folder that holds our `backends/` and `benchmarks/`."""
ROOT = HOME.parents[__package__.count(".") - 1] if "." in __package__ else HOME
"""The folder that our packages are imported from: the checkout, or where packages are installed."""
INSTALLED = ("site-packages", "dist-packages")
"""Names of folders that are on the path of every process anyway."""


def command(module: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours, up to its arguments; `environment` lets it be found."""
    return (sys.executable, "-P", "-m", module)


def environment() -> dict[str, str]:
    """Return this process's environment, with a path to our packages and to other folders of backends.

    The current folder is on the path of no process that is started with it, unless it is named there. Nor is our
    own folder `backends/`: the packages in it are named after the frameworks, and would hide them.
    """
    import backends  # late: `ab` imports this module before it has chosen which backends there are

    found = map(str, (*_root(), *map(_parent, _foreign(backends.__path__))))
    given = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    kept = [entry for entry in given if Path(entry).resolve() != backends.OWN]
    path = os.pathsep.join(dict.fromkeys([*found, *kept]))
    return {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONPATH": path}


def answer_to(alias: str, real: str) -> None:
    """Let `alias`, and all below it, be other names of the modules of the package `real`, from now on.

    Backends in a folder `backends/` import ours as `backends`, which is not their name where we are installed.
    Only a process of our own may do this: in a user's, `backends` may be a package of theirs.
    """
    if alias != real and not any(isinstance(each, _Alias) and each.alias == alias for each in sys.meta_path):
        sys.meta_path.insert(0, _Alias(alias, real))


def _root() -> Iterator[Path]:
    # Before the standard library, as all of PYTHONPATH is, installed packages could hide modules of it.
    if ROOT.name not in INSTALLED:
        yield ROOT


def _foreign(folders: Sequence[str]) -> Iterator[Path]:
    """Yield the folders that hold backends of somebody's own: another one of that name is none of our business."""
    for folder in map(Path, folders):
        if next(folder.glob("*_backend.py"), None):
            yield folder


def _parent(folder: Path) -> Path:
    return folder.absolute().parent


class _Alias:
    """Finds the modules of a package under another name, and loads them; they are the same objects.

    It derives from no class of `importlib.abc`, whose import takes each of our processes 15 ms.
    """

    def __init__(self, alias: str, real: str) -> None:
        self.alias = alias
        self._real = real
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - part of the protocol, as is `target`
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        if fullname != self.alias and not fullname.startswith(f"{self.alias}."):
            return None
        return ModuleSpec(fullname, cast("Loader", self)) if find_spec(self._named(fullname)) else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = import_module(self._named(spec.name))
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # It was executed under its own name, whose spec the import system has just exchanged.
        if module.__spec__ is not None:
            module.__spec__ = self._specs.pop(module.__spec__.name)

    def _named(self, alias: str) -> str:
        return self._real + alias.removeprefix(self.alias)
