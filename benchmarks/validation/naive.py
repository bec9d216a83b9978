"""One-liners: each NumPy op beside the one-liner that you would write instead, and beside SciPy's function.

All are timed in turn in one process. A one-liner allocates what it needs, as such code does. Our ops are bound to
their inputs, as in the timing suite, and write a new output (`fresh`) or the same one again (`reuse`).
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy import special

import backends
from backends.base import output_shape
from backends.catalogue import OPS
from backends.interface import Mode
from benchmarks import quantities
from benchmarks.check import accuracy, search
from benchmarks.measure.sampling import Sampling, combine, take_turns
from benchmarks.plan import inputs
from benchmarks.record.shapes import default_shape
from benchmarks.stats.ratios import ratio_interval
from benchmarks.validation import kernels

Array = np.ndarray[Any, np.dtype[Any]]

SIZES = (1, 100, 10_000, 1_000_000, 10_000_000)
MODES: tuple[Mode, ...] = ("forward", "backward")
DTYPES = ("float32", "float64")
OTHERS = ("one-liner", "SciPy")
WRONG_ULP = 1000
"""A one-liner with a larger error is called wrong: it loses three of float32's seven digits."""


@dataclass(frozen=True)
class OneLiner:
    """Expressions in the names of an op's inputs, of its parameters, and of the cotangent g."""

    forward: str
    backward: str = ""
    scipy: str = ""

    def __getitem__(self, mode: str) -> str:
        return self.forward if mode == "forward" else self.backward


_SIGMOID = "(1 / (1 + np.exp(-x)))"
_SOFTMAX = "(e := np.exp(x - x.max(-1, keepdims=True))) / e.sum(-1, keepdims=True)"
_P, _T = "prediction", "target"
_D = f"({_P} - {_T})"
_N = f"g / {_P}.size"

