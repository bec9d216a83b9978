"""A made-up run, small, as every kind of file that is read back."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks.record import history, planned, saved, tables
from benchmarks.record.journal import JOURNALS, load_run, plain, write_journal_line
from benchmarks.record.schema import CASE, DEFAULTS, SCHEMA, case_from
from benchmarks.report.text import csv
from benchmarks.stats import pairs

RUN, OTHER, ALONE = "20260101T000000.000Z", "20260102T000000.000Z", "20260103T000000.000Z"
"""The runs: the one to damage, one that must still be found, and one that left pytest-benchmark's JSON alone."""
MACHINE = "a1b2c3d4e5f6"
JOURNAL = Path(JOURNALS) / f"{RUN}.jsonl"
SAVED = Path("runs/Linux/0001_alone.json")
TABLE = Path("latest/records.csv")
HISTORY = Path(history.FOLDER) / f"machine_id={MACHINE}" / f"{RUN}.parquet"

Line = dict[str, object]


def write(results: Path, *, sealed: bool) -> None:
    """Write the made-up runs into a results folder, with checksums or, as older versions did, without."""
    for run_id in (RUN, OTHER):
        path = results / JOURNALS / f"{run_id}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_journal(path, _lines(run_id), sealed=sealed or run_id == OTHER)
        records = load_run(path).records
        stored = history.append(records, results)
        if run_id == RUN and not sealed:
            records.drop(columns="machine_id").to_parquet(stored, index=False)
    run = load_run(results / JOURNAL)
    found = {"records.csv": run.records, "accuracy.csv": run.accuracy, "pairs.csv": run.pairs}
    tables.write(results / TABLE.parent, {name: csv.page(frame) for name, frame in found.items()})
    if not sealed:
        (results / TABLE.parent / tables.CHECKSUMS).unlink()
    _write_saved(results / SAVED, sealed=sealed)


def _write_journal(path: Path, lines: list[Line], *, sealed: bool) -> None:
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            if sealed:
                write_journal_line(file, line)
            else:
                file.write(json.dumps(plain(line)) + "\n")


