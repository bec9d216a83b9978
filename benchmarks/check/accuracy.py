"""Accuracy: distance from the exact value in ULP, judged against the catalogue's budgets.

An ULP (unit in the last place) is the distance from the exact value's magnitude to the next number of the dtype.
Frameworks that exceed a budget in a region we know of have a `KnownDeviation`: a result that is reported, and a
test that fails when the deviation grows or disappears.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import ml_dtypes
import numpy as np

import backends
from backends.catalogue import OPS
from backends.interface import OpSpec
from benchmarks.check.known_deviations import KNOWN_DEVIATIONS
from benchmarks.check.oracle import Expected
from benchmarks.machine import arithmetic
from benchmarks.plan.inputs import spec_of
from benchmarks.record.schema import Check, Verdict

Array = np.ndarray[Any, np.dtype[Any]]
Status = Literal["ok", "known_deviation", "failed", "inaccurate"]


def ulp_error(got: Array, expected: Expected) -> Array:
    """Return the distance of `got` from the exact values, in ULP of the dtype of `got`; shapes must agree.

    NaN where NaN is expected, or the very infinity expected, is no error; anything else not finite is infinitely
    wrong. Signs of zeros do not count.
    """
    if got.shape != expected.high.shape:
        raise ValueError(f"got: must have the exact values' shape {expected.high.shape}; got {got.shape}")
    info = ml_dtypes.finfo(got.dtype)
    high = expected.high
    # The topmost binade would overflow; its ULP is that of the one below, to a factor of two.
    unit = np.spacing(np.minimum(np.nan_to_num(expected.scale), float(info.max) / 2).astype(got.dtype))
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs((got.astype(np.float64) - high) - expected.low) / unit.astype(np.float64)
    # What exceeds the dtype's range rounds to infinity.
    overflows = (np.abs(high) >= float(info.max)) & np.isinf(got) & (np.sign(got) == np.sign(high))
    same = (np.isnan(got) & np.isnan(high)) | (np.isinf(high) & (got == high)) | overflows
    return np.where(same, 0.0, np.nan_to_num(distance, nan=np.inf, posinf=np.inf))


def budget(op: str, mode: str, n_summed: int = 1, saved: str = "input") -> float:
    """Return the ULP allowed for a result that sums `n_summed` terms.

    Losses over many elements need a sum as good as pairwise summation, which errs by log2(n) ULP (Higham 1993,
    "The accuracy of floating point summation", section 3). Within a row, where a plain loop is common, a sum may
    err by √n (Higham and Mary 2019, "A new approach to probabilistic rounding error analysis").
    """
    spec = spec_of(op, saved)
    if n_summed <= 1:
        return spec.budget.ulp(mode)
    is_total = spec.kind == "loss" and mode == "forward"
    return spec.budget.ulp(mode) + (math.log2(n_summed) if is_total else n_summed**0.5)


def terms(spec: OpSpec, first: Array, parameters: Mapping[str, Any]) -> int:
    """Return how many terms a result of an op sums: none, those of a row, or all."""
    if spec.kind == "loss" and parameters.get("reduction", "mean") != "none":
        return max(first.size, 1)
    return first.shape[parameters.get("axis", -1)] if spec.along_axis and first.ndim else 1


def assess(
    got: Array,
    expected: Expected,
    check: Check,
    *,
    parameters: Mapping[str, Any] | None = None,
    first_input: Array | None = None,
    second_input: Array | None = None,
    n_summed: int = 1,
    complete: bool = True,
    promised: float = math.inf,
    n_sample: int | None = None,
    flushed: bool = False,
) -> Verdict:
    """Return the verdict on a result of `check`, against the exact values.

    `first_input` and `second_input` tell which known deviations apply: by entries where they have the result's
    shape, by rows where classes lie along the last axis. `complete` says that the sample covers their regions, so
    that one which is not seen has disappeared, and fails. `promised` is what a backend promises beyond the op's
    budget. The mean is over the first `n_sample` points alone, where more were sought out
    for their errors. `flushed` says that subnormal numbers were taken for zero where
    the result was computed; the reason of a failure then says so too.
    """
    allowed = min(budget(check.op, check.mode, n_summed, check.saved), promised)
    errors = ulp_error(got, expected)
    alike = first_input is not None and first_input.shape == got.shape
    x = first_input if first_input is not None and alike else np.full(got.shape, np.nan)
    rows = _with_rows(first_input, got, check, parameters)
    over = errors > allowed
    candidate = backends.candidate(check.backend) if over.any() else None
    if candidate and candidate.max_ulp:
        allowed = max(allowed, float(candidate.max_ulp))
        over = errors > allowed
    known = [d for d in KNOWN_DEVIATIONS if d.applies(check, parameters)]
    if candidate:  # it cannot help how its framework treats subnormal numbers
        framework, like = (replace(check, backend=name) for name in (candidate.package, candidate.like))
        known += [d for d in KNOWN_DEVIATIONS if d.at == "subnormal" and d.applies(framework, parameters)]
        known += [d for d in KNOWN_DEVIATIONS if d.applies(like, parameters)]
    covered = [d.covers(x, expected.high, got.dtype, second_input, rows) for d in known]

    excused = np.zeros(got.shape, bool)
    for deviation, region in zip(known, covered, strict=True):
        excused |= region & (errors <= deviation.limit(x, expected.high, got.dtype))
    bad = over & ~excused
    vanished = [
        d
        for d, region in zip(known, covered, strict=True)
        if complete and d.is_due(check.dtype) and not (region & over).any()
    ]

    def verdict(status: Status, reason: str, select: Array | None = None) -> Verdict:
        return _verdict(status, reason, errors, over & excused, got, expected, x, allowed, select, n_sample)

    if bad.any():
        wrong: Status = "inaccurate" if check.backend in backends.peer_names() else "failed"
        return verdict(wrong, _describe(bad, errors, got, expected, x, allowed) + _lost(flushed), bad)
    if vanished:
        return verdict("failed", f"known deviation no longer seen: {vanished[0].reason}")
    if over.any():
        seen = [d for d, region in zip(known, covered, strict=True) if (region & over).any()]
        return verdict("known_deviation", "; ".join(dict.fromkeys(d.description for d in seen)))
    return verdict("ok", "")


def _with_rows(
    first_input: Array | None, got: Array, check: Check, parameters: Mapping[str, Any] | None
) -> Array | None:
    """Return the first input if its classes lie along the last axis, and the result is for each row or entry."""
    spec = OPS[check.op]
    if first_input is None or not spec.along_axis or first_input.ndim == 0:
        return None
    if (parameters or {}).get("axis", -1) not in (-1, first_input.ndim - 1):
        return None
    return first_input if got.shape in (first_input.shape, first_input.shape[:-1]) else None


def _is_normal(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return which values a dtype holds to its full precision: 0 and what is neither infinite nor subnormal."""
    size = np.abs(values)
    normal: Array = (size == 0) | (size >= float(ml_dtypes.finfo(dtype).smallest_normal))
    return np.isfinite(values) & normal


