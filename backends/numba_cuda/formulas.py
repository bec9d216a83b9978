"""The formulas of `backends.numba` for a GPU: the same code, with other functions behind its names.

A formula is a Python function of one element. Here its code gets globals of its own: each formula that it calls is
a device function, and each instruction of LLVM's (`backends.numba.intrinsics`) has a twin. So nothing is written
twice but these twins, for which a type has four functions (`Machine`): libdevice's on a GPU, plain ones elsewhere.
"""

from __future__ import annotations

import builtins
import dis
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from backends.numba import activations, elementary, intrinsics, likelihoods, losses, piecewise

Formula = Callable[..., Any]
Jit = Callable[[Formula], Formula]


class Layout(NamedTuple):
    """A type of numbers, an integer of its size, bits of the fraction, the exponent's bias, and the bits of √½."""

    number: Any
    integer: Any
    fraction: int
    bias: int
    root: int


LAYOUTS = {
    "float32": Layout(np.float32, np.int32, 23, 127, 0x3F3504F3),
    "float64": Layout(np.float64, np.int64, 52, 1023, 0x3FE6A09E667F3BCD),
}


@dataclass(frozen=True)
class Machine:
    """What a machine computes that Python has no name for, on numbers of one type.

    `fma(a, b, c)` is a·b + c, `copysign(size, sign)` |size| with the sign of `sign`; `bits` are those of a number
    as a signed integer, `number` is the number of such bits.
    """

    fma: Formula
    copysign: Formula
    bits: Formula
    number: Formula


def plain(dtype: str) -> Machine:
    """Return a machine that is Python, for Numba's simulator: its `fma` rounds twice."""
    layout = LAYOUTS[dtype]
    number, wide = layout.number, np.float64 if dtype == "float32" else np.longdouble
    return Machine(
        fma=lambda a, b, c: number(wide(a) * wide(b) + wide(c)),
        copysign=lambda size, sign: number(math.copysign(size, sign)),
        bits=lambda x: number(x).view(layout.integer),
        number=lambda bits: bits.view(number),
    )


FORMS: Mapping[Any, Mapping[str, Formula]] = {
    elementary._log_of_parts: {  # noqa: SLF001 - which of them it is, Numba asks where it compiles for a processor
        "float32": elementary._log_by_polynomial,  # noqa: SLF001
        "float64": elementary._log_by_quotient,  # noqa: SLF001
    },
}
"""Functions that are another one for each type."""


class Finishing(NamedTuple):
    """What finishing a row needs: its type of numbers, a logarithm of float64, and what brings sums down."""

    number: Any
    log: Formula
    lowered: float


class Formulas:
    """Formulas of `backends.numba` on one type; `jit` makes a device function of a function."""

    def __init__(self, dtype: str, machine: Machine, jit: Jit) -> None:
        self._dtype, self._machine, self._jit = dtype, machine, jit
        self._made: dict[Formula, Formula] = {}

    def of(self, formula: Any) -> Formula:
        """Return a formula as a device function, made once."""
        if formula not in self._made:
            code, known = formula.__code__, formula.__globals__
            # Of the names in its code some are attributes, such as `elementary.tanh` within `tanh`.
            used = {each.argval for each in dis.get_instructions(code) if each.opname == "LOAD_GLOBAL"}
            names = {name: self._behind(known[name], code.co_names) for name in used if name in known}
            module = {"__builtins__": builtins, "__name__": formula.__module__}
            self._made[formula] = self._jit(FunctionType(code, module | names, formula.__name__))
        return self._made[formula]

    def _behind(self, value: Any, names: Iterable[str]) -> Any:
        """Return what a name means here that means `value` on a processor; of a module, the `names` are used."""
        if isinstance(value, FunctionType):
            return self.of(FORMS[value][self._dtype] if value in FORMS else value)
        if isinstance(value, ModuleType) and value.__name__.startswith(f"{intrinsics.__package__}."):
            module = ModuleType(value.__name__)
            found = {name: getattr(value, name) for name in names if hasattr(value, name)}
            vars(module).update({name: self._behind(each, ()) for name, each in found.items()})
            return module
        if value in self._instructions:
            return self._instructions[value]
        table = getattr(value, "table", None)
        return value if table is None else self._of_table(value, table[self._dtype])

    def _of_table(self, instruction: Any, found: Any) -> Formula:
        """Return a constant of this type, or a polynomial with coefficients of it; made once."""
        if instruction not in self._made:
            make = polynomial if isinstance(found, tuple) else constant
            self._made[instruction] = self._jit(make(LAYOUTS[self._dtype].number, self._machine.fma, found))
        return self._made[instruction]

    @cached_property
    def _instructions(self) -> Mapping[Any, Formula]:
        made = {name: self._jit(twin) for name, twin in twins(LAYOUTS[self._dtype], self._machine).items()}
        return {
            intrinsics.fma: self._machine.fma,
            intrinsics.copysign: self._machine.copysign,
            intrinsics.one_power: made["one_power"],
            intrinsics.two_powers: made["two_powers"],
            intrinsics.split: made["split"],
            intrinsics.is_negative: made["is_negative"],
        }


