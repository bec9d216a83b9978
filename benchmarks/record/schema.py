"""The tidy schema: one row per case, one name per column, units in the name."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.stats.verdicts import VERDICT_COLUMNS

DEFAULTS: Mapping[str, str] = {"allocation": "fresh", "cache": "hot", "timing": "latency"}
"""The policies of a measurement, each with its default."""
POLICIES = tuple(DEFAULTS)
CASE_KEYS = ("op", "mode", "dtype", "shape", "backend", "device", *POLICIES)
"""The columns that tell cases apart: two runs' rows that agree in them measured the same thing."""
CASE = ("op", "mode", "dtype", "device", "shape", "n_elements", *POLICIES)
"""What two results must share to be compared."""
MODES = ("forward", "backward", "forward+backward")
COMPARISON_COLUMNS = (*CASE_KEYS, *VERDICT_COLUMNS)
"""What became of each case between a base and a head."""
SITTING_COLUMNS = (
    *CASE_KEYS,
    "sitting",
    "base_s",
    "head_s",
    "effect",
    "pairs",
    "base_status",
    "head_status",
    "reason",
)
"""`effect` is the logarithm of head's time over base's, from `pairs` comparisons; statuses are a record's."""


@dataclass(frozen=True)
class Column:
    """One column: its name, its pandas dtype and what it holds."""

    name: str
    dtype: str
    meaning: str


COLUMNS: tuple[Column, ...] = (
    Column("run_id", "string", "identifies the run"),
    Column("saved_as", "string", "name given with --benchmark-save, if any"),
    Column("timestamp", "string", "when the case ended, ISO-8601 in UTC"),
    Column("git_commit", "string", "commit of this repository"),
    Column("git_dirty", "boolean", "whether the work tree had uncommitted changes"),
    Column("machine_id", "string", "hash of the hardware and operating system"),
    Column("device_name", "string", "the device's model name"),
    Column("op", "string", "name in the catalogue"),
    Column("kind", "string", "elementwise, along_axis or loss"),
    Column("mode", "string", "forward, backward or forward+backward"),
    Column("backend", "string", "name of the backend, variant included"),
    Column("variant", "string", "the same as backend"),
    Column("peer", "boolean", "whether the backend is another library, measured to compare with"),
    Column("backend_version", "string", "version of the framework"),
    Column("device", "string", "cpu or cuda"),
    Column("dtype", "string", "of the inputs and the output"),
    Column("shape", "string", "of the first input, such as 1024x1024"),
    Column("n_elements", "Int64", "number of elements of the first input"),
    Column("allocation", "string", "fresh, reuse or inplace"),
    Column("cache", "string", "hot or cold"),
    Column("timing", "string", "latency (synchronised each call) or throughput (once at the end)"),
    Column("threads", "Int64", "threads that took effect"),
    Column("settings", "string", "the framework's settings that change numbers or speed, such as x64 or TF32"),
    Column(
        "status",
        "string",
        "ok, failed, inaccurate (peers), invalid, unavailable, crashed, timeout, out_of_memory",
    ),
    Column("reason", "string", "explains every status but ok, and names known deviations"),
    Column(
        "warning", "string", "what makes the times doubtful, such as a machine that changed its speed meanwhile"
    ),
    Column("median_s", "float64", "median seconds per call over the rounds"),
    Column("mean_s", "float64", "mean seconds per call"),
    Column("min_s", "float64", "seconds per call of the fastest round"),
    Column("iqr_s", "float64", "interquartile range of seconds per call"),
    Column("ci95_low_s", "float64", "lower end of the median's 95 % confidence interval"),
    Column("ci95_high_s", "float64", "upper end of the median's 95 % confidence interval"),
    Column("processes", "Int64", "number of worker processes that took rounds"),
    Column(
        "bursts", "Int64", "bursts of rounds, in turn with the other backends'; the interval is over their medians"
    ),
    Column("rounds", "Int64", "number of rounds"),
    Column("iterations", "Int64", "calls per round"),
    Column("stop_reason", "string", "why no more rounds were taken"),
    Column("device_s", "float64", "seconds per call by the device's own clock, without the launch"),
    Column("first_call_s", "float64", "seconds of the very first call, compilation included"),
    Column("host_to_device_s", "float64", "seconds to bring the inputs to the device"),
    Column("device_to_host_s", "float64", "seconds to bring the output back"),
    Column("peak_bytes", "Int64", "peak extra memory of a call, on its device: a fresh output and temporaries"),
    Column("elements_per_s", "float64", "n_elements / median_s"),
    Column("bytes_moved", "Int64", "bytes that a call must read and write"),
    Column("bytes_written", "Int64", "those of them that it must write"),
    Column("gigabytes_per_s", "float64", "bytes_moved / median_s, in 10⁹ bytes"),
    Column(
        "fraction_of_bandwidth",
        "float64",
        "gigabytes_per_s over the limit: a copy of as many bytes, or reading them",
    ),
    Column("max_ulp", "float64", "largest error of the output checked before timing"),
    Column("mean_ulp", "float64", "mean error of that output"),
    Column("max_abs_error", "float64", "largest absolute error of that output"),
    Column("oracle", "string", "what the output was checked against: mpmath, or the next wider type"),
)

