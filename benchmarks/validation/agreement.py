"""Agreement: our medians beside those of `timeit` and `torch.utils.benchmark`, taken in turn in one process."""

from __future__ import annotations

import random
import timeit
from collections.abc import Callable
from typing import Any

import pandas as pd

from benchmarks import quantities
from benchmarks.measure.sampling import Lane, combine, take_turns
from benchmarks.stats.ratios import ratio_interval
from benchmarks.validation import kernels

WAITS_S = (5e-5, 1e-3, 2e-2)
Clock = Callable[[int], float]


def table(seed: int) -> pd.DataFrame:
    """Return our median of each kernel with the others' medians over ours, and what each busy wait adds."""
    order = random.Random(seed)
    rows = [_row(name, kernels.kernel(name), order) for name in kernels.NAMES]
    return pd.DataFrame([*rows, *(_wait_row(seconds, order) for seconds in WAITS_S)])


def _row(name: str, run: Callable[[], Any], order: random.Random) -> dict[str, str]:
    clocks = {"ours": kernels.ours(run), "timeit": timeit.Timer(run).timeit, "torch Timer": _torch_clock(run)}
    lanes = {tool: kernels.lane(clock) for tool, clock in clocks.items()}
    for lane in lanes.values():
        lane.iterations = lanes["ours"].iterations
    take_turns(list(lanes.values()), kernels.RULE, order)
    found = {tool: combine([lane], kernels.RULE.confidence) for tool, lane in lanes.items()}
    own = found.pop("ours")
    row = {"kernel": name, "ours": quantities.seconds(own.median_s)}
    for tool, other in found.items():
        low, high = ratio_interval(other.median_s, other.low_s, other.high_s, own.median_s, own.low_s, own.high_s)
        row[f"{tool} / ours"] = f"{other.median_s / own.median_s:.3f} ({low:.3f} to {high:.3f})"
    return row


def _wait_row(seconds: float, order: random.Random) -> dict[str, str]:
    """Return how much time a busy wait of a known length adds to a kernel."""
    run = kernels.kernel("tanh-1000")
    lanes: list[Lane] = [kernels.lane(kernels.ours(call)) for call in (run, kernels.waiting(run, seconds))]
    take_turns(lanes, kernels.RULE, order)
    without, with_it = (combine([lane], kernels.RULE.confidence) for lane in lanes)
    added = with_it.median_s - without.median_s
    return {
        "kernel": f"a busy wait of {quantities.seconds(seconds)}",
        "ours": quantities.seconds(added),
        "timeit / ours": "",
        "torch Timer / ours": "",
        "known / ours": f"{seconds / added:.4f}",
    }


def _torch_clock(run: Callable[[], Any]) -> Clock:
    from torch.utils.benchmark import Timer

    timer = Timer("run()", globals={"run": run})
    return lambda iterations: float(timer.timeit(iterations).times[0]) * iterations
