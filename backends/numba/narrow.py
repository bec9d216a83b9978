"""Arrays of float16 and bfloat16 for compiled code: loads widen numbers to float32, and stores round them.

Numba knows neither type. Kernels get their `bits`, those of float16 as int16 and those of bfloat16 as uint16, and
look at them as `floats`: an array that holds 16 bits a number in memory, and float32 in registers. Nothing but
loads and stores knows of it, so that a formula is the same for all types.

AVX-512 has an instruction that rounds to bfloat16, but it takes subnormal numbers for 0.
"""

from __future__ import annotations

import operator
import platform
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.datamodel.models import ArrayModel
from numba.extending import intrinsic, lower_builtin, register_model
from numba.np.arrayobj import basic_indexing

from backends.numba.intrinsics import uncounted

FLOAT16, BFLOAT16 = types.int16, types.uint16
"""The types that stand for their bits; integers of ops, which are labels, have 32 or 64."""

_HALF, _FLOAT, _SHORT, _WORD = ir.HalfType(), ir.FloatType(), ir.IntType(16), ir.IntType(32)


def taken() -> frozenset[np.dtype]:
    """Return the narrow types that kernels take: float16 where the processor has an instruction that widens it."""
    features = numba.config.CPU_FEATURES
    if features is None:
        features = llvm.get_host_cpu_features().flatten()
    is_x86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
    names = ("float16", "bfloat16") if "+f16c" in features or not is_x86 else ("bfloat16",)
    return frozenset(map(np.dtype, names))


def bits(array: np.ndarray) -> np.ndarray:
    """Return an array as kernels take it: if it is narrow, a view of its bits."""
    if array.dtype.itemsize != 2:
        return array
    return array.view(np.int16 if array.dtype == np.float16 else np.uint16)


class NarrowArray(types.Array):
    """A line of narrow numbers, which are float32 once they are loaded; `bits` says which they are."""

    def __init__(self, bits: Any, layout: str, *, readonly: bool) -> None:
        self.bits = bits
        name = f"narrow({bits}, {layout}, {'readonly' if readonly else 'mutable'})"
        super().__init__(types.float32, 1, layout, readonly=readonly, name=name)

    @property
    def key(self) -> Any:
        """What tells this type from others."""
        return self.bits, self.layout, self.mutable

    @property
    def mangling_args(self) -> tuple[str, list[Any]]:
        """What the names of functions of this type are made of."""
        return type(self).__name__, [self.bits, self.layout, "mutable" if self.mutable else "readonly"]

    def copy(self, dtype: Any = None, ndim: Any = None, layout: Any = None, readonly: Any = None) -> NarrowArray:
        """Return the type of a part of such an array, which is a line too."""
        del dtype, ndim
        fixed = not self.mutable if readonly is None else readonly
        return NarrowArray(self.bits, layout or self.layout, readonly=fixed)

    def can_convert_to(self, typingctx: Any, other: Any) -> None:
        """Let no array of float32 be taken for one of these, nor the other way round."""

    def unify(self, typingctx: Any, other: Any) -> None:
        """Let no variable hold one of these and another array."""


@register_model(NarrowArray)
class _NarrowModel(ArrayModel):
    """In memory, an array of the bits."""

    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, types.Array(fe_type.bits, 1, fe_type.layout))


@intrinsic
def floats(typing: Any, array: Any) -> Any:  # noqa: ARG001 - Numba calls all generators alike
    """Return an array, which the caller keeps, as one of numbers to compute with; its views are not counted.

    It is `unowned`, and of a narrow type one that widens and rounds.
    """
    if not is_narrow(array) or isinstance(array, NarrowArray):
        return array(array), uncounted
    return NarrowArray(array.dtype, array.layout, readonly=not array.mutable)(array), uncounted


def is_narrow(array: Any) -> bool:
    """Tell whether a type of Numba's is that of a narrow array, or of its bits."""
    return isinstance(array, NarrowArray) or (
        isinstance(array, types.Array) and array.dtype in (FLOAT16, BFLOAT16)
    )


@intrinsic
def stored_bits(typing: Any, number: Any, array: Any) -> Any:  # noqa: ARG001
    """Return the bits, as a signed integer, with which an array holds a number that comes from it.

    They may be compared as those of `to_bits`. Of a narrow type, a vector has twice as many.
    """
    wide = types.int32 if number == types.float32 else types.int64
    integer = types.int16 if is_narrow(array) else wide

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held = signature.args[1]
        if not is_narrow(held):
            return builder.bitcast(arguments[0], context.get_value_type(integer))
        if held.bits == FLOAT16:
            return builder.bitcast(builder.fptrunc(arguments[0], _HALF), _SHORT)
        return builder.trunc(builder.lshr(builder.bitcast(arguments[0], _WORD), ir.Constant(_WORD, 16)), _SHORT)

    return integer(number, array), generate


