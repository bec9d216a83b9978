"""Instructions of LLVM that Numba has no name for, for compiled code, on float32 and float64."""

# ruff: noqa: ARG001, ARG005 - Numba calls all generators alike

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 64
"""Bytes of a cache line, and of the longest vectors."""

HORNER_UP_TO = 6
"""With up to this many coefficients, a polynomial goes by Horner's rule; see `polynomial`."""

_LAYOUTS = {
    # integer of the same size, bits of the fraction, bias of the exponent
    types.float32: (ir.IntType(32), 23, 127),
    types.float64: (ir.IntType(64), 52, 1023),
}

_INTEGERS = {types.float32: types.int32, types.float64: types.int64}

# --- calls ----------------------------------------------------------------------------------------------------


@intrinsic
def call_apart(typing: Any, function: Any, arguments: Any) -> Any:
    """Call `function(*arguments)`, which LLVM keeps apart from the caller.

    A loop that is inlined into a large function shares its registers: the constants of its formula no longer have
    a register each, and are loaded again for each vector.
    """
    signature = typing.resolve_function_type(function, tuple(arguments), {})

    def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
        called = context.get_function(function, signature)
        before = set(map(id, _calls(builder)))
        result = called(builder, cgutils.unpack_tuple(builder, values[1]))
        for call in _calls(builder):
            if id(call) not in before:
                call.attributes.add("noinline")
        return result

    return signature.return_type(function, arguments), generate


def _calls(builder: Any) -> Iterator[Any]:
    for block in builder.function.blocks:
        yield from (found for found in block.instructions if isinstance(found, ir.CallInstr))


# --- arithmetic -----------------------------------------------------------------------------------------------


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c, rounded once."""
    return a(a, a, a), lambda context, builder, signature, arguments: builder.fma(*arguments)


@intrinsic
def copysign(typing: Any, size: Any, sign: Any) -> Any:
    """Return |size| with the sign of `sign`, without a branch."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = arguments[0].type
        binary = ir.FunctionType(number, [number, number])
        return builder.call(builder.module.declare_intrinsic("llvm.copysign", [number], binary), arguments)

    return size(size, size), generate


@intrinsic
def add(typing: Any, a: Any, b: Any) -> Any:
    """Add, in a sum whose terms LLVM may reorder: several partial sums make a vector."""
    return a(a, b), lambda context, builder, signature, arguments: builder.fadd(*arguments, flags=("reassoc",))


# --- constants ------------------------------------------------------------------------------------------------


def by_type(values: Mapping[str, float]) -> Callable[[Any], Any]:
    """Return a function of x for compiled code: the constant that goes with the type of x.

    Its `table` has the values, for who compiles the same formulas for another machine.
    """

    @intrinsic
    def constant(typing: Any, x: Any) -> Any:

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return ir.Constant(arguments[0].type, values[x.name])

        return x(x), generate

    constant.table = values
    return cast("Callable[[Any], Any]", constant)


def polynomial(coefficients: Mapping[str, tuple[float, ...]]) -> Callable[[Any], Any]:
    """Return a polynomial for compiled code, highest power first; its coefficients go with the type of x.

    A short one goes by Horner's rule, which has the fewest operations. Each of these waits for the one before, and
    a processor does not look far enough ahead to fill that time. A long polynomial therefore joins neighbours,
    then pairs, and so on (Estrin 1960). Its `table` has the coefficients, as a constant's the values.
    """

    @intrinsic
    def evaluate(typing: Any, x: Any) -> Any:

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (power,) = arguments
            terms = [ir.Constant(power.type, c) for c in reversed(coefficients[x.name])]
            if len(terms) <= HORNER_UP_TO:
                return functools.reduce(lambda high, low: builder.fma(high, power, low), reversed(terms))
            while len(terms) > 1:
                pairs = itertools.zip_longest(terms[::2], terms[1::2])
                terms = [low if high is None else builder.fma(high, power, low) for low, high in pairs]
                power = builder.fmul(power, power)
            return terms[0]

        return x(x), generate

    evaluate.table = coefficients
    return cast("Callable[[Any], Any]", evaluate)


