"""The command that measures again what a chart shows."""

from __future__ import annotations

import shlex
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from benchmarks.record.schema import DEFAULTS
from benchmarks.record.shapes import is_default_shape, parse_shape

_OPTIONS = {
    "op": "op",
    "mode": "mode",
    "dtype": "dtype",
    "device": "device",
    "size": "n_elements",
    "shape": "shape",
    "backend": "backend",
} | {policy: policy for policy in DEFAULTS}


def restated(rows: Iterable[Mapping[Hashable, Any]]) -> str:
    """Return the command that measures these records' cases: what they have in common, and what varies."""
    options: dict[str, dict[object, None]] = {}
    for row in rows:
        usual = is_default_shape(str(row["op"]), parse_shape(str(row["shape"])))
        for option, column in _OPTIONS.items():
            found = options.setdefault(option, {})
            if option != ("shape" if usual else "size"):
                found[row[column]] = None
    words = ["pytest", "benchmarks/test_timing.py"]
    for option, found in options.items():
        values = sorted(found) if option == "size" else list(found)  # type: ignore[type-var]
        if values not in ([], [DEFAULTS.get(option)], [""]):
            words += [f"--{option}", *map(str, values)]
    return shlex.join(words)
