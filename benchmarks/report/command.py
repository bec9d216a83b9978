"""The command that measures again what a chart shows."""

from __future__ import annotations

import shlex

import pandas as pd

from benchmarks.analysis.policies import DEFAULTS
from benchmarks.analysis.tables import backend_order

_OPTIONS = {"op": "op", "mode": "mode", "dtype": "dtype", "device": "device", "size": "n_elements"}


def restated(records: pd.DataFrame) -> str:
    """Return the command that measures these records' cases: what they have in common, and what varies."""
    words = ["pytest", "benchmarks/test_timing.py"]
    options = {option: list(records[column].dropna().unique()) for option, column in _OPTIONS.items()}
    options["size"] = sorted(options["size"])
    options["backend"] = backend_order(records)
    for policy, usual in DEFAULTS.items():
        values = list(records[policy].dropna().unique())
        if values != [usual]:
            options[policy] = values
    for option, values in options.items():
        if values:
            words += [f"--{option}", *map(str, values)]
    return shlex.join(words)