# --- the bits of numbers --------------------------------------------------------------------------------------


@intrinsic
def one_power(typing: Any, shifted: Any) -> Any:
    """Return 2**n, a normal number, for a sum whose last bits are n and one bias of the exponent."""
    integer, fraction, _ = _LAYOUTS[shifted]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        power = builder.shl(builder.bitcast(arguments[0], integer), ir.Constant(integer, fraction))
        return builder.bitcast(power, arguments[0].type)

    return shifted(shifted), generate


@intrinsic
def two_powers(typing: Any, shifted: Any) -> Any:
    """Return two powers of two, about equal, with product 2**n, for a sum whose last bits are n and two biases."""
    integer, fraction, _ = _LAYOUTS[shifted]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        def constant(value: int) -> Any:
            return ir.Constant(integer, value)

        bits = builder.bitcast(arguments[0], integer)
        whole = builder.shl(bits, constant(fraction))
        # The last bit of n lies below the exponent's.
        half = builder.and_(builder.shl(bits, constant(fraction - 1)), constant(-1 << fraction))
        powers = (builder.bitcast(power, arguments[0].type) for power in (half, builder.sub(whole, half)))
        return context.make_tuple(builder, signature.return_type, list(powers))

    return types.UniTuple(shifted, 2)(shifted), generate


@intrinsic
def split(typing: Any, x: Any) -> Any:
    """Return m and n with x = m·2**n and √½ <= m < √2, for a positive normal x."""
    integer, fraction, bias = _LAYOUTS[x]
    root = {types.float32: 0x3F3504F3, types.float64: 0x3FE6A09E667F3BCD}[x]  # the bits of √½

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = arguments[0].type
        one = ir.Constant(integer, bias << fraction)
        bits = builder.bitcast(arguments[0], integer)
        beyond = builder.add(builder.sub(bits, ir.Constant(integer, root)), one)
        exponent = builder.sub(builder.ashr(beyond, ir.Constant(integer, fraction)), ir.Constant(integer, bias))
        mantissa = builder.sub(bits, builder.shl(exponent, ir.Constant(integer, fraction)))
        return context.make_tuple(
            builder,
            signature.return_type,
            [builder.bitcast(mantissa, number), builder.sitofp(exponent, number)],
        )

    return types.UniTuple(x, 2)(x), generate


@intrinsic
def to_bits(typing: Any, x: Any) -> Any:
    """Return the bits of a number as an integer.

    As signed integers, the bits of positive numbers are in the order of the numbers, and above those of negative
    numbers. As unsigned integers, the bits of negative numbers are in the opposite order: the largest number has
    the smallest. NaN lies beyond the infinity of its sign.
    """
    integer = _LAYOUTS[x][0]
    return _INTEGERS[x](x), lambda context, builder, signature, arguments: builder.bitcast(arguments[0], integer)


@intrinsic
def is_negative(typing: Any, x: Any) -> Any:
    """Tell whether the sign bit is set, that of -0 and of some NaN too: to choose by it takes no comparison."""
    integer = _LAYOUTS[x][0]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.icmp_signed("<", builder.bitcast(arguments[0], integer), ir.Constant(integer, 0))

    return types.boolean(x), generate


@intrinsic
def from_bits(typing: Any, bits: Any, like: Any) -> Any:
    """Return the number of these bits, of the type of `like`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], arguments[1].type)

    return like(bits, like), generate


@intrinsic
def larger(typing: Any, a: Any, b: Any) -> Any:
    """Return the larger of two integers of the same type, which Numba would widen."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.icmp_signed(">", *arguments), *arguments)

    return a(a, a), generate


