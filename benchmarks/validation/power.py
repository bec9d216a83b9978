"""Power of `ab`: what it finds in code against itself, and against a copy with one kernel made slower."""

from __future__ import annotations

import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import pandas as pd

import backends
from benchmarks.measure import sides
from benchmarks.measure.duel import Duel
from benchmarks.measure.sides import Side
from benchmarks.plan import inputs
from benchmarks.quantities import plural
from benchmarks.record.schema import Case
from benchmarks.stats.effects import Criteria
from benchmarks.stats.verdicts import REGRESSIONS
from benchmarks.validation import kernels
from benchmarks.validation.load import bursty_load

PLACES = (("numpy", "sigmoid"), ("numpy", "relu"), ("numba-parallel", "relu"), ("torch", "sigmoid"))
CASES = tuple(Case(op, "forward", "float32", (32_768,), backend, "cpu") for backend, op in PLACES)
SLOWED = CASES[0]
"""The case whose kernel, which takes 40 µs, is made slower."""
BUDGET_S = 120.0
_SLOWER = """
from itertools import repeat


def _slower(*arguments, _kernel=FUNCTIONS["{op}"], **parameters):
    for _ in repeat(None, {n}):
        pass
    return _kernel(*arguments, **parameters)


FUNCTIONS["{op}"] = _slower
"""


def table(n_same: int, n_slowed: int, threads: int, seed: int, shares: Sequence[float]) -> pd.DataFrame:
    """Return how often `ab` called a case slower: in runs without a change, and in runs with one kernel slower.

    There are `n_same` runs without a change, on a quiet machine and under load, and `n_slowed` runs for each of
    `shares`, the share of its time by which the kernel takes longer.
    """
    loads: dict[str, Callable[[], AbstractContextManager[None]]] = {
        "quiet": nullcontext,
        "bursty load on one core": bursty_load,
    }
    rows = [_row(0.0, name, n_same, threads, seed, load) for name, load in loads.items() if n_same]
    rows += [_row(share, "quiet", n_slowed, threads, seed, nullcontext) for share in shares if n_slowed]
    return pd.DataFrame(rows)


def _row(
    share: float,
    load_name: str,
    n_runs: int,
    threads: int,
    seed: int,
    load: Callable[[], AbstractContextManager[None]],
) -> dict[str, object]:
    found, blamed, ratios, seconds = 0, 0, [], []
    with TemporaryDirectory(prefix="activation-bench-power-") as temporary, load():
        folder = Path(temporary)
        with sides.opened(str(sides.OWN)) as base:
            head = Side("slowed", None, slowed(folder / "slowed", share), Path(sys.executable)) if share else base
            for i in range(n_runs):
                started = perf_counter()
                cases = _run(base, head, threads, seed + i, folder / f"{i}.jsonl")
                seconds.append(perf_counter() - started)
                is_target = (cases["backend"] == SLOWED.backend) & (cases["op"] == SLOWED.op)
                worse = cases["verdict"].isin(REGRESSIONS)
                found += bool((worse & is_target).any())
                blamed += bool((worse & ~is_target).any()) if share else bool(worse.any())
                ratios.append(float(cases.loc[is_target, "ratio"].iloc[0]))
                print(f"{load_name}, {share:.0%}: run {i + 1}, {found} found, {blamed} blamed", file=sys.stderr)
    return {
        "made slower by": f"{share:.0%}" if share else "nothing",
        "load": load_name,
        "runs": n_runs,
        "ratio found": f"{statistics.median(ratios):.3f}",
        "called slower": f"{found} of {n_runs}" if share else "",
        "anything else blamed": f"{blamed} of {n_runs}",
        "seconds a run": f"{statistics.median(seconds):.0f}",
    }


def _run(base: Side, head: Side, threads: int, seed: int, journal: Path) -> pd.DataFrame:
    duel = Duel(base, head, CASES, Criteria(), threads, seed, BUDGET_S, journal, say=lambda _: None)
    return duel.run()


def slowed(folder: Path, share: float) -> Path:
    """Copy the backends to `folder`, where an empty loop makes the kernel of `SLOWED` take `share` longer.

    The loop and the kernel are timed now, on this machine, to choose the loop's length.
    """
    shutil.copytree(sides.OWN / "backends", folder / "backends", ignore=shutil.ignore_patterns("__pycache__"))
    module = folder / "backends" / "numpy" / "backend.py"
    source = module.read_text(encoding="utf-8")
    module.write_text(source + _SLOWER.format(op=SLOWED.op, n=_loop_length(share)), encoding="utf-8")
    return folder


def _loop_length(share: float) -> int:
    """Return how many turns of an empty loop take `share` of the kernel's time."""
    n = 10_000

    def loop() -> None:
        for _ in repeat(None, n):
            pass

    (x,) = inputs.draw(SLOWED.op, SLOWED.shape, SLOWED.dtype)
    kernel = backends.load(SLOWED.backend).bind(SLOWED.op, x)
    kernel_s, loop_s = (statistics.median(kernels.per_call(run)) for run in (kernel, loop))
    print(f"{plural(n, 'turn')}: {loop_s:.3g} s, kernel: {kernel_s:.3g} s", file=sys.stderr)
    return round(share * kernel_s / loop_s * n)
