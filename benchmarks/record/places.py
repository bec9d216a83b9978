"""Places: whether a run could leave its results behind, found out before it measures."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from benchmarks.record.damage import named
from benchmarks.record.journal import JOURNALS

LEAST = 16 * 2**20
"""Bytes that must be free: a report takes 5 MB, and is written beside the one that it replaces."""


def unusable(results: Path, name: str = "") -> str:
    """Return why a run of this name could leave no results in a folder; empty where nothing speaks against it."""
    for option, text in (("--results", str(results)), ("--benchmark-save", name)):
        if text.encode(errors="ignore").decode() != text:
            return f"{option}: must be text in UTF-8; got {text!a}"
    try:
        for folder in (results / "latest", results / JOURNALS):
            there = next(each for each in (folder, *folder.parents) if each.exists())
            if not there.is_dir():
                return f"--results: {named(there)} is not a folder; a run writes there: move it, or choose another"
            if not os.access(there, os.W_OK | os.X_OK):
                return f"--results: no right to write into {named(there)}; change that, or choose another folder"
        if (free := shutil.disk_usage(there).free) < LEAST:
            return (
                f"--results: {free / 1e6:.1f} MB are free there, and a report needs {LEAST / 1e6:.0f}; make room"
            )
    except OSError as error:
        return f"--results: cannot write to {named(results)}: {error}"
    return ""