def twins(layout: Layout, machine: Machine) -> dict[str, Formula]:
    """Return what `backends.numba.intrinsics` does with the bits of numbers, by its names; see there.

    On a GPU, integers beside literals have 64 bits: what is more than a type has is cut off in the end.
    """
    number, integer, fraction, bias, root = layout
    bits, of_bits = machine.bits, machine.number

    def one_power(shifted: Any) -> Any:
        return of_bits(integer(bits(shifted) << fraction))

    def two_powers(shifted: Any) -> Any:
        n = bits(shifted)
        half = (n << (fraction - 1)) & (-1 << fraction)
        return of_bits(integer(half)), of_bits(integer((n << fraction) - half))

    def split(x: Any) -> Any:
        n = bits(x)
        exponent = ((n - root + (bias << fraction)) >> fraction) - bias
        return of_bits(integer(n - (exponent << fraction))), number(exponent)

    def is_negative(x: Any) -> Any:
        return bits(x) < 0

    return {"one_power": one_power, "two_powers": two_powers, "split": split, "is_negative": is_negative}


def constant(number: Any, fma: Formula, value: float) -> Formula:
    """Return a function of x that is a constant."""
    del fma
    found = number(value)

    def evaluate(x: Any) -> Any:  # noqa: ARG001 - called like an intrinsic
        return found

    return evaluate


def polynomial(number: Any, fma: Formula, coefficients: tuple[float, ...]) -> Formula:
    """Return a polynomial of x, its coefficients highest power first, by Horner's rule."""
    first, *others = map(number, coefficients)
    rest = tuple(others)

    def evaluate(x: Any) -> Any:
        total = first
        for coefficient in rest:
            total = fma(total, x, coefficient)
        return total

    return evaluate


def numbers(formula: Any, n_arrays: int, parameters: Mapping[str, Any]) -> tuple[float, ...]:
    """Return the parameters that a formula takes after its arrays, in its order; NaN for None."""
    names = list(inspect.signature(formula).parameters)[n_arrays:]
    return tuple(math.nan if parameters[name] is None else float(parameters[name]) for name in names)


@dataclass(frozen=True)
class Choice:
    """Formulas among which a `parameter` chooses; that of None is for all other values."""

    parameter: str
    forms: Mapping[Any, Formula]


def first(formula: Formula | Choice) -> Formula:
    """Return the formula, or the first of several."""
    return next(iter(formula.forms.values())) if isinstance(formula, Choice) else formula


def chosen(formula: Formula | Choice, parameters: Mapping[str, Any]) -> Formula:
    """Return the formula for some parameters."""
    if not isinstance(formula, Choice):
        return formula
    value = parameters[formula.parameter]
    return formula.forms[value if value in formula.forms else None]


_MODULES = (piecewise, activations, losses, likelihoods)
_CHOICES: Mapping[str, tuple[str, Mapping[Any, str]]] = {
    "gelu": ("approximate", {"none": "gelu", "tanh": "gelu_tanh"}),
    "poisson": ("log_input", {True: "poisson", False: "poisson_of_rates"}),
    "binary_focal_cross_entropy": (
        "gamma",
        {None: "binary_focal_cross_entropy", 2: "square_focal_cross_entropy"},
    ),
}
"""Ops whose formula a parameter chooses, by the names of the formulas."""


def _table(ending: str = "") -> dict[str, Formula | Choice]:
    found: dict[str, Formula | Choice] = {}
    for module in _MODULES:
        for op in module.OPS:
            if op in _CHOICES:
                parameter, forms = _CHOICES[op]
                made = {value: getattr(module, f"{name}{ending}") for value, name in forms.items()}
                found[op] = Choice(parameter, made)
            else:
                found[op] = getattr(module, f"{_SAME.get(f'{op}{ending}', op)}{ending}")
    return found


_SAME = {"hard_shrink_vjp": "soft_shrink"}
"""Gradients that are another op's."""

FORWARD: Mapping[str, Formula | Choice] = _table()
"""The formulas of one element by op: of a loss, before any reduction."""

BACKWARD: Mapping[str, Formula | Choice] = _table("_vjp")
"""The formulas of their gradients."""

WIDE = frozenset(
    {
        activations.tanh_shrink_vjp,
        *(
            getattr(likelihoods, f"{kind}_focal_cross_entropy{ending}")
            for kind in ("binary", "square")
            for ending in ("", "_vjp")
        ),
    }
)
"""Formulas that compute in float64, whatever the type of their arrays."""