ONE_LINERS: Mapping[str, OneLiner] = {
    "relu": OneLiner("np.maximum(x, 0)", "g * (x > 0)"),
    "relu6": OneLiner("np.clip(x, 0, 6)", "g * ((x > 0) & (x < 6))"),
    "leaky_relu": OneLiner("np.where(x > 0, x, negative_slope * x)", "np.where(x > 0, g, negative_slope * g)"),
    "step": OneLiner("(x > 0).astype(x.dtype)"),
    "hard_sigmoid": OneLiner("np.clip(x + 3, 0, 6) / 6", "g * ((x > -3) & (x < 3)) / 6"),
    "hard_silu": OneLiner("x * np.clip(x + 3, 0, 6) / 6"),
    "hard_tanh": OneLiner("np.clip(x, -1, 1)", "g * ((x > -1) & (x < 1))"),
    "soft_shrink": OneLiner("np.sign(x) * np.maximum(np.abs(x) - threshold, 0)", "g * (np.abs(x) > threshold)"),
    "hard_shrink": OneLiner("x * (np.abs(x) > threshold)", "g * (np.abs(x) > threshold)"),
    "threshold": OneLiner("np.where(x > threshold, x, value)", "g * (x > threshold)"),
    "linear": OneLiner("x.copy()", "g.copy()"),
    "sigmoid": OneLiner(_SIGMOID, f"g * (s := {_SIGMOID}) * (1 - s)", "special.expit(x)"),
    "tanh": OneLiner("np.tanh(x)", "g * (1 - np.tanh(x) ** 2)"),
    "elu": OneLiner("np.where(x > 0, x, alpha * (np.exp(x) - 1))", "np.where(x > 0, g, g * alpha * np.exp(x))"),
    "gelu": OneLiner(
        "0.5 * x * (1 + special.erf(x / np.sqrt(x.dtype.type(2))))",
        "g * (special.ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(x.dtype.type(2 * np.pi)))",
        "x * special.ndtr(x)",
    ),
    "silu": OneLiner("x / (1 + np.exp(-x))", f"g * (s := {_SIGMOID}) * (1 + x * (1 - s))", "x * special.expit(x)"),
    "mish": OneLiner("x * np.tanh(np.log1p(np.exp(x)))"),
    "softplus": OneLiner("np.log1p(np.exp(x))", f"g * {_SIGMOID}", "-special.log_expit(-x)"),
    "softsign": OneLiner("x / (1 + np.abs(x))", "g / (1 + np.abs(x)) ** 2"),
    "log_sigmoid": OneLiner("-np.log1p(np.exp(-x))", "g / (1 + np.exp(x))", "special.log_expit(x)"),
    "tanh_shrink": OneLiner("x - np.tanh(x)", "g * np.tanh(x) ** 2"),
    "squareplus": OneLiner("(x + np.sqrt(x**2 + b)) / 2", "g * (1 + x / np.sqrt(x**2 + b)) / 2"),
    "exponential": OneLiner("np.exp(x)", "g * np.exp(x)"),
    "prelu": OneLiner("np.where(x > 0, x, weight * x)", "np.where(x > 0, g, weight * g)"),
    "swiglu": OneLiner("x * gate / (1 + np.exp(-gate))"),
    "reglu": OneLiner("x * np.maximum(gate, 0)"),
    "softmax": OneLiner(
        _SOFTMAX,
        f"(y := {_SOFTMAX}) * (g - (g * y).sum(-1, keepdims=True))",
        "special.softmax(x, -1)",
    ),
    "log_softmax": OneLiner(
        "(z := x - x.max(-1, keepdims=True)) - np.log(np.exp(z).sum(-1, keepdims=True))",
        f"g - {_SOFTMAX} * g.sum(-1, keepdims=True)",
        "special.log_softmax(x, -1)",
    ),
    "glu": OneLiner("x[..., : x.shape[-1] // 2] / (1 + np.exp(-x[..., x.shape[-1] // 2 :]))"),
    "mean_squared_error": OneLiner(f"np.mean({_D} ** 2)", f"{_N} * 2 * {_D}"),
    "mean_absolute_error": OneLiner(f"np.mean(np.abs{_D})", f"{_N} * np.sign{_D}"),
    "mean_absolute_percentage_error": OneLiner(f"100 * np.mean(np.abs({_D} / {_T}))"),
    "mean_squared_logarithmic_error": OneLiner(f"np.mean((np.log1p({_P}) - np.log1p({_T})) ** 2)"),
    "huber": OneLiner(
        f"np.mean(np.where((a := np.abs{_D}) < delta, a**2 / 2, delta * (a - delta / 2)))",
        f"{_N} * np.clip({_D}, -delta, delta)",
        f"np.mean(special.huber(delta, {_D}))",
    ),
    "log_cosh": OneLiner(f"np.mean(np.log(np.cosh{_D}))", f"{_N} * np.tanh{_D}"),
    "quantile": OneLiner(f"np.mean(np.maximum(q * (d := {_T} - {_P}), (q - 1) * d))"),
    "hinge": OneLiner(f"np.mean(np.maximum(1 - {_T} * {_P}, 0))", f"{_N} * -{_T} * ({_T} * {_P} < 1)"),
    "squared_hinge": OneLiner(f"np.mean(np.maximum(1 - {_T} * {_P}, 0) ** 2)"),
    "soft_margin": OneLiner(f"np.mean(np.log1p(np.exp(-{_T} * {_P})))"),
    "binary_cross_entropy": OneLiner(
        f"-np.mean({_T} * np.log({_P}) + (1 - {_T}) * np.log(1 - {_P}))",
        f"{_N} * ({_P} - {_T}) / ({_P} * (1 - {_P}))",
        f"-np.mean(special.xlogy({_T}, {_P}) + special.xlog1py(1 - {_T}, -{_P}))",
    ),
    "binary_cross_entropy_with_logits": OneLiner(
        "np.mean(np.log1p(np.exp(logits)) - target * logits)",
        "g / logits.size * (1 / (1 + np.exp(-logits)) - target)",
        "-np.mean(target * logits + special.log_expit(-logits))",
    ),
    "poisson": OneLiner(f"np.mean(np.exp({_P}) - {_T} * {_P})", f"{_N} * (np.exp({_P}) - {_T})"),
    "gaussian_negative_log_likelihood": OneLiner(f"np.mean((np.log(variance) + {_D} ** 2 / variance) / 2)"),
    "categorical_cross_entropy": OneLiner(
        f"-np.sum({_T} * np.log({_P} + eps)) / len({_P})", f"-g / len({_P}) * {_T} / ({_P} + eps)"
    ),
    "softmax_cross_entropy": OneLiner(
        "np.mean(np.log(np.exp(logits).sum(-1)) - (target * logits).sum(-1))",
        "g / len(logits) * ((e := np.exp(logits)) / e.sum(-1, keepdims=True) - target)",
        "-np.sum(target * special.log_softmax(logits, -1)) / len(logits)",
    ),
    "softmax_cross_entropy_with_integer_labels": OneLiner(
        "np.mean(np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(logits)), labels])",
        scipy="-np.mean(special.log_softmax(logits, -1)[np.arange(len(logits)), labels])",
    ),
    "negative_log_likelihood": OneLiner(f"-np.mean({_P}[np.arange(len({_P})), labels])"),
    "kl_divergence": OneLiner(
        f"np.sum({_T} * (np.log({_T}) - {_P})) / len({_P})",
        scipy=f"np.sum(special.kl_div({_T}, np.exp({_P}))) / len({_P})",
    ),
    "cosine_similarity": OneLiner(
        f"np.mean(({_P} * {_T}).sum(-1) / (np.linalg.norm({_P}, axis=-1) * np.linalg.norm({_T}, axis=-1)))"
    ),
    "dice": OneLiner(f"np.mean(1 - (2 * ({_P} * {_T}).sum(-1) + eps) / (({_P} + {_T}).sum(-1) + eps))"),
}
"""What one would write, for the ops for which that is obvious, and the functions that SciPy has for it."""


