"""Shifts: where a series of numbers changes its level, and stays there.

The method is PELT (Killick, Fearnhead and Eckley 2012, "Optimal detection of changepoints with a linear
computational cost") on logarithms, for changes of the mean (least squares), as `ruptures` has it. Around it:

- **Noise** is the third quartile of the absolute differences of successive values, over what it is for Gaussian
  noise of width 1. A shift spoils one difference only, so shifts do not pass for noise; and where less than half
  of the values ever differ, it is not 0 as their median would be. It is never taken for less than a fifth of the
  threshold: nothing that would be reported is lost by that, and constants need no special case.
- **Outliers** are drawn in to three noise widths from the median of three neighbours (Hampel's identifier), so
  that one odd value is no shift; a shift has at least two values.
- **The penalty** of a shift is the square of Student's t at 5 % over the number of places where one could be
  (Bonferroni), with the degrees of freedom that the estimate of the noise has. BIC's 2 log n takes the noise for
  known: with few values it finds shifts where there are none.
- **The threshold**: shifts between the medians of neighbouring segments that are smaller are not reported.

How often a series of 10, 20, 50 or 100 values in which nothing changes shows a shift of at least 5 %, in % of 1000
simulated series (`python -m benchmarks validate alarms`):

| noise                                    | of 2 %             | of 5 %               |
|------------------------------------------|--------------------|----------------------|
| Gaussian                                 | 0.1, 0, 0, 0       | 0.5, 1.2, 1.2, 1.2   |
| Student's t, 3 degrees of freedom        | 0, 1.2, 2.7, 5.8   | 0.8, 3.2, 5.3, 8.8   |
| Gaussian, neighbours correlated by 0.5   | 0.5, 1.3, 2.0, 5.7 | 6.4, 31, 55, 75      |

What drifts from run to run does change its level, and is reported: where noise is correlated and as large as the
threshold, a shift is a reason to look, no proof. A step of 10 % amid Gaussian noise of 2 % is found, on its value
or beside it, in 83, 100, 100 and 100 % of series. With fewer than 6 values only the largest shifts stand out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEAST = 2
"""Values on either side of a shift."""
_LEVEL = 0.05
_QUANTILE = 0.75
_WIDTH_OF_DIFFERENCES = math.sqrt(2) * 1.1503
"""The third quartile of |a - b| for independent standard normal a and b: √2 Φ⁻¹(0.875)."""
_FREEDOM = 0.45
"""Degrees of freedom of the noise per difference: mean² / (2 variance), simulated, for any number of them."""
_OUTLIER = 3.0
_WIDTHS_IN_THRESHOLD = 5.0


def shifts(values: Sequence[float], threshold: float = 0.05) -> list[int]:
    """Return the positions in `values` at which a new level begins.

    `values` are finite or infinite and not negative, in the order of time; `threshold` is the least change of the
    level that counts, as a share. Raises ValueError for NaN or a threshold that is not positive.
    """
    if not threshold > 0 or any(math.isnan(value) for value in values):
        raise ValueError(f"shifts: NaN is no value, and a threshold is above 0; got {threshold} for {values}")
    if len(values) < 2 * LEAST:
        return []
    logs = logarithms(values)
    noise = max(noise_width(logs), math.log1p(threshold) / _WIDTHS_IN_THRESHOLD)
    return _large_enough(logs, _pelt(_tamed(logs, noise) / noise), math.log1p(threshold))


def logarithms(values: Sequence[float]) -> Floats:
    """Return natural logarithms; 0 counts as half the smallest positive value, infinity as twice the largest."""
    given = np.asarray(values, dtype=np.float64)
    usual = (given > 0) & np.isfinite(given)
    logs = np.log(given, where=usual, out=np.zeros_like(given))
    low, high = (logs[usual].min(), logs[usual].max()) if usual.any() else (0.0, 0.0)
    logs[given <= 0] = low - math.log(2)
    logs[np.isinf(given)] = high + math.log(2)
    return logs


def noise_width(logs: Floats) -> float:
    """Return the standard deviation of the noise in `logs`, whose level may shift now and then."""
    differences = np.abs(np.diff(logs))
    # The lower of two candidates: with few values, the upper may be the shift itself.
    return float(np.quantile(differences, _QUANTILE, method="lower")) / _WIDTH_OF_DIFFERENCES


def penalty(n: int) -> float:
    """Return how much a shift must lower the sum of squares, in squared noise widths, among `n` values."""
    places = n - 2 * LEAST + 1
    from scipy import special  # late: few histories are long enough to need it

    return float(special.stdtrit(_FREEDOM * (n - 1), 1 - _LEVEL / (2 * places))) ** 2


def _pelt(scaled: Floats) -> list[int]:
    import ruptures  # takes a while to import, and only a trend needs it

    # The linear kernel's cost is the sum of squares about the mean; this PELT is the one written in C.
    found = ruptures.KernelCPD(kernel="linear", min_size=LEAST).fit(scaled.reshape(-1, 1))
    return [int(end) for end in found.predict(pen=penalty(len(scaled)))[:-1]]


def _tamed(logs: Floats, noise: float) -> Floats:
    middle = np.clip(np.arange(len(logs)), 1, len(logs) - 2)
    local = np.median(np.stack([logs[middle - 1], logs[middle], logs[middle + 1]]), axis=0)
    return np.clip(logs, local - _OUTLIER * noise, local + _OUTLIER * noise)


def _large_enough(logs: Floats, found: list[int], least: float) -> list[int]:
    """Return `found` without shifts below `least`, the smallest taken out first, as each changes the others."""
    while found:
        levels = [float(np.median(part)) for part in np.split(logs, found)]
        steps = np.abs(np.diff(levels))
        smallest = int(steps.argmin())
        # A step of the threshold exactly counts, whatever rounding does to its logarithm.
        if steps[smallest] >= least * (1 - 1e-9):
            break
        found = found[:smallest] + found[smallest + 1 :]
    return found
