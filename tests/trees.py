"""Copies of this tree, in which a test changes something."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.job import ROOT

KERNELS = ("*.nbi", "*.nbc")
"""What Numba has compiled: hundreds of megabytes, which no copy has needed yet."""


def copied(folder: Path, *parts: str) -> Path:
    """Copy files and folders of this tree into `folder`, which may be new, and return it.

    With what Python has compiled, which it finds by a source's time and size: to compile all again takes three
    seconds.
    """
    for part in parts:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns(*KERNELS))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / part, folder)
    return folder
