"""False alarms of `trend`: how often it finds a change in simulated runs without one, and in runs with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from benchmarks.stats.shifts import Floats, shifts

LENGTHS = (10, 20, 50, 100)
SEED = 20260321
Draw = Callable[[np.random.Generator, int], Floats]


def gaussian(rng: np.random.Generator, n: int) -> Floats:
    """Return independent noise of width 1."""
    return rng.normal(size=n)


def heavy_tailed(rng: np.random.Generator, n: int) -> Floats:
    """Return independent noise of width 1 with the tails of Student's t with 3 degrees of freedom."""
    drawn: Floats = rng.standard_t(3, size=n) / np.sqrt(3.0)
    return drawn


def autocorrelated(rng: np.random.Generator, n: int, correlation: float = 0.5) -> Floats:
    """Return Gaussian noise of width 1 whose neighbours correlate (autoregressive, of order 1)."""
    noise = rng.normal(size=n)
    for i in range(1, n):
        noise[i] = correlation * noise[i - 1] + np.sqrt(1 - correlation**2) * noise[i]
    return noise


NOISES: Mapping[str, Draw] = {
    "Gaussian": gaussian,
    "Student's t, 3 degrees of freedom": heavy_tailed,
    "autocorrelated by 0.5": autocorrelated,
}


def false_alarms(draw: Draw, n: int, *, noise: float, threshold: float = 0.05, series: int = 1000) -> float:
    """Return in what share of series without a change one is found; `noise` is relative to the values."""
    rng = np.random.default_rng(SEED)
    return sum(bool(shifts(np.exp(noise * draw(rng, n)).tolist(), threshold)) for _ in range(series)) / series


def detections(step: float, n: int, *, noise: float, threshold: float = 0.05, series: int = 1000) -> float:
    """Return in what share of series that rise by `step` in their middle this is found, at most one value off."""
    rng = np.random.default_rng(SEED)
    middle, n_found = n // 2, 0
    for _ in range(series):
        values = np.exp(noise * gaussian(rng, n))
        values[middle:] *= 1 + step
        n_found += any(abs(position - middle) <= 1 for position in shifts(values.tolist(), threshold))
    return n_found / series


def table() -> pd.DataFrame:
    """Return, for each noise, in what percentage of series of each length a change is found."""
    # A threshold of nearly nothing stands for noise far above the threshold.
    columns = {"noise of 2 %": (0.02, 0.05), "noise of 5 %": (0.05, 0.05), "noise far above 5 %": (0.05, 1e-6)}
    rows = []
    for name, draw in NOISES.items():
        rows.append({"series": f"no change, {name}"})
        for column, (noise, threshold) in columns.items():
            rates = [false_alarms(draw, n, noise=noise, threshold=threshold) for n in LENGTHS]
            rows[-1][column] = _percent(rates)
    steps = [detections(0.10, n, noise=0.02) for n in LENGTHS]
    rows.append({"series": "step of 10 %, Gaussian", "noise of 2 %": _percent(steps)})
    lengths = ", ".join(map(str, LENGTHS))
    return pd.DataFrame(rows).rename(columns={"series": f"changes found in % of series of {lengths} runs"})


def _percent(shares: Sequence[float]) -> str:
    return ", ".join(f"{100 * share:.3g}" for share in shares)
