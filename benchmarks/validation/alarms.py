"""How often `analysis.shifts` finds a shift in simulated runs where there is none, and one that is there.

`python -m benchmarks.validation.alarms` prints the rates that its documentation states, in some ten seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

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
    """Return the share of series without a shift in which one is found; `noise` is relative to the values."""
    rng = np.random.default_rng(SEED)
    return sum(bool(shifts(np.exp(noise * draw(rng, n)).tolist(), threshold)) for _ in range(series)) / series


def detections(step: float, n: int, *, noise: float, threshold: float = 0.05, series: int = 1000) -> float:
    """Return the share of series, rising by `step` in their middle, in which that is found there or beside."""
    rng = np.random.default_rng(SEED)
    middle, n_found = n // 2, 0
    for _ in range(series):
        values = np.exp(noise * gaussian(rng, n))
        values[middle:] *= 1 + step
        n_found += any(abs(position - middle) <= 1 for position in shifts(values.tolist(), threshold))
    return n_found / series


def main() -> None:
    """Print the rates, in %."""
    print("values".ljust(60), *(f"{n:6d}" for n in LENGTHS))
    for name, draw in NOISES.items():
        # A threshold of nearly nothing is what noise far above the threshold amounts to.
        for noise, threshold in ((0.02, 0.05), (0.05, 0.05), (0.05, 1e-6)):
            rates = [100 * false_alarms(draw, n, noise=noise, threshold=threshold) for n in LENGTHS]
            said = f"{name}: false, noise {noise:.0%}, threshold {threshold:g}"
            print(said.ljust(60), *(f"{rate:6.1f}" for rate in rates))
    rates = [100 * detections(0.10, n, noise=0.02) for n in LENGTHS]
    print("step of 10 %: found, noise 2 %, threshold 0.05".ljust(60), *(f"{rate:6.1f}" for rate in rates))


if __name__ == "__main__":
    main()
