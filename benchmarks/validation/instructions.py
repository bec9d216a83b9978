"""Instructions: how many a bound call takes, beside what the one-liner takes and what any call does.

Unlike a time, a count is the same again: on a busy machine, too. Each call is made N times and then 2N times in
one process; the difference over N is what one call takes, free of all that happens once.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from itertools import product

import pandas as pd

import backends
from benchmarks import processes, quantities
from benchmarks.plan.selection import CHECKED_MODES
from benchmarks.validation import callgrind, naive
from benchmarks.validation.counted import BARE, BARE_CALLS, ONE_LINER, Call, written

OPS = (
    "step",
    "relu",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "softplus",
    "softmax",
    "mean_squared_error",
    "binary_cross_entropy",
    "categorical_cross_entropy",
)
BACKENDS = ("numpy", "numba", "numba-parallel")
ALLOCATIONS = ("fresh", "reuse")
TIMES = 100
_SHOWN = 12
"""Functions of a call that are shown."""


def table(ops: Sequence[str], elements: int) -> pd.DataFrame:
    """Return a row for each bare call and for each op and mode: the instructions of each way to compute it."""
    calls = calls_of(ops, elements)
    found: dict[str, dict[str, object]] = {}
    for call, (once, twice) in zip(calls, _counted(calls), strict=True):
        row = found.setdefault(f"{call.op}, {call.mode}".removesuffix(", "), {})
        column = call.by if call.by in (ONE_LINER, BARE) else f"{call.by}, {call.allocation}"
        row[column] = quantities.count(per_call(callgrind.total(once), callgrind.total(twice), TIMES))
    return pd.DataFrame.from_dict(found, orient="index").rename_axis("call").reset_index()


def breakdown(ops: Sequence[str], elements: int) -> pd.DataFrame:
    """Return the functions that take most of each call, a row each."""
    calls = calls_of(ops, elements)
    rows = []
    for call, (once, twice) in zip(calls, _counted(calls), strict=True):
        spent = callgrind.functions(twice)
        spent.subtract(callgrind.functions(once))
        rows += [
            {"call": call.op, "mode": call.mode, "by": call.by, "allocation": call.allocation}
            | {"library": library, "function": function, "instructions": quantities.count(round(n / TIMES))}
            for (library, function), n in spent.most_common(_SHOWN)
        ]
    return pd.DataFrame(rows)


def calls_of(ops: Sequence[str], elements: int) -> list[Call]:
    """Return the calls to count: the bare ones first, then each op's in both modes."""
    calls = [Call(name, "", BARE, "", elements) for name in BARE_CALLS]
    ours = [name for name in BACKENDS if backends.missing(name) is None]
    for op, mode in product(ops, CHECKED_MODES):
        if naive.ONE_LINERS.get(op, naive.OneLiner(""))[mode]:
            calls.append(Call(op, mode, ONE_LINER, "", elements))
        calls += [Call(op, mode, name, how, elements) for name, how in product(ours, ALLOCATIONS)]
    return calls


def per_call(once: int, twice: int, times: int) -> int:
    """Return the instructions of one call, where `once` counts so many calls and `twice` twice as many."""
    return round((twice - once) / times)


def _counted(calls: list[Call]) -> list[tuple[str, str]]:
    """Return what callgrind wrote for N and for 2N of each call."""
    if reason := callgrind.missing():
        raise FileNotFoundError(reason)
    environment = {**processes.environment(), "PYTHONHASHSEED": "0"}
    # Kernels are compiled before, at full speed, for the processor that valgrind shows.
    if cpu := callgrind.processor(sys.executable, environment):
        environment["NUMBA_CPU_NAME"], environment["NUMBA_CPU_FEATURES"] = cpu
    command = processes.command(f"{__package__}.counted")
    subprocess.run([*command, "1", written(calls)], check=True, env=environment)
    parts = callgrind.parts([*command, str(TIMES), written(calls)], environment)
    if len(parts) != 3 * len(calls):
        raise RuntimeError(f"callgrind: must count 3 times for each of {len(calls)} calls; it did {len(parts)}")
    return list(zip(parts[1::3], parts[2::3], strict=True))
