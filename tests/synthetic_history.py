"""Made-up runs, saved one after the other, in which one case becomes slower."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from benchmarks.record.frames import to_frame
from tests.synthetic import RATES, TIMES, failure, record


def saved_runs(n: int = 20, noise: float = 0.01, step: float = 1.3) -> list[pd.DataFrame]:
    """Return the records of `n` saved runs, one a day and a commit each.

    torch's sigmoid takes `step` times as long from the middle on, where torch's version changes too; relu stays as
    it is, and fails in the fourth run.
    """
    rng = np.random.default_rng(7)
    found = []
    for i in range(n):
        late = i >= n // 2
        about = {
            "run_id": f"202603{1 + i:02d}T101500.000Z",
            "timestamp": f"2026-03-{1 + i:02d}T10:15:00+00:00",
            "saved_as": f"day-{i}",
            "git_commit": f"{i:07x}" + "0" * 33,
            "git_dirty": False,
        }
        rows = []
        for backend, op in itertools.product(("numpy", "torch"), ("sigmoid", "relu")):
            if (backend, op, i) == ("torch", "relu", 3):
                gone = failure(backend, "crashed", "the worker ended with exit code -9", op=op)
                rows.append({**gone, **about, "threads": None})
                continue
            row = record(backend, op, **about)
            scale = float(np.exp(noise * rng.normal())) * (
                step if late and (backend, op) == ("torch", "sigmoid") else 1
            )
            row |= {name: float(str(row[name])) * scale for name in TIMES}
            row |= {name: float(str(row[name])) / scale for name in RATES}
            rows.append(
                row | {"backend_version": "2.13.0" if late and backend == "torch" else row["backend_version"]}
            )
        found.append(to_frame(rows))
    return found
