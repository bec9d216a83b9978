"""A worker whose backends come from another folder: another revision of them, measured with the same instrument.

`python benchmarks/measure/elsewhere.py FOLDER FD BACKEND DEVICE THREADS` serves as `benchmarks.measure.worker`
does, with the package `backends` in FOLDER. This repository is taken off the path, so that a module that FOLDER
lacks is not found here. Any environment with the frameworks will do, whether or not this repository is installed
in it: nothing is imported from here before the path is right.
"""

from __future__ import annotations

import importlib
import runpy
import sys
from pathlib import Path


def main() -> None:
    """Put the folder in place of this repository on the path, and become a worker."""
    folder, own = sys.argv.pop(1), Path(__file__).resolve().parents[2]
    others = [entry for entry in sys.path if Path(entry).resolve() not in (own, Path(__file__).resolve().parent)]
    # A package that is imported finds its modules without the path.
    sys.path[:] = [str(own), *others]
    importlib.import_module("benchmarks")
    sys.path[:] = [folder, *others]
    runpy.run_module("benchmarks.measure.worker", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
