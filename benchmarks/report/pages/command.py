"""The command that measures again what a chart shows."""

from __future__ import annotations

import shlex

import pandas as pd

from benchmarks import invocation
from benchmarks.record import teams
from benchmarks.record.schema import DEFAULTS, OPTIONS
from benchmarks.record.shapes import is_default_shape, parse_shape

_OPTIONS = {
    "--op": "op",
    "--mode": "mode",
    "--dtype": "dtype",
    "--device": "device",
    "--size": "n_elements",
    "--shape": "shape",
    "--backend": "backend",
} | {OPTIONS[policy]: policy for policy in DEFAULTS}


def restated(rows: pd.DataFrame) -> str:
    """Return the command that measures these rows' cases: what they have in common, and what varies."""
    pairs = zip(rows["op"], rows["shape"], strict=True)
    usual = pd.Series([is_default_shape(op, parse_shape(shape)) for op, shape in pairs], rows.index, dtype=bool)
    words = ["pytest", "benchmarks/test_timing.py"]
    for option, column in _OPTIONS.items():
        asked = {"--size": usual, "--shape": ~usual}.get(option)
        values = list((rows if asked is None else rows[asked])[column].unique())
        if option == "--size":
            values.sort()
        if column == "team":
            values = [size for team in values if (size := teams.size_of(team))]
        if values not in ([], [DEFAULTS.get(column)], [""]):
            words += [option, *map(str, values)]
    return invocation.as_called(shlex.join(words))