def _write_saved(path: Path, *, sealed: bool) -> None:
    benchmarks = [{"name": str(i), "extra_info": each} for i, (each, _) in enumerate(_cases(ALONE))]
    content: Line = {"machine_info": {}, "benchmarks": benchmarks, "version": "5.3"}
    if sealed:
        content["activation_bench"] = {"crc32": saved.checksums(benchmarks)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")


def _lines(run_id: str) -> list[Line]:
    """Return a journal: opening, bandwidth, a curve, accuracy, costs, the groups, and its end."""
    opening: Line = {"type": "run", "schema": SCHEMA, "run_id": run_id, "saved_as": run_id, "command": "pytest"}
    opening |= {"machine": {"machine_id": MACHINE, "threads": 2}, "seed": 0, "precision": 0.02}
    found = [opening, _plan(run_id), *beside()]
    for _, group in itertools.groupby(_cases(run_id), key=lambda each: [each[0][name] for name in CASE]):
        cases = list(group)
        found.append({"type": "begin", "cases": [f"{each['op']}-{each['backend']}" for each, _ in cases]})
        found.append({"type": "group", "cases": [each for each, _ in cases], "pairs": [pair(*cases)]})
    return [*found, bandwidth(), {"type": "end", "time_s": {"rounds": 1.5}, "elapsed_s": 2.5, "reference_s": 7e-5}]


def beside() -> list[Line]:
    """Return what a journal holds before its groups: the bandwidth, a curve, accuracy and costs."""
    curve: Line = {"type": "function", "op": "relu", "x": [-1.0, 1.0], "y": [0.0, 1.0], "derivative": [0.0, 1.0]}
    return [bandwidth(), curve, *_accuracy(), *_costs()]


def bandwidth() -> Line:
    """Return how fast bytes are copied and read, as it is measured before the groups and after them."""
    about: Line = {"type": "bandwidth", "device": "cpu", "n_bytes": [4096, 10**6], "copy": [60.0, 40.0]}
    return about | {"read": [70.0, 50.0], "stores": ["plain", "plain"]}


def _plan(run_id: str) -> Line:
    plan = planned.plan_of((case_from(each) for each, _ in _cases(run_id)), {"--threads": "2", "numpy": "2.1"})
    return {"type": "plan", **planned.line_of(plan)}


def _cases(run_id: str) -> list[tuple[Line, list[float]]]:
    """Return the cases of a run, each with the seconds of its turns."""
    ops, backends = itertools.product(("relu", "sigmoid"), (1024, 65536)), (("numpy", 1.0), ("torch", 2.0))
    return [
        case(op, n, backend, speed, {"run_id": run_id, "saved_as": run_id})
        for (op, n), (backend, speed) in itertools.product(ops, backends)
    ]


def case(
    op: str, n: int, backend: str, speed: float, more: Line, *, n_turns: int = 10
) -> tuple[Line, list[float]]:
    """Return a made-up case of so many elements, with the seconds of its turns; `more` are other columns."""
    chance = random.Random(f"{op} {n} {backend}")
    turns = [(1e-6 + n * 1e-9) / speed * chance.uniform(1, 1.02) for _ in range(n_turns)]
    median = sorted(turns)[n_turns // 2]
    found: Line = {
        "git_commit": "0123456", "git_dirty": False,
        "machine_id": MACHINE, "timestamp": "2026-01-01T00:00:00+00:00", "device_name": "a processor",
        "op": op, "mode": "forward", "dtype": "float32", "shape": str(n), "backend": backend, "device": "cpu",
        **DEFAULTS, "kind": "elementwise", "n_elements": n, "peer": False, "status": "ok", "reason": "",
        "warning": "=1+1", "backend_version": "2.1", "threads": 1, "settings": "",
        "median_s": median, "mean_s": median, "min_s": min(turns), "iqr_s": 0.01 * median,
        "ci95_low_s": 0.99 * median, "ci95_high_s": 1.01 * median, "processes": 1, "bursts": n_turns, "rounds": 50,
        "iterations": 100, "stop_reason": "precision reached", "first_call_s": 1e-3, "bytes_moved": 8 * n,
        "bytes_written": 4 * n, "gigabytes_per_s": 8 * n / median / 1e9, "elements_per_s": n / median,
        "fraction_of_bandwidth": 0.5, "max_ulp": 0.5, "mean_ulp": 0.25, "max_abs_error": 1e-8,
        "oracle": "mpmath", "bursts_s": [turns], **more,
    }  # fmt: skip
    return found, turns


def pair(slower: tuple[Line, list[float]], faster: tuple[Line, list[float]]) -> Line:
    """Return how two cases compare of which one is faster."""
    compared = pairs.compare(slower[1], faster[1])
    about: Mapping[str, object] = {name: faster[0][name] for name in (*CASE, "backend") if name != "n_elements"}
    other = {"other": slower[0]["backend"], "other_device": "cpu"}
    return {**about, **other, "verdict": compared.verdict, **asdict(compared)}


def _accuracy() -> list[Line]:
    return [
        {
            "type": "accuracy", "op": op, "mode": "forward", "dtype": "float32", "backend": backend,
            "device": "cpu",
            "kind": "elementwise", "backend_version": "2.1", "sample": "designed", "status": "ok", "reason": "",
            "n_points": 999, "max_ulp": 0.5, "max_ulp_elsewhere": 0.5, "max_ulp_normal": 0.5, "mean_ulp": 0.25,
            "worst_input": 1.5, "budget_ulp": 4.0,
        }
        for op, backend in itertools.product(("relu", "sigmoid"), ("numpy", "torch"))
    ]  # fmt: skip


def _costs() -> list[Line]:
    floor: Line = {"start_s": 0.5, "import_s": 0.4, "floor_s": 1e-7, "floor_low_s": 9e-8, "floor_high_s": 1.1e-7}
    about: Line = {"type": "cost", "backend_version": "2.1", "device": "cpu"}
    return [{**about, "backend": backend, **floor} for backend in ("numpy", "torch")]