COST_COLUMNS: tuple[Column, ...] = (
    Column("backend", "string", "name of the backend, variant included"),
    Column("backend_version", "string", "version of the framework"),
    Column("device", "string", "cpu or cuda"),
    Column("start_s", "float64", "seconds until a new worker process answers, imports included"),
    Column("import_s", "float64", "seconds of that to import the framework and open the device"),
    Column("floor_s", "float64", "seconds of a call that does nothing, measured like every case: the floor"),
    Column("floor_low_s", "float64", "lower end of its 95 % confidence interval"),
    Column("floor_high_s", "float64", "upper end of its 95 % confidence interval"),
    Column("call_op", "string", "op of the one-element call"),
    Column("call_s", "float64", "seconds of a call on one element: dispatch"),
    Column("call_low_s", "float64", "lower end of its 95 % confidence interval"),
    Column("call_high_s", "float64", "upper end of its 95 % confidence interval"),
    Column("first_call_s", "float64", "seconds of the first call on one element, compilation included"),
)
"""What a backend costs before it computes anything."""

ACCURACY_COLUMNS: tuple[Column, ...] = (
    Column("op", "string", "name in the catalogue"),
    Column("kind", "string", "elementwise, along_axis or loss"),
    Column("mode", "string", "forward or backward"),
    Column("backend", "string", "name of the backend, variant included"),
    Column("backend_version", "string", "version of the framework"),
    Column("device", "string", "cpu or cuda"),
    Column("dtype", "string", "of the inputs and the output"),
    Column("status", "string", "ok, failed, inaccurate (peers), known_deviation, unavailable, crashed or timeout"),
    Column("reason", "string", "explains every status but ok"),
    Column("sample", "string", "designed, or searched: thousands of points and the worst found from there"),
    Column("n_points", "Int64", "number of outputs compared"),
    Column("max_ulp", "float64", "largest error, in units of the last place"),
    Column("max_ulp_elsewhere", "float64", "largest error outside known deviations"),
    Column(
        "max_ulp_normal",
        "float64",
        "largest error where the input is finite and the exact result neither infinite nor subnormal",
    ),
    Column("mean_ulp", "float64", "mean error outside known deviations, over what was sampled"),
    Column("worst_input", "float64", "first input at the largest error"),
    Column("budget_ulp", "float64", "largest error allowed"),
)


def to_frame(records: Iterable[Mapping[str, object]], columns: Sequence[Column] = COLUMNS) -> pd.DataFrame:
    """Return `records` as a frame with exactly `columns`, in their order and dtypes.

    What a record lacks is left empty. A name outside the schema raises ValueError, as does a value that its
    column cannot hold. A shape may be given as a sequence of integers.
    """
    rows = list(records)
    allowed = [column.name for column in columns]
    unknown = sorted({name for row in rows for name in row} - set(allowed))
    if unknown:
        raise ValueError(f"records: unknown columns {', '.join(unknown)}; allowed are {', '.join(allowed)}")
    return pd.DataFrame({c.name: _series(c, [row.get(c.name) for row in rows]) for c in columns})


def only_with(records: pd.DataFrame, only: Mapping[str, Collection[object]]) -> pd.DataFrame:
    """Return the records whose columns have one of the values that `only` gives for them.

    Raises ValueError for a value that no record has.
    """
    for name, values in only.items():
        known = list(records[name].dropna().unique())
        if missing := [str(value) for value in values if value not in known]:
            choices = ", ".join(sorted(map(str, known))) or "none"
            raise ValueError(f"{name}: no record has {', '.join(missing)}; there are {choices}")
    for name, values in only.items():
        records = records[records[name].isin(list(values))]
    return records


def _series(column: Column, values: Sequence[object]) -> pd.Series:
    convert = _CONVERTERS[column.dtype]
    converted: list[object] = []
    for value in values:
        try:
            converted.append(None if _is_missing(value) else convert(value))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{column.name}: must hold {column.dtype}; got {value!r}") from error
    return pd.Series(converted, dtype=column.dtype)


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _string(value: object) -> str:
    return "x".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _integer(value: object) -> int:
    if not isinstance(value, (int, float, np.integer, np.floating)) or int(value) != value:
        raise ValueError
    return int(value)


def _float(value: object) -> float:
    # Strings because a journal spells infinities as "Infinity", which float() reads.
    if not isinstance(value, (int, float, np.integer, np.floating, str)):
        raise TypeError
    return float(value)


def _boolean(value: object) -> bool:
    if value not in (True, False):
        raise ValueError
    return bool(value)


_CONVERTERS: Mapping[str, Callable[[object], object]] = {
    "string": _string,
    "Int64": _integer,
    "float64": _float,
    "boolean": _boolean,
}