def _describe(bad: Array, errors: Array, got: Array, expected: Expected, x: Array, allowed: float) -> str:
    worst = int(np.argmax(np.where(bad, errors, -1.0)))
    return (
        f"{int(bad.sum())} of {bad.size} values exceed {allowed:.3g} ULP; worst {errors.flat[worst]:.3g} ULP "
        f"at first input {x.flat[worst]}: got {got.flat[worst]}, exact {expected.high.flat[worst]}"
    )


def _lost(flushed: bool) -> str:  # noqa: FBT001 - the only argument
    """Return what to know where subnormal numbers are taken for zero: then errors near zero are not the op's."""
    places = {"it was computed": flushed, "it is judged": arithmetic.flushes_subnormals()}
    where = " and where ".join(place for place, lost in places.items() if lost)
    return where and (
        f"; subnormal numbers are taken for zero where {where}: some library has told the processor to "
        "(-ffast-math, torch.set_flush_denormal)"
    )


def _verdict(
    status: Status,
    reason: str,
    errors: Array,
    deviating: Array,
    got: Array,
    expected: Expected,
    x: Array,
    allowed: float,
    select: Array | None,
    n_sample: int | None,
) -> Verdict:
    if errors.size == 0:
        return Verdict(
            status=status,
            reason=reason,
            n_points=0,
            max_ulp=0.0,
            max_ulp_elsewhere=0.0,
            max_ulp_normal=0.0,
            mean_ulp=0.0,
            worst_input=math.nan,
            budget_ulp=allowed,
            max_abs_error=0.0,
        )
    worst = int(np.argmax(errors if select is None else np.where(select, errors, -1.0)))
    finite = np.isfinite(errors) & np.isfinite(expected.high) & np.isfinite(got)
    ordinary = finite & ~deviating
    if n_sample is not None and errors.ndim:
        ordinary[n_sample:] = False
    absolute = np.abs(got[finite].astype(np.float64) - expected.high[finite]) if finite.any() else np.zeros(1)
    return Verdict(
        status=status,
        reason=reason,
        n_points=int(errors.size),
        max_ulp=float(errors.flat[worst]),
        max_ulp_elsewhere=float(errors[~deviating].max(initial=0.0)),
        max_ulp_normal=float(errors[_is_normal(expected.high, got.dtype) & ~np.isinf(x)].max(initial=0.0)),
        mean_ulp=float(errors[ordinary].mean()) if ordinary.any() else math.nan,
        worst_input=float(x.flat[worst]),
        budget_ulp=allowed,
        max_abs_error=float(absolute.max()),
    )