def call(expression: str, op: str, arrays: Sequence[Any], g: Any) -> Callable[[], Any]:
    """Return a call that evaluates an expression for an op's inputs, at its default parameters."""
    known = {"np": np, "special": special, **OPS[op].defaults, "g": g}
    names = {declared.name: array for declared, array in zip(OPS[op].inputs, arrays, strict=True)}
    return cast("Callable[[], Any]", eval(f"lambda: {expression}", known | names))


def table(
    ops: Sequence[str], modes: Sequence[Mode], dtypes: Sequence[str], sizes: Sequence[int], seed: int
) -> pd.DataFrame:
    """Return a row for each case, the worst first: the one-liner's time, and ours over it and over SciPy's.

    Raises ValueError if no op that was asked for has a one-liner.
    """
    order = random.Random(seed)
    rows = [row for case in product(ops, modes, dtypes) for row in _rows(*case, sizes, order)]
    if not rows:
        raise ValueError(f"--op: no one-liner for {', '.join(modes)} of {', '.join(ops)}")
    return pd.DataFrame(rows).sort_values("worst", ascending=False).drop(columns="worst")


def flaws(op: str, mode: Mode, dtype: str) -> str:
    """Return at which of the points that test an op its one-liner is wrong; empty if at none."""
    trial = search.designed(op, mode, dtype)
    with np.errstate(all="ignore"):
        got = [call(ONE_LINERS[op][mode], op, *_point(op, trial, i))() for i in range(trial.n_sample)]
    values = np.array(got, dtype).reshape(trial.expected.high.shape)
    errors = accuracy.ulp_error(values, trial.expected).reshape(trial.n_sample, -1).max(axis=1)
    wrong = np.flatnonzero(errors > WRONG_ULP)
    return f"{len(wrong)} of {trial.n_sample}: {_example(trial, values, wrong)}" if wrong.size else ""


