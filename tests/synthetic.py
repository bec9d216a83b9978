"""A made-up run with everything a report must show.

Winners, ties, doubts, failures, gaps and known deviations; two policies; what calls cost before they compute.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.analysis.study import Study
from benchmarks.machine.caveat import Caveat
from benchmarks.machine.roofline import BANDWIDTH
from benchmarks.record import teams
from benchmarks.record.frames import to_frame
from benchmarks.record.run import Run, burst_rows
from benchmarks.record.schema import ACCURACY_COLUMNS, CASE_KEYS, COST_COLUMNS, PAIR_COLUMNS
from benchmarks.stats import pairs

OPS = {
    "step": "elementwise",
    "sigmoid": "elementwise",
    "tanh": "elementwise",
    "relu": "elementwise",
    "mean_squared_error": "loss",
    "categorical_cross_entropy": "loss",
}
SIZES = (1_024, 32_768, 1_048_576, 8_388_608)
MODES = ("forward", "backward")
# Overhead of a call in seconds, seconds per element of cheap work, and of transcendental work.
COSTS = {
    "numpy": (9e-7, 5.5e-10, 7.2e-9),
    "numba": (3.5e-7, 2.6e-10, 2.1e-9),
    "numba-parallel": (1.6e-5, 1.4e-10, 1.1e-9),
    "jax": (4.2e-6, 2.2e-10, 1.2e-9),
    "torch": (2.4e-6, 1.5e-10, 7.5e-10),
}
VERSIONS = {
    "numpy": "2.3.1",
    "numba": "0.63.0",
    "numba-parallel": "0.63.0",
    "jax": "0.10.1",
    "torch": "2.11.0",
}
START_S = {"numpy": 0.11, "numba": 0.62, "numba-parallel": 0.71, "jax": 1.34, "torch": 2.9}
COMPILE_S = {"numba": 0.61, "numba-parallel": 1.42, "jax": 0.048}
TIMES = ("median_s", "mean_s", "min_s", "iqr_s", "ci95_low_s", "ci95_high_s")
RATES = ("elements_per_s", "gigabytes_per_s", "fraction_of_bandwidth")
TEMPORARIES = {"numpy": 2, "jax": 0.25}
"""Beside the output, in units of it, while a call runs."""
WARNINGS = {
    ("torch", "relu", 1_048_576): "the machine was 8% slower than usual meanwhile",
    ("jax", "relu", 1_048_576): "the machine was 12% slower than usual meanwhile",
    ("numpy", "tanh", 1_024): "the machine was 6% slower than usual meanwhile; 0.31% of the numbers are subnormal",
}
HOSTILE = "<script>alert(1)</script>"


def record(
    backend: str, op: str = "sigmoid", mode: str = "forward", n: int = 1024, **more: object
) -> dict[str, object]:
    """Return one successful record with a plausible time, overridden by `more`."""
    rng = np.random.default_rng(_seed(backend, op, mode, n))
    overhead, cheap, costly = COSTS.get(backend, COSTS["torch"])
    work = cheap if op in ("step", "relu", "mean_squared_error") else costly
    median = (overhead + n * work * (1.4 if mode == "backward" else 1.0)) * rng.uniform(0.95, 1.08)
    if n > 4_000_000:
        median *= 1.3  # beyond the caches
    width = median * rng.uniform(0.004, 0.06)
    middle = float(str(more.get("median_s", median)))
    half_width = width / median * middle / 2
    moved = n * 4 * (3 if mode == "backward" else 2)
    reduced = OPS.get(op) == "loss" and mode == "forward"
    written = 4 if reduced else n * 4
    limit = read_bandwidth(moved) if reduced else copy_bandwidth(moved)
    return {
        "run_id": "20260321T101500Z",
        "saved_as": "desk",
        "timestamp": "2026-03-21T10:15:00Z",
        "git_commit": "4f1c2d9e8b7a6c5d4e3f2a1b0c9d8e7f6a5b4c3d",
        "git_dirty": True,
        "machine_id": "a1b2c3d4e5f6",
        "device_name": 'AMD EPYC "Milan" 7R13',
        "op": op,
        "kind": OPS.get(op, "elementwise"),
        "mode": mode,
        "backend": backend,
        "variant": backend.partition("-")[2],
        "backend_version": VERSIONS.get(backend, "1.0"),
        "device": "cpu",
        "dtype": "float32",
        "shape": (n,),
        "n_elements": n,
        "allocation": "fresh",
        "cache": "hot",
        "timing": "latency",
        "memory": "retained",
        "launch": "eager",
        "saved": "input",
        "team": "usual",
        "threads": 1 if backend in ("numpy", "numba") else 2,
        "status": "ok",
        "warning": WARNINGS.get((backend, op, n)) if mode == "forward" else None,
        "median_s": median,
        "mean_s": median * 1.02,
        "min_s": median * 0.96,
        "iqr_s": width,
        "ci95_low_s": middle - half_width,
        "ci95_high_s": middle + half_width,
        "processes": 1,
        "bursts": int(8 + 1e9 * width % 23),
        "rounds": int(rng.integers(20, 400)),
        "iterations": max(1, round(1e-3 / median)),
        "stop_reason": "precision reached" if rng.random() < 0.9 else "time used up",
        "first_call_s": median * 3 + COMPILE_S.get(backend, 0) * rng.uniform(0.7, 1.3),
        "peak_bytes": round(written * (1 + TEMPORARIES.get(backend, 0))),
        "elements_per_s": n / median,
        "bytes_moved": moved,
        "bytes_written": written,
        "gigabytes_per_s": moved / median / 1e9,
        "fraction_of_bandwidth": moved / median / 1e9 / limit,
        "max_ulp": float(rng.uniform(0, 2.5)),
        "mean_ulp": 0.3,
        "max_abs_error": 6e-8,
        "oracle": "mpmath, 50 digits",
        **more,
    }


def _seed(*parts: object) -> int:
    return sum(ord(letter) * 31**i for i, letter in enumerate(repr(parts))) % 2**32


def failure(backend: str, status: str, reason: str, **more: object) -> dict[str, object]:
    """Return a record without a result."""
    measured = record(backend, **more)  # type: ignore[arg-type]
    coordinates = list(measured)[: list(measured).index("status")]
    return {name: measured[name] for name in coordinates} | {"status": status, "reason": reason}


Turns = Mapping[str, Sequence[float]]
"""The seconds of each turn of the backends of one group, by name; with `on cuda` after it on that device."""


def pairs_of(case: Mapping[str, object], turns: Turns) -> list[dict[str, object]]:
    """Return the pairs of one group: of a record of any of its cases, and what each backend's turns took."""
    about = {name: case[name] for name in CASE_KEYS if name not in {"backend", "device"}}
    ranked = sorted(turns, key=lambda name: statistics.median(turns[name]))
    found = []
    for faster, slower in itertools.combinations(ranked, 2):
        compared = pairs.compare(turns[slower], turns[faster])
        (backend, _, device), (other, _, other_device) = (name.partition(" on ") for name in (faster, slower))
        found.append(
            {
                **about,
                "backend": backend,
                "device": device or "cpu",
                "other": other,
                "other_device": other_device or "cpu",
                "verdict": compared.verdict,
                **asdict(compared),
            }
        )
    return found


