"""What was measured of a case, as the columns of its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import backends
from backends.catalogue import OPS
from benchmarks.check.accuracy import Verdict
from benchmarks.machine import bandwidth
from benchmarks.machine.bandwidth import Bandwidth
from benchmarks.measure.sampling import Sampling
from benchmarks.plan.cases import Case

TIMES = (
    "median_s",
    "mean_s",
    "min_s",
    "iqr_s",
    "ci95_low_s",
    "ci95_high_s",
    "elements_per_s",
    "gigabytes_per_s",
    "fraction_of_bandwidth",
    "device_s",
)
"""What only a measurement that holds has: without one they are left empty."""


def described(case: Case) -> dict[str, Any]:
    """Return what a case is."""
    return {
        **case.row,
        "kind": OPS[case.op].kind,
        "variant": case.backend,
        "peer": case.backend in backends.peers(),
        "n_elements": case.n_elements,
    }


def judged(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the errors that the cross-check found."""
    worst = max(verdicts, key=lambda v: v.max_ulp)
    return {
        "max_ulp": worst.max_ulp,
        "mean_ulp": worst.mean_ulp,
        "max_abs_error": max(v.max_abs_error for v in verdicts),
        "reason": "; ".join(dict.fromkeys(v.reason for v in verdicts if v.reason)),
    }


def timed(case: Case, sampling: Sampling, facts: Mapping[str, Any], limit: Bandwidth | None) -> dict[str, Any]:
    """Return what the rounds say."""
    median, per_call, n_bytes = sampling.median_s, sampling.per_call_s, facts["bytes_moved"]
    rate = n_bytes / median / 1e9
    kind = bandwidth.kind(n_bytes, facts["bytes_written"])
    return {
        "median_s": median,
        "mean_s": sum(per_call) / len(per_call),
        "min_s": min(per_call),
        "iqr_s": sampling.iqr_s,
        "ci95_low_s": sampling.low_s,
        "ci95_high_s": sampling.high_s,
        "processes": len(sampling.processes),
        "bursts": sampling.n_bursts,
        "rounds": len(per_call),
        "iterations": sampling.iterations[0],
        "stop_reason": sampling.stop_reason,
        "elements_per_s": case.n_elements / median,
        "gigabytes_per_s": rate,
        "fraction_of_bandwidth": rate / limit.at(kind, n_bytes) if limit else None,
    }