@intrinsic
def smaller_unsigned(typing: Any, a: Any, b: Any) -> Any:
    """Return the smaller of two integers of the same type, both read as unsigned."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.select(builder.icmp_unsigned("<", *arguments), *arguments)

    return a(a, a), generate


# --- memory ---------------------------------------------------------------------------------------------------


def buffer(size: int) -> Callable[[Any], Any]:
    """Return a function of x for compiled code: an array of `size` numbers like x, on the stack."""

    @intrinsic
    def allocate(typing: Any, x: Any) -> Any:
        return _allocation(size, x, (x,))

    return cast("Callable[[Any], Any]", allocate)


def buffer_of_results(size: int) -> Callable[[Any, Any], Any]:
    """Return a function for compiled code: such an array for results of `function(*arguments)`, without a call."""

    @intrinsic
    def allocate(typing: Any, function: Any, arguments: Any) -> Any:
        result = typing.resolve_function_type(function, tuple(arguments), {}).return_type
        return _allocation(size, result, (function, arguments))

    return cast("Callable[[Any, Any], Any]", allocate)


def _allocation(size: int, number: Any, arguments: tuple[Any, ...]) -> Any:
    array = types.Array(number, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        stored = context.get_data_type(number)
        with builder.goto_entry_block():  # as `cgutils.alloca_once`, which would fill it with zeros in each call
            space = builder.alloca(ir.ArrayType(stored, size))
        space.align = LINE
        made = context.make_array(array)(context, builder)
        length = ir.Constant(ir.IntType(64), size)
        stride = ir.Constant(ir.IntType(64), context.get_abi_sizeof(stored))
        made.data = builder.bitcast(space, made.data.type)
        made.shape = cgutils.pack_array(builder, [length])
        made.strides = cgutils.pack_array(builder, [stride])
        made.itemsize, made.nitems = stride, length
        return made._getvalue()  # noqa: SLF001 - as Numba's own generators do

    return array(*arguments), generate


@intrinsic
def unowned(typing: Any, array: Any) -> Any:
    """Return an array, which the caller keeps, as one whose views are not counted.

    Otherwise threads wait for each other to count references to the array that they share.
    """
    return array(array), uncounted


def uncounted(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Generate an array, of the type that the signature returns, that is the argument without its owner."""
    view = context.make_array(signature.args[0])(context, builder, arguments[0])
    view.meminfo, view.parent = (cgutils.get_null_value(field.type) for field in (view.meminfo, view.parent))
    return view._getvalue()  # noqa: SLF001 - as Numba's own generators do


@intrinsic
def begin_together(typing: Any, a: Any, b: Any) -> Any:
    """Tell whether two arrays begin at the same place in memory."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        places = (
            builder.ptrtoint(context.make_array(array)(context, builder, value).data, ir.IntType(64))
            for array, value in zip((a, b), arguments, strict=True)
        )
        return builder.icmp_unsigned("==", *places)

    return types.boolean(a, b), generate


@intrinsic
def store_line(typing: Any, out: Any, i: Any, block: Any, j: Any) -> Any:
    """Copy a cache line from `block[j:]` to `out[i:]`, past the caches; both begin with a line there."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, source = (
            builder.gep(context.make_array(array)(context, builder, value).data, [index])
            for array, value, index in ((out, *arguments[:2]), (block, *arguments[2:]))
        )
        number = target.type.pointee
        line = ir.VectorType(number, LINE // context.get_abi_sizeof(number)).as_pointer()
        value = builder.load(builder.bitcast(source, line), align=LINE)
        stored = builder.store(value, builder.bitcast(target, line), align=LINE)
        stored.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))
        return context.get_dummy_value()

    return types.void(out, i, block, j), generate


@intrinsic
def fence(typing: Any) -> Any:
    """Wait until other threads see what was stored past the caches."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def per_line(typing: Any, array: Any) -> Any:
    """Return how many elements of an array a cache line holds, as a constant."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = context.make_array(signature.args[0])(context, builder, arguments[0]).data.type.pointee
        return ir.Constant(ir.IntType(64), LINE // context.get_abi_sizeof(number))

    return types.intp(array), generate


@intrinsic
def fetch_line(typing: Any, array: Any, i: Any) -> Any:
    """Have the cache line of `array[i]` fetched meanwhile; nothing happens where the array has no such element."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        fetch = builder.module.declare_intrinsic(
            "llvm.prefetch.p0i8", (), ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        )
        place = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(fetch, [place, *(ir.Constant(number, each) for each in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
