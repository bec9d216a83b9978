"""Runs a module of this repository, such as the worker, with the backends of another folder: a side of `ab`.

`python benchmarks/measure/elsewhere.py FOLDER CHECKOUT MODULE ARGUMENTS...` runs `benchmarks.measure.worker` with
the package `backends` in FOLDER or, where that holds somebody's own backends alone, with ours and those. No other
folder of backends is on the path, so that a module that FOLDER lacks is not found here. Any environment with the
frameworks will do, whether or not this repository is installed in it: nothing is imported from here before the
path is right.

Somebody's own backends may import more of their project, which FOLDER has too. CHECKOUT is where they work: what
is imported from there all the same, since it is installed in that place, is refused. It would be the same on both
sides.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import runpy
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

OWN = Path(__file__).resolve().parents[2]
"""The folder that holds our `backends/` and `benchmarks/`: the checkout, or the package that is installed."""


def main() -> None:
    """Put the folder on the path as it is to be, and run the module."""
    folder, checkout, module = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve(), sys.argv[3]
    del sys.argv[1:4]
    others = list(_others(folder, checkout))
    is_whole = (folder / "backends" / "interface.py").is_file()
    if (OWN / "__init__.py").is_file():
        _take_package(OWN.name, folder if is_whole else OWN)
        sys.path[:] = others
    else:
        # A package that is imported finds its modules without the path.
        sys.path[:] = [str(OWN), *others]
        importlib.import_module("benchmarks")
        sys.path[:] = [str(folder if is_whole else OWN), *others]
    if not is_whole:
        sys.path.insert(len(sys.path) - len(others), str(folder))
        os.chdir(folder)  # a file that is opened by a relative path is the folder's, too
        sys.meta_path.insert(0, _Refusing(folder, checkout, others))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _take_package(name: str, backends: Path) -> None:
    """Import the package that we are installed as from its place, with the `backends` of another folder.

    Its place is not put on the path: there may be more installed in it, and this may be another environment.
    """
    spec = importlib.util.spec_from_file_location(name, OWN / "__init__.py", submodule_search_locations=[str(OWN)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{name}: cannot be imported from {OWN}")
    sys.modules[name] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    processes = importlib.import_module(f"{name}.benchmarks.processes")
    processes.answer_to("backends", f"{name}.backends")
    package.__path__ = [str(backends)]


def _others(folder: Path, checkout: Path) -> Iterator[str]:
    """Yield the path without this folder and without other folders of backends, those of CHECKOUT as FOLDER's."""
    for entry in sys.path:
        place = Path(entry).resolve()
        if _has_packages(place):
            yield entry
        elif place == Path(__file__).resolve().parent or (place / "backends").is_dir():
            continue
        elif not place.is_relative_to(checkout) or any(map(place.is_relative_to, _environments(checkout))):
            yield entry
        elif (folder / place.relative_to(checkout)).is_dir():
            yield str(folder / place.relative_to(checkout))


def _has_packages(place: Path) -> bool:
    """Tell whether packages are installed in a folder."""
    return place.name in ("site-packages", "dist-packages") or any(place.glob("*.dist-info"))


def _environments(checkout: Path) -> list[Path]:
    """Return where Python lies, where that is within the checkout."""
    prefixes = (Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix))
    return [prefix for prefix in prefixes if checkout in prefix.parents]


class _Refusing(MetaPathFinder):
    """Finds what the other finders find, and refuses modules of the checkout."""

    def __init__(self, folder: Path, checkout: Path, others: Sequence[str]) -> None:
        installed = [place for entry in others if _has_packages(place := Path(entry).resolve())]
        self._checkout = checkout
        self._allowed = (folder, OWN / "backends", OWN / "benchmarks", *installed, *_environments(checkout))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        finders = (finder for finder in sys.meta_path if finder is not self)
        found = next((spec for finder in finders if (spec := finder.find_spec(fullname, path, target))), None)
        if found and self._is_foreign(Path(found.origin or "")):
            where = f"{fullname} lies at {found.origin}"
            raise ImportError(f"{where}, and not in what is measured: it would be the same on both sides")
        return found

    def _is_foreign(self, place: Path) -> bool:
        if not place.is_absolute():  # what is built in has no place
            return False
        place = place.resolve()
        return place.is_relative_to(self._checkout) and not any(map(place.is_relative_to, self._allowed))


if __name__ == "__main__":
    main()
