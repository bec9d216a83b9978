"""Check that a run has written all its files, and that they agree."""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import pandas as pd


def main() -> None:
    """Exit with a message for the first thing that is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path)
    parser.add_argument("--saved-as", required=True)
    arguments = parser.parse_args()
    latest = arguments.results / "latest"

    records = pd.read_csv(latest / "records.csv")
    measured = records[records.status == "ok"]
    backends = set(measured.backend)
    require(backends == {"numpy", "numba", "numba-parallel", "jax", "torch"}, f"other backends: {backends}")
    require((measured.median_s > 0).all(), "a median is not positive")
    require((measured.ci95_low_s <= measured.median_s).all(), "an interval lies above its median")
    require((measured.median_s <= measured.ci95_high_s).all(), "an interval lies below its median")

    medians = pd.read_csv(latest / "medians.csv")
    n_rows = len(measured.groupby(["op", "mode", "dtype", "shape", "allocation"]))
    require(len(medians) == n_rows, f"medians.csv has {len(medians)} rows, not {n_rows}")

    statuses = set(pd.read_csv(latest / "accuracy.csv").status)
    require(statuses <= {"ok", "known_deviation"}, f"a check ended otherwise: {statuses}")

    page = (latest / "report.html").read_text(encoding="utf-8")
    require(not re.search(r'(?:src|href)="https?:', page), "the report loads something from a network")
    require(arguments.saved_as in page, "the report does not name the run")

    (saved,) = arguments.results.glob(f"runs/*/*_{arguments.saved_as}.json")
    benchmarks = json.loads(saved.read_text(encoding="utf-8"))["benchmarks"]
    by_id = {b["name"]: b["stats"]["median"] for b in benchmarks if b["name"].startswith("test_timing")}
    require(len(by_id) == len(measured), f"{len(by_id)} cases are saved, and {len(measured)} were measured")
    for row in measured.itertuples():
        policy = "" if row.allocation == "fresh" else f"-{row.allocation}"
        name = f"test_timing[{row.op}-{row.mode}-{row.dtype}-{row.shape}-{row.backend}-{row.device}{policy}]"
        require(abs(by_id[name] / row.median_s - 1) < 1e-6, f"{name}: CSV and JSON differ")
    print(f"{len(measured)} measured cases: CSV, JSON and report agree")


def require(holds: object, message: str) -> None:
    """Exit with a message unless something holds. No assertion: `python -O` leaves those out."""
    if not holds:
        sys.exit(f"error: {message}")


if __name__ == "__main__":
    main()
