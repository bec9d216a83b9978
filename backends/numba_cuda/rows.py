"""Ops along an axis: softmax and its kin by sums of exponentials, losses of classes from terms of an element."""

# ruff: noqa: D403 - formulas begin with their variables

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from backends.numba import class_losses
from backends.numba.elementary import log
from backends.numba.elementary_constants import LIFT
from backends.numba.likelihoods import ratio
from backends.numba.rows import falling, rising
from backends.numba_cuda.formulas import LAYOUTS, Finishing, Formula, Formulas

# --- softmax and its kin: see `row_kernels.exponentials` ---------------------------------------------------------


class Row(NamedTuple):
    """What is taken to the exponential of, what of it is added up beside it, and what becomes of an entry."""

    turned: Formula
    weigh: Formula
    finish: Callable[[Finishing], Formula]


def finishing(dtype: str, wide: Formulas) -> Finishing:
    """Return it for arrays of a type; `wide` are formulas of float64."""
    return Finishing(LAYOUTS[dtype].number, wide.of(log), 2.0 ** -LIFT[dtype])


def nothing(e: Any, g: Any) -> Any:  # noqa: ARG001 - called alike
    """Return 0: nothing is added up."""
    return np.float64(0)


def _product(e: Any, g: Any) -> Any:
    return np.float64(g) * np.float64(e)


def cotangents(e: Any, g: Any) -> Any:  # noqa: ARG001
    """Return g, to be added up."""
    return np.float64(g)


def _softmax(of: Finishing) -> Formula:
    """exp(x - max(x)), normalised."""
    number, _, _ = of
    return lambda e, g, x, top, sum_, weighted: e * number(1 / sum_)  # noqa: ARG005


def _softmax_vjp(of: Finishing) -> Formula:
    """y·(g - Σ g·y), y = softmax(x)."""
    number, _, _ = of
    return lambda e, g, x, top, sum_, weighted: e * (number(1 / sum_) * (g - number(weighted / sum_)))  # noqa: ARG005


def _softmin_vjp(of: Finishing) -> Formula:
    """y·(Σ g·y - g), y = softmin(x)."""
    number, _, _ = of
    return lambda e, g, x, top, sum_, weighted: e * (number(1 / sum_) * (number(weighted / sum_) - g))  # noqa: ARG005


def _log_softmax(of: Finishing) -> Formula:
    """(x - max(x)) - log(Σ exp(x - max(x)))."""
    number, log_of, unit = of
    return lambda e, g, x, top, sum_, weighted: (x - top) - number(log_of(sum_ * unit))  # noqa: ARG005


def _log_softmax_vjp(of: Finishing) -> Formula:
    """g - softmax(x)·Σ g."""
    number, _, _ = of
    return lambda e, g, x, top, sum_, weighted: g - e * number(weighted / sum_)  # noqa: ARG005


FORWARD: Mapping[str, Row] = {
    "softmax": Row(rising, nothing, _softmax),
    "softmin": Row(falling, nothing, _softmax),
    "log_softmax": Row(rising, nothing, _log_softmax),
}
BACKWARD: Mapping[str, Row] = {
    "softmax": Row(rising, _product, _softmax_vjp),
    "softmin": Row(falling, _product, _softmin_vjp),
    "log_softmax": Row(rising, cotangents, _log_softmax_vjp),
}


# --- losses of classes ------------------------------------------------------------------------------------------


class Terms(NamedTuple):
    """A loss that adds up `term` times `sign` over each row, and the gradient of a term, sign included."""

    term: Formula
    sign: float
    slope: Formula


def _log_slope(g: Any, prediction: Any, target: Any, eps: Any) -> Any:
    """-t / (p + eps)."""
    return g * -ratio(target, prediction + type(g)(eps))


def _divergence_slope(g: Any, prediction: Any, target: Any) -> Any:  # noqa: ARG001 - called alike
    """-t."""
    return g * -target


LOSSES: Mapping[str, Terms] = {
    "categorical_cross_entropy": Terms(class_losses._log_term, -1.0, _log_slope),  # noqa: SLF001 - its one element
    "kl_divergence": Terms(class_losses._divergence, 1.0, _divergence_slope),  # noqa: SLF001
}


CROSS_ENTROPY = "softmax_cross_entropy"
"""It has kernels of its own: its terms need the row's sums first."""
crossed = class_losses._shifted_term  # noqa: SLF001 - its one element
"""Its term."""
LABEL_CROSS_ENTROPY = "softmax_cross_entropy_with_integer_labels"
"""It has kernels of its own, too: of a label, most of a row's terms are 0."""
surprise = class_losses._surprise  # noqa: SLF001 - its one element
"""Its term."""
LIKELIHOOD = "negative_log_likelihood"
"""It picks one number of a row."""
picked = class_losses.negative_log_likelihood
"""The loss of a row."""
CLASS_LOSSES = (CROSS_ENTROPY, LABEL_CROSS_ENTROPY, LIKELIHOOD)
"""Losses of classes with kernels of their own."""
