"""Check that a run has written all its files, and that they agree."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import pandas as pd


def main() -> None:
    """Raise AssertionError for the first thing that is wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("results", type=Path)
    parser.add_argument("--saved-as", required=True)
    arguments = parser.parse_args()
    latest = arguments.results / "latest"

    records = pd.read_csv(latest / "records.csv")
    measured = records[records.status == "ok"]
    assert set(measured.backend) == {"numpy", "numba", "numba-parallel", "jax", "torch"}, set(measured.backend)
    assert (measured.median_s > 0).all()
    assert (measured.ci95_low_s <= measured.median_s).all()
    assert (measured.median_s <= measured.ci95_high_s).all()

    medians = pd.read_csv(latest / "medians.csv")
    assert len(medians) == len(measured.groupby(["op", "mode", "dtype", "shape", "allocation"]))

    accuracy = pd.read_csv(latest / "accuracy.csv")
    assert set(accuracy.status) <= {"ok", "known_deviation"}, accuracy.status.unique()

    page = (latest / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)="https?:', page), "the report loads something from a network"
    assert arguments.saved_as in page

    (saved,) = arguments.results.glob(f"runs/*/*_{arguments.saved_as}.json")
    benchmarks = json.loads(saved.read_text(encoding="utf-8"))["benchmarks"]
    by_id = {b["name"]: b["stats"]["median"] for b in benchmarks if b["name"].startswith("test_timing")}
    assert len(by_id) == len(measured), (len(by_id), len(measured))
    for row in measured.itertuples():
        policy = "" if row.allocation == "fresh" else f"-{row.allocation}"
        name = f"test_timing[{row.op}-{row.mode}-{row.dtype}-{row.shape}-{row.backend}-{row.device}{policy}]"
        assert abs(by_id[name] / row.median_s - 1) < 1e-6, name
    print(f"{len(measured)} measured cases: CSV, JSON and report agree")


if __name__ == "__main__":
    main()