def all_pairs(rows: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    """Return made-up pairs of all groups of records: noise of 2 % around their medians, over 60 turns."""
    groups: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for row in rows:
        if row["status"] == "ok":
            group = tuple(row[name] for name in CASE_KEYS if name not in {"backend", "device"})
            groups.setdefault(group, []).append(row)
    found = []
    for group, cases in groups.items():
        rng = np.random.default_rng(_seed(*map(str, group)))
        turns = {
            f"{row['backend']} on {row['device']}": float(str(row["median_s"])) * rng.lognormal(0, 0.02, 60)
            for row in cases
        }
        found += pairs_of(cases[0], turns)
    return found


def copy_bandwidth(n_bytes: float) -> float:
    """Return a plausible copy bandwidth in GB/s: high in the caches, lower in memory."""
    return 52 + 70 / (1 + (n_bytes / 6e5) ** 0.8) * min(1.0, (n_bytes / 4096) ** 0.3)


def read_bandwidth(n_bytes: float) -> float:
    """Return a plausible bandwidth of reading alone in GB/s."""
    return 1.3 * copy_bandwidth(n_bytes)


def records() -> list[dict[str, object]]:
    """Return every case of the made-up run."""
    rows = []
    for op, mode, n, backend in itertools.product(OPS, MODES, SIZES, COSTS):
        case = {"op": op, "mode": mode, "n": n}
        if backend == "numba-parallel" and op == "categorical_cross_entropy" and mode == "backward":
            rows.append(
                failure(backend, "failed", "result is 37 ULP off where 4 are allowed\n(at x = 0.5)", **case)
            )
        elif backend == "jax" and op == "step" and mode == "backward":
            rows.append(failure(backend, "unavailable", "jax: the derivative of step is not registered", **case))
        elif backend == "torch" and op == "tanh" and n == SIZES[-1] and mode == "forward":
            rows.append(failure(backend, "timeout", "torch-cpu gave no answer within 120 s and was ended", **case))
        elif backend == "jax" and op == "mean_squared_error" and n == SIZES[-1] and mode == "forward":
            reason = "the result of a round of 3 calls took 9.41 ms longer to arrive than a complete one"
            rows.append(failure(backend, "invalid", reason, **case))
        else:
            rows.append(record(backend, **case))  # type: ignore[arg-type]
    rows += reused()
    reason = "torch-compile needs a C++ compiler: install g++"
    return rows + [failure("torch-compile", "unavailable", reason, op=op) for op in OPS]


def reused() -> list[dict[str, object]]:
    """Return what was also measured into an output allocated once: faster where memory is the limit."""
    rows = []
    for op, n, backend in itertools.product(("sigmoid", "relu"), SIZES, ("numpy", "numba", "torch")):
        fresh = record(backend, op, n=n)
        factor = 0.38 if n == SIZES[-1] else 0.93
        times = {name: float(str(fresh[name])) * factor for name in TIMES}
        rates = {name: float(str(fresh[name])) / factor for name in RATES}
        rows.append({**fresh, **times, **rates, "allocation": "reuse", "peak_bytes": 0})
    return rows


def accuracy() -> list[dict[str, object]]:
    """Return every accuracy check of the made-up run."""
    rows: list[dict[str, object]] = []
    for op, mode, backend in itertools.product(OPS, MODES, COSTS):
        rng = np.random.default_rng(_seed(op, mode, backend))
        row: dict[str, object] = {
            "op": op, "kind": OPS[op], "mode": mode, "backend": backend,
            "backend_version": VERSIONS[backend], "device": "cpu", "dtype": "float32", "sample": "designed",
            "status": "ok", "reason": "", "n_points": 20_011,
            "max_ulp": 0.0 if op in ("step", "relu") else float(rng.uniform(0.5, 3.2)), "mean_ulp": 0.21,
            "max_ulp_elsewhere": 0.97,
            "worst_input": float(rng.normal()), "budget_ulp": 0.0 if op in ("step", "relu") else 4.0,
        }  # fmt: skip
        if backend in ("torch", "jax") and mode == "backward" and op in ("sigmoid", "tanh"):
            reason = f"{op}' computed from y cancels where |y| approaches 1"
            row |= {"status": "known_deviation", "max_ulp": 2.0**24, "worst_input": 16.6, "reason": reason}
        if backend in ("torch", "jax") and mode == "backward" and op == "relu":
            reason = "the gradient at NaN is a number: a comparison with NaN is false"
            row |= {
                "status": "known_deviation",
                "max_ulp": math.inf,
                "worst_input": math.nan,
                "reason": reason,
            }
        if backend == "numba-parallel" and mode == "backward" and op == "categorical_cross_entropy":
            row |= {"status": "failed", "max_ulp": 37.2, "reason": "37.2 ULP at x = 0.5 where 4 are allowed"}
        rows.append(row)
    return rows


def curves() -> pd.DataFrame:
    """Return some activations and their derivatives over [-5, 5)."""
    x = np.arange(-5, 5, 0.05)
    sigmoid, tanh = 1 / (1 + np.exp(-x)), np.tanh(x)
    functions = {
        "step": ((x > 0) * 1.0, 0 * x),
        "sigmoid": (sigmoid, sigmoid * (1 - sigmoid)),
        "tanh": (tanh, 1 - tanh**2),
        "relu": (np.maximum(x, 0), (x > 0) * 1.0),
    }
    return pd.concat(
        [pd.DataFrame({"op": op, "x": x, "y": y, "derivative": d}) for op, (y, d) in functions.items()],
        ignore_index=True,
    )


def curve_errors() -> pd.DataFrame:
    """Return made-up errors along those curves; those of jax's tanh grow beyond all bounds."""
    x = np.arange(-5, 5, 0.1)
    frames = []
    for op, mode, backend in itertools.product(("sigmoid", "tanh"), MODES, COSTS):
        ulp = np.random.default_rng(_seed(op, mode, backend)).uniform(0, 3, x.size)
        if (op, backend) == ("tanh", "jax"):
            ulp[-1] = math.inf
        case = {"op": op, "mode": mode, "backend": backend, "device": "cpu"}
        frames.append(pd.DataFrame({**case, "x": x, "ulp": ulp}))
    return pd.concat(frames, ignore_index=True)


def bandwidth(*devices: str) -> pd.DataFrame:
    """Return a made-up measurement of how fast bytes are copied and, on the host, read."""
    ladder = [4**k for k in range(6, 15)]
    rates = {"copy": copy_bandwidth, "read": read_bandwidth}
    rows = [
        {
            "device": device,
            "kind": kind,
            "n_bytes": n,
            "gigabytes_per_s": rates[kind](n) * (1 if device == "cpu" else 20),
            "stores": "" if kind == "read" or device != "cpu" else "streaming" if n >= 4**10 else "plain",
            "moved": 0.21 if (kind, n) == ("copy", 4**8) else 0.013,
            "rejected": (kind, n) == ("copy", 4**8),
        }
        for device in devices or ("cpu",)
        for kind in (rates if device == "cpu" else ("copy",))
        for n in ladder
    ]
    return pd.DataFrame(rows, columns=list(BANDWIDTH))


def costs() -> list[dict[str, object]]:
    """Return what each backend costs before it computes anything."""
    return [
        {
            "backend": backend, "backend_version": VERSIONS[backend], "device": "cpu",
            "start_s": START_S[backend], "import_s": START_S[backend] - 0.08,
            "floor_s": 0.02 * overhead, "floor_low_s": 0.019 * overhead, "floor_high_s": 0.022 * overhead,
            "call_op": "relu", "call_s": overhead, "call_low_s": 0.97 * overhead, "call_high_s": 1.04 * overhead,
            "first_call_s": 8 * overhead + COMPILE_S.get(backend, 0),
        }
        for backend, (overhead, *_) in COSTS.items()
    ]  # fmt: skip


MACHINE = {
    "machine_id": "a1b2c3d4e5f6",
    "cpu": "AMD EPYC 7R13 Processor",
    "architecture": "x86_64",
    "cores": 2,
    "logical_cpus": 4,
    "memory_gib": 23,
    "system": "Linux",
    "l3_cache_bytes": 33_554_432,
    "vector_extensions": "avx, avx2",
    "kernel": "6.1.0",
    "python": "3.13.5",
    "threads": 2,
    "governor": None,
    "load_average_1min": 0.12,
    "packages": {**VERSIONS, "pandas": "3.1.1"},
}


def run(**changes: object) -> Run:
    """Return the made-up run, with fields replaced by `changes`."""
    fields: dict[str, object] = {
        "records": to_frame(records()),
        "accuracy": to_frame(accuracy(), ACCURACY_COLUMNS),
        "machine": MACHINE,
        "bandwidth": bandwidth(),
        "curves": curves(),
        "curve_errors": curve_errors(),
        "costs": to_frame(costs(), COST_COLUMNS),
        "seed": 20260321,
        "time_s": {
            "rounds": 41.2,
            "calibration and warm-up": 9.0,
            "first calls and transfers": 3.1,
            "checks": 5.0,
        },
        "command": "pytest benchmarks --preset quick --benchmark-save=desk",
        "saved_as": "desk",
        "elapsed_s": 99.4,
        "precision": 0.02,
    }
    return Run(**{**fields, **changes})  # type: ignore[arg-type]


@cache
def made_up() -> Study:
    """Return the study of the made-up run: its tables are computed for the first test of a process that asks."""
    return Study(run())


def study(records: pd.DataFrame, **more: object) -> Study:
    """Return the study of a run of nothing but these records, and what else is given."""
    return Study(Run(records=records, **more))  # type: ignore[arg-type]


def single_policy() -> pd.DataFrame:
    """Return the records of the made-up run without those that reuse an output."""
    frame = to_frame(records())
    return frame[frame["allocation"] != "reuse"].reset_index(drop=True)


def quick_run() -> Run:
    """Return the made-up run under one set of policies, as of the quick preset, with pairs and turns."""
    frame = single_policy()
    ok = frame["status"] == "ok"
    rows = [row for row in records() if row["allocation"] == "fresh"]
    frame["again"], frame["disturbed"] = (frame["bursts"] // part for part in (12, 25))
    frame["page_faults"] = pd.Series(0.0, frame.index).where(ok)
    return run(
        records=frame,
        pairs=to_frame(all_pairs(rows), PAIR_COLUMNS),
        bursts=burst_rows(
            (row | {"shape": str(row["n_elements"])}, [turns_of(row)]) for row in rows if row["status"] == "ok"
        ),
        warnings=(
            Caveat("Other programs used 31 % of the processors during the run: times are doubtful.", "load"),
        ),
    )


def teams_run() -> Run:
    """Return a run of one op in three sizes with one thread and with two, with which torch alone computes.

    A second thread makes torch take four times as long at the smallest size, and half as long at the others.
    """
    rows = []
    for n, n_threads in itertools.product(SIZES[:3], (1, 2)):
        factor = 1.0 if n_threads == 1 else 4.0 if n == SIZES[0] else 0.5
        for backend, seconds, taken in (("numpy", 8e-6, 1), ("torch", 4e-6 * factor, n_threads)):
            median = seconds * n / SIZES[0]
            ends = {"median_s": median, "ci95_low_s": 0.99 * median, "ci95_high_s": 1.01 * median}
            about = {"team": teams.label_of(n_threads), "threads": taken, "warning": None}
            rows.append(record(backend, n=n, **ends, **about))
    return Run(records=to_frame(rows), machine=MACHINE)


def turns_of(row: Mapping[str, object], n: int = 60) -> list[float]:
    """Return made-up seconds of each turn of a record: noise of 2 % around its median, now and then more."""
    rng = np.random.default_rng(_seed(row["backend"], row["op"], row["mode"], row["n_elements"]))
    noise = rng.lognormal(0, 0.02, n) * np.where(rng.random(n) < 0.05, 1.15, 1.0)
    return [float(each) for each in float(str(row["median_s"])) * noise]


def large_run() -> Run:
    """Return a run of forty ops in two dtypes on two devices: what a report must still bear."""
    rows = []
    names = [*OPS, *(f"activation_{i}" for i in range(34))]
    sizes = (*SIZES, 67_108_864)
    for op, mode, n, backend, dtype in itertools.product(names, MODES, sizes, COSTS, ("float32", "float64")):
        rows.append(record(backend, op, mode, n, dtype=dtype))
        if backend in ("jax", "torch"):
            rows.append(on_gpu(rows[-1]))
    return run(records=to_frame(rows), bandwidth=bandwidth("cpu", "cuda"))


def on_gpu(row: dict[str, object]) -> dict[str, object]:
    """Return what a record becomes on a GPU: slow to start, quick at large sizes."""
    scale = (8e-6 + int(str(row["n_elements"])) * 3e-12) / float(str(row["median_s"]))
    found = scaled(row, scale) | {"device": "cuda", "device_name": 'NVIDIA "H100" <80 GB>'}
    found["fraction_of_bandwidth"] = float(str(found["fraction_of_bandwidth"])) / 20
    return found | {"device_s": max(float(str(found["median_s"])) - 5e-6, 2e-6)}


def scaled(row: dict[str, object], factor: float) -> dict[str, object]:
    """Return a record whose times are `factor` times as long, if it has any."""
    if row["status"] != "ok":
        return row
    times = {name: float(str(row[name])) * factor for name in TIMES}
    return row | times | {name: float(str(row[name])) / factor for name in RATES}


def server(factor: float = 0.5, **about: object) -> Run:
    """Return the made-up run on another machine, where all takes `factor` times as long, and torch is newer.

    Its relu in numpy is slower all the same, jax has no relu there, and torch and jax have a GPU beside.
    """
    place = {
        "run_id": "20260401T101500Z", "saved_as": "server", "timestamp": "2026-04-01T10:15:00Z",
        "git_commit": "9" * 40, "git_dirty": False, "machine_id": "ffff00001111",
        "device_name": "Intel Xeon 8480+",
    }  # fmt: skip
    rows = []
    for row in records():
        if (row["backend"], row["op"]) == ("jax", "relu"):
            continue
        slower = 1.5 if (row["backend"], row["op"]) == ("numpy", "relu") else factor
        row = scaled(row, slower) | place
        if row["backend"] == "torch":
            row |= {"backend_version": "2.13.0", "settings": "TF32=False"}
        rows.append(row | about)
        if row["backend"] in ("torch", "jax") and row["status"] == "ok":
            rows.append(on_gpu(row) | about)
    machine = {**MACHINE, "machine_id": "ffff00001111", "cpu": "Intel Xeon 8480+", "cores": 56}
    return run(records=to_frame(rows), machine=machine, saved_as="server", run_id="20260401T101500Z")


if __name__ == "__main__":
    from benchmarks.report.files import write

    for name, path in write(Study(run()), Path("results/latest")).items():
        print(f"{name}: {path}")
