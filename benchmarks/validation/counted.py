"""Calls whose instructions are counted, and the process that makes them: `python -m ...counted TIMES CALLS`."""

from __future__ import annotations

import gc
import importlib.util
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from functools import partial
from itertools import repeat
from types import FunctionType
from typing import Any, cast

import numpy as np

import backends
from backends.base import output_shape
from backends.catalogue import OPS
from backends.interface import Allocation, Mode
from benchmarks.plan import inputs
from benchmarks.record.shapes import default_shape
from benchmarks.validation import callgrind, naive

Run = Callable[[], Any]

DTYPE = "float32"
ONE_LINER, BARE = "one-liner", "bare"
_WARM_UP = 200
"""Calls after which Python has specialised its bytecode, and allocators have what they need at hand."""


@dataclass(frozen=True)
class Call:
    """An op's bound call `by` a backend, its one-liner, or a bare call, whose name is in place of an op's."""

    op: str
    mode: str
    by: str
    allocation: str
    elements: int

    def bind(self) -> Run:
        """Return the call."""
        if self.by == BARE:
            return BARE_CALLS[self.op](np.full(self.elements, 0.5, DTYPE))
        spec = OPS[self.op]
        arrays = inputs.draw(self.op, default_shape(spec, self.elements), DTYPE)
        g = inputs.cotangent(output_shape(spec, arrays, spec.defaults), DTYPE)
        if self.by == ONE_LINER:
            return naive.call(naive.ONE_LINERS[self.op][self.mode], self.op, arrays, g)
        mode, allocation = cast("Mode", self.mode), cast("Allocation", self.allocation)
        cotangent = None if mode == "forward" else g
        backend = backends.load(self.by)
        return backend.bind(self.op, *arrays, mode=mode, allocation=allocation, cotangent=cotangent)


def written(calls: list[Call]) -> str:
    """Return calls as the process reads them."""
    return json.dumps([astuple(call) for call in calls])


def make(times: int, calls: list[Call]) -> None:
    """Make each call `times` and twice as often, with a mark before, between and after."""
    gc.disable()
    for call in calls:
        repeated = partial(_loop_of_its_own(), call.bind())
        repeated(_WARM_UP)
        callgrind.mark()
        repeated(times)
        callgrind.mark()
        repeated(2 * times)
        callgrind.mark()


def _loop_of_its_own() -> Callable[[Run, int], None]:
    """Return a copy of `_loop`: Python specialises its bytecode for what it calls first."""
    return FunctionType(_loop.__code__.replace(), globals())


def _loop(run: Run, times: int) -> None:
    for _ in repeat(None, times):
        run()


def _nothing() -> None:
    pass


def _compiled(x: Any) -> Run:
    import numba

    function = numba.njit(cache=True)(_of_one_array)
    function(x)
    return partial(function, x)


def _of_one_array(x: Any) -> None:
    pass


BARE_CALLS: Mapping[str, Callable[[Any], Run]] = {
    "a Python function that does nothing": lambda _: _nothing,
    "np.tanh(x)": lambda x: partial(np.tanh, x),
    "np.maximum(x, y)": lambda x: partial(np.maximum, x, x.copy()),
    "np.maximum(x, y, out=out)": lambda x: partial(np.maximum, x, x.copy(), out=x.copy()),
}
"""What any call costs at least; each of the last three is made by C, without a Python function around it."""
if importlib.util.find_spec("numba"):
    BARE_CALLS = {**BARE_CALLS, "a function of one array, compiled by Numba, that does nothing": _compiled}


if __name__ == "__main__":
    make(int(sys.argv[1]), [Call(*each) for each in json.loads(sys.argv[2])])