# --- private --------------------------------------------------------------------------------------------------


def _rows(
    op: str, mode: Mode, dtype: str, sizes: Sequence[int], order: random.Random
) -> Iterator[dict[str, object]]:
    """Yield a row for each size; none without a one-liner. A row op needs more than one element."""
    if not ONE_LINERS[op][mode]:
        return
    flaw = flaws(op, mode, dtype)
    for n in sizes:
        if n > 1 or not OPS[op].along_axis:
            print(op, mode, dtype, n, file=sys.stderr, flush=True)
            yield _row(op, mode, dtype, n, order) | {"the one-liner is wrong at": flaw}


def _row(op: str, mode: Mode, dtype: str, n: int, order: random.Random) -> dict[str, object]:
    arrays = inputs.draw(op, default_shape(OPS[op], n), dtype)
    g = inputs.cotangent(output_shape(OPS[op], arrays, OPS[op].defaults), dtype)
    cotangent = g if mode == "backward" else None
    one_liner = ONE_LINERS[op]
    runs = {
        allocation: backends.load("numpy").bind(op, *arrays, mode=mode, allocation=allocation, cotangent=cotangent)
        for allocation in ("fresh", "reuse")
    }
    runs["one-liner"] = call(one_liner[mode], op, arrays, g)
    if mode == "forward" and one_liner.scipy:
        runs["SciPy"] = call(one_liner.scipy, op, arrays, g)
    lanes = {name: kernels.lane(kernels.ours(run)) for name, run in runs.items()}
    take_turns(list(lanes.values()), kernels.RULE, order)
    found = {name: combine([lane], kernels.RULE.confidence) for name, lane in lanes.items()}
    return {
        "op": f"{op}, {mode}",
        "dtype": dtype,
        "elements": quantities.count(n),
        "one-liner": quantities.seconds(found["one-liner"].median_s),
        "fresh / one-liner": _ratio(found["fresh"], found["one-liner"]),
        "reuse / one-liner": _ratio(found["reuse"], found["one-liner"]),
        "fresh / SciPy": _ratio(found["fresh"], found["SciPy"]) if "SciPy" in found else "",
        "worst": max(found["fresh"].median_s / other.median_s for name, other in found.items() if name in OTHERS),
    }


def _ratio(ours: Sampling, other: Sampling) -> str:
    low, high = ratio_interval(ours.median_s, ours.low_s, ours.high_s, other.median_s, other.low_s, other.high_s)
    return f"{ours.median_s / other.median_s:.2f} ({low:.2f} to {high:.2f})"


def _point(op: str, trial: search.Sample, i: int) -> tuple[list[Any], Any]:
    """Return the inputs of one element, or one row, and its cotangent: for a loss, a number."""
    pairs = zip(OPS[op].inputs, trial.arrays, strict=True)
    arrays = [a[i : i + 1] if a is not None and d.extent in ("same", "rows") else a for d, a in pairs]
    if trial.cotangent is None:
        return arrays, None
    return arrays, trial.cotangent[i] if OPS[op].kind == "loss" else trial.cotangent[i : i + 1]


def _example(trial: search.Sample, values: Array, wrong: Array) -> str:
    """Describe the wrong result whose input is nearest to 0, as inputs are in practice."""
    first = np.abs(trial.arrays[0].astype(np.float64)).reshape(trial.n_sample, -1).max(axis=1)
    i = wrong[np.argmin(first[wrong])]
    if trial.arrays[0].ndim > 1:
        return f"a row with {quantities.number(first[i])}"
    place = ", ".join(f"{a[i]:.3g}" for a in trial.arrays if a is not None and a.shape[:1] == values.shape[:1])
    return f"{place} gives {values[i]:.6g}, not {trial.expected.high[i]:.6g}"
