"""The mathematics that definitions are evaluated with: at high precision, or in the next wider type."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends.interface import Math

Array = np.ndarray[Any, np.dtype[Any]]


class Shaping:
    """The part of the math namespace that only moves values, whatever they are."""

    @staticmethod
    def where(condition: Any, yes: Any, no: Any) -> Any:
        """Choose elementwise."""
        return np.where(np.asarray(condition, bool), yes, no)

    @staticmethod
    def sum(x: Any, *, axis: int, keepdims: bool = False) -> Any:
        """Sum along an axis."""
        return np.sum(x, axis=axis, keepdims=keepdims)

    @staticmethod
    def max(x: Any, *, axis: int, keepdims: bool = False) -> Any:
        """Largest along an axis."""
        return np.max(x, axis=axis, keepdims=keepdims)

    @staticmethod
    def sort(x: Any, *, axis: int) -> Any:
        """Ascending along an axis."""
        return np.sort(x, axis=axis)

    @staticmethod
    def cumsum(x: Any, *, axis: int) -> Any:
        """Sum up to each entry along an axis."""
        return np.cumsum(x, axis=axis)

    @staticmethod
    def halves(x: Any, *, axis: int) -> Any:
        """Two halves along an axis."""
        return np.split(x, 2, axis=axis)

    @staticmethod
    def join(*parts: Any, axis: int) -> Any:
        """One array of several along an axis."""
        return np.concatenate(parts, axis=axis)

    @staticmethod
    def along(x: Any, ndim: int, axis: int) -> Any:
        """Return a vector as an array of `ndim` dimensions that lies along one of them."""
        return np.reshape(x, [-1 if i == axis % ndim else 1 for i in range(ndim)])

    def count(self, x: Any, *, axis: int) -> Any:
        """1, 2, 3, ... along an axis, to go with x."""
        return self.along(np.arange(1, x.shape[axis] + 1), x.ndim, axis)

    def one_hot(self, labels: Any, classes: int, axis: int) -> Any:
        """Zeros with a one at each label, classes along `axis`; zeros alone where a label is negative."""
        hot = np.expand_dims(labels, -1) == np.arange(classes)
        return np.moveaxis(self.asarray(hot.astype(np.float64)), -1, axis)

    def asarray(self, x: Array) -> Array:
        """Bring an array of floats into the namespace."""
        raise NotImplementedError


class HighPrecision(Shaping):
    """Math namespace over object arrays of mpmath numbers with `digits` decimal digits."""

    def __init__(self, digits: int) -> None:
        import mpmath  # late: only what evaluates needs it, and listing the tests does not

        context = mpmath.mp.clone()
        context.dps = digits
        self.pi = +context.pi
        self.exp, self.tanh, self.cosh, self.sign, self.sqrt = (
            _elementwise(f) for f in (context.exp, context.tanh, context.cosh, context.sign, context.sqrt)
        )
        self.log = _elementwise(lambda x: context.log(x) if x >= 0 else context.nan)
        self.erfc = _elementwise(lambda z: _erfc(context, z))
        self._number = _elementwise(lambda x: context.mpf(float(x)))
        self.ratio = _pairwise(lambda a, b: a / b if b else context.sign(a) * context.inf if a else context.zero)
        self.quotient = _pairwise(lambda a, b: a / b if b else context.nan)

    def asarray(self, x: Array) -> Array:
        """Make mpmath numbers of floats, exactly."""
        return np.asarray(self._number(np.asarray(x, np.float64)))


class WidePrecision(Shaping, Math):
    """Math namespace over float arrays in the next wider type, fast enough for millions of values.

    float64 for float32 and narrower, long double for float64. For losses and ops along an axis only, which sum
    many terms; and for moderate values, for which the definitions lose few digits: those of `inputs.draw`.
    """

    exp, log, sign = staticmethod(np.exp), staticmethod(np.log), staticmethod(np.sign)
    sqrt, tanh, cosh = staticmethod(np.sqrt), staticmethod(np.tanh), staticmethod(np.cosh)

    def __init__(self, dtype: str) -> None:
        self._dtype = np.longdouble if dtype == "float64" else np.float64

    def asarray(self, x: Array) -> Array:
        """Widen."""
        return x.astype(self._dtype)

    quotient = staticmethod(np.divide)

    @staticmethod
    def ratio(a: Any, b: Any) -> Any:
        """Return a / b, and 0 where a is 0."""
        return np.where(a == 0, 0, np.divide(a, b))


def _erfc(context: Any, z: Any) -> Any:
    """Return erfc(z); beyond 1e5, where mpmath overflows, 2 or a number that is tiny, and yet not 0."""
    if abs(z) >= 1e5:
        return context.exp(-z * z) if z > 0 else context.mpf(2)
    return context.erfc(z)


def _elementwise(function: Any) -> Any:
    return _over_objects(function, 1)


def _pairwise(function: Any) -> Any:
    return _over_objects(function, 2)


def _over_objects(function: Any, n_arguments: int) -> Any:
    ufunc = np.frompyfunc(function, n_arguments, 1)

    def apply(*arrays: Any) -> Any:
        with np.errstate(invalid="ignore"):  # a NaN on its way through gmpy2 raises the flag that NumPy looks at
            # A ufunc over a 0-d array returns a bare object.
            return np.asarray(ufunc(*arrays), dtype=object)

    return apply