@intrinsic
def number_of_stored(typing: Any, bits: Any, array: Any) -> Any:  # noqa: ARG001
    """Return the number of which an array holds these bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if is_narrow(signature.args[1]):
            return _widened(builder, arguments[0], signature.args[1])
        return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

    return array.dtype(bits, array), generate


@lower_builtin(operator.getitem, NarrowArray, types.Integer)
def _load(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return _widened(builder, builder.load(_place(context, builder, signature, arguments)), signature.args[0])


def _widened(builder: Any, bits: Any, array: NarrowArray) -> Any:
    """Return the float32 of which a narrow array holds these bits."""
    if array.bits == FLOAT16:
        # The last 13 bits are 0. Masked, they keep LLVM from comparing halves, which it widens once more for that.
        widened = builder.bitcast(builder.fpext(builder.bitcast(bits, _HALF), _FLOAT), _WORD)
        return builder.bitcast(builder.and_(widened, ir.Constant(_WORD, 0xFFFFE000)), _FLOAT)
    return builder.bitcast(builder.shl(builder.zext(bits, _WORD), ir.Constant(_WORD, 16)), _FLOAT)


@lower_builtin(operator.setitem, NarrowArray, types.Integer, types.Any)
def _store(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array, _, given = signature.args
    if array.bits == FLOAT16:
        number = context.cast(builder, arguments[2], given, types.float32)
        bits = builder.bitcast(builder.fptrunc(number, _HALF), _SHORT)
    else:
        rounded = _rounded(context, builder, arguments[2], given)
        bits = builder.trunc(builder.lshr(rounded, ir.Constant(_WORD, 16)), _SHORT)
    builder.store(bits, _place(context, builder, signature, arguments))
    return context.get_dummy_value()


def _rounded(context: Any, builder: Any, number: Any, given: Any) -> Any:
    """Return bits whose upper half are those of the nearest bfloat16, and of two the even one.

    What is added to the lower half carries into the upper one where the number is to be rounded up: beyond the
    largest, to infinity. A NaN stays what it is, since its lower half is 0: it was widened, or made by arithmetic.
    """
    bits = builder.bitcast(context.cast(builder, number, given, types.float32), _WORD)
    last = builder.and_(builder.lshr(bits, ir.Constant(_WORD, 16)), ir.Constant(_WORD, 1))
    return builder.add(bits, builder.add(last, ir.Constant(_WORD, 0x7FFF)))


def _place(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array, index = signature.args[:2]
    line = context.make_array(array)(context, builder, arguments[0])
    place, _, _ = basic_indexing(
        context, builder, array, line, (index,), (arguments[1],), boundscheck=context.enable_boundscheck
    )
    return place


# --- pairs of bfloat16, as a number of 32 bits: the upper half of either is the lower or the upper half of it ----


def has_pairs(operands: tuple[Any, ...]) -> bool:
    """Tell whether all arrays among these types are lines of bfloat16 without gaps, the first one at least."""
    arrays = [x for x in operands if isinstance(x, types.Array)]
    stored = [x.bits if isinstance(x, NarrowArray) else x.dtype for x in arrays]
    return all((x.ndim, x.layout) == (1, "C") for x in arrays) and all(x == BFLOAT16 for x in stored)


@intrinsic
def even(typing: Any, array: Any, i: Any) -> Any:  # noqa: ARG001 - as `floats`
    """Return the first number of the i-th pair, as float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pair = builder.load(_pair(context, builder, signature, arguments), align=2)
        return builder.bitcast(builder.shl(pair, ir.Constant(_WORD, 16)), _FLOAT)

    return types.float32(array, types.intp), generate


@intrinsic
def odd(typing: Any, array: Any, i: Any) -> Any:  # noqa: ARG001
    """Return the second number of the i-th pair, as float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pair = builder.load(_pair(context, builder, signature, arguments), align=2)
        return builder.bitcast(builder.and_(pair, ir.Constant(_WORD, 0xFFFF0000)), _FLOAT)

    return types.float32(array, types.intp), generate


@intrinsic
def store_pair(typing: Any, array: Any, i: Any, first: Any, second: Any) -> Any:  # noqa: ARG001
    """Round two numbers, and store them as the i-th pair."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        low, high = (
            _rounded(context, builder, x, given) for x, given in zip(arguments[2:], (first, second), strict=True)
        )
        low = builder.lshr(low, ir.Constant(_WORD, 16))
        high = builder.and_(high, ir.Constant(_WORD, 0xFFFF0000))
        builder.store(builder.or_(low, high), _pair(context, builder, signature, arguments), align=2)
        return context.get_dummy_value()

    return types.void(array, types.intp, first, second), generate


def _pair(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    line = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.gep(builder.bitcast(line.data, _WORD.as_pointer()), [arguments[1]])
