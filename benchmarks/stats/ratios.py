"""Ratios: how far the ratio of two medians is known."""

from __future__ import annotations

import math

INTERVAL = ("median_s", "ci95_low_s", "ci95_high_s")
"""The columns of a record that hold a median and the ends of its interval."""


def ratio_interval(
    a_median: float, a_low: float, a_high: float, b_median: float, b_low: float, b_high: float
) -> tuple[float, float]:
    """Return the confidence interval of `a_median / b_median`, two independent medians with their intervals.

    It has the level of theirs, by the method of variance estimates recovery on logarithms (Donner and Zou 2012,
    "Closed-form confidence intervals for functions of the normal mean and standard deviation"): the distances of
    the ends that lead to one end of the ratio add up like standard deviations. Dividing end by end instead adds
    them as they are, which is too wide. Where an end is unbounded, so is the ratio's; where it is unknown (NaN),
    so is that.
    """
    ratio = _log(a_median) - _log(b_median)
    down = math.hypot(_log(a_median) - _log(a_low), _log(b_high) - _log(b_median))
    up = math.hypot(_log(a_high) - _log(a_median), _log(b_median) - _log(b_low))
    return _exp(ratio - down), _exp(ratio + up)


def _log(value: float) -> float:
    # A lower end of minus infinity, or of zero, says nothing of a duration: it has no smallest logarithm.
    return -math.inf if value <= 0 else math.log(value)


def _exp(value: float) -> float:
    return math.inf if value > 700 else math.exp(value)  # beyond 709, math.exp raises
