"""How NumPy kernels are run: over blocks that stay in the cache, into outputs given or new.

A ufunc reads and writes whole arrays, so a formula of ten ufuncs moves a large array through memory ten times,
and each temporary costs a page fault per 4 KiB. Kernels here see one block at a time, and scratch of one block's
size that is allocated when they are bound. For a small array, calls cost more than arithmetic. Therefore

- numbers are arrays without dimensions, of the kernel's dtype: making one from a Python number takes 0.3 µs;
- kernels compute from one scratch array into the next: in place, NumPy takes twice as long for one element;
- a kernel returns the result of its last ufunc, which may allocate it: that is cheaper than `np.empty`.

A bound call keeps its scratch; a thread that finds it in use takes other (`shareable`). Large inputs that are not
contiguous are copied.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from backends.host import Bind, Function, Run, bound_by, output, reduced, sharing
from backends.numpy import ufuncs as np

BLOCK = 64 * 1024
"""Elements of a block of float32, half as many of float64: 256 KiB. Smaller ones pay for more calls (sigmoid of
10**7 float32: 1.7 ns with 8 Ki, 1.5 with 32 Ki, 1.35 with 64 Ki), larger ones leave the second-level cache
(float64: 2.8 ns with 32 or 64 Ki, 3.9 with 128 Ki)."""

SMALL = 128
"""Up to this many elements, calls cost more than arithmetic: one slow ufunc is faster than several fast ones."""

BUSY = "another thread is in this call, which writes into the same output: bind one for each thread"

Array = np.ndarray
Out = np.ndarray | None
Result = Any
"""What NumPy's ufuncs are declared to return: an array, here."""
Kernel = Callable[..., Result]
Numbers = tuple[float, ...] | Callable[..., tuple[float, ...]]
Piece = tuple[slice, tuple[Any, ...]]
"""Where a block lies, and what a kernel takes for it before `out`."""

_QUIET = contextvars.copy_context()
_QUIET.run(np.seterr, over="ignore", invalid="ignore", divide="ignore")


def quietly(function: Callable[..., Any], *arguments: Any, **parameters: Any) -> Any:
    """Call without warnings where the inputs, not the formula, overflow or make inf - inf, 0 * inf or log(0).

    The result says so by being infinite or NaN. Formulas that do not need this run without it, so that their
    warnings fail the tests. `np.errstate` takes 1.1 µs to do the same; this takes 0.1.
    """
    return _QUIET.copy().run(function, *arguments, **parameters)


def silenced(run: Run) -> Run:
    """Return a call that runs quietly, and raises RuntimeError while another thread is in it."""
    return partial(_QUIET.copy().run, run)


def elementwise(
    scratch: int = 0,
    numbers: Numbers = (),
    *,
    zeros: bool = False,
    dtype: type | None = None,
    quiet: bool = False,
    direct: Kernel | None = None,
) -> Callable[[Kernel], Function]:
    """Turn `kernel(*inputs, *scratch, *numbers, out, **parameters)`, for one block, into the op.

    `scratch` is how many arrays of the block's size the kernel needs. `numbers` are its constants, or a function
    that makes them from the op's parameters, which the kernel then does not get. Both have the input's dtype
    unless `dtype` is given. With `zeros`, an array of them comes before the numbers: `np.maximum` and `np.minimum`
    take 0.56 ns an element beside one number, and 0.2 beside an array. `out` may be the first input, so a kernel
    writes to it last of all, and returns it; it is None if a new array is wanted. A `quiet` kernel runs quietly.
    `direct` is a ufunc that does the same for a small array and makes the output: a kernel around it, and the None
    that it passes on, cost a quarter of a call.
    """

    def decorate(kernel: Kernel) -> Function:
        def bind(*inputs: np.ndarray, out: np.ndarray | None = None, **parameters: Any) -> Run:
            values, rest = _numbers(numbers, parameters, dtype or inputs[0].dtype)
            pieces = _pieces(inputs, scratch, values, dtype or inputs[0].dtype, zeros=zeros)
            if direct and out is None and 0 < inputs[0].size <= SMALL and _makes_alike(inputs):
                return partial(direct, *pieces[0][1])
            run = _over_pieces(given(kernel, rest), pieces, inputs, out, allocates=dtype is None)
            return silenced(run) if quiet else run

        return op(bind, kernel, quiet=quiet, shares=scratch > 0 or quiet)

    return decorate


def pullback(
    scratch: int = 1,
    numbers: Numbers = (),
    *,
    zeros: bool = False,
    dtype: type | None = None,
    quiet: bool = False,
) -> Callable[[Kernel], Function]:
    """Turn `kernel(*inputs, *scratch, *numbers, **parameters)`, which returns f'(x), into the vjp g·f'(x)."""

    def decorate(kernel: Kernel) -> Function:
        def times(derivative: Run, g: np.ndarray, out: np.ndarray | None) -> Result:
            # The cotangent may be infinite where the derivative is zero.
            return _QUIET.copy().run(np.multiply, derivative(), g, out)

        def times_quietly(derivative: Run, g: np.ndarray, out: np.ndarray | None) -> Result:
            return np.multiply(derivative(), g, out)

        def bind(*arrays: np.ndarray, out: np.ndarray | None = None, **parameters: Any) -> Run:
            values, rest = _numbers(numbers, parameters, dtype or arrays[0].dtype)
            pieces = _pieces(arrays, scratch, values, dtype or arrays[0].dtype, zeros=zeros)
            pulled = _pulled(given(kernel, rest), pieces)
            if quiet:
                return silenced(_over_pieces(times_quietly, pulled, arrays, out))
            return _over_pieces(times, pulled, arrays, out)

        return op(bind, kernel, quiet=quiet)

    return decorate


def loss(scratch: int = 0, numbers: Numbers = ()) -> Callable[[Kernel], Function]:
    """Turn `kernel(*inputs, *scratch, *numbers, out, **parameters)`, which computes losses, into the reduced loss.

    Sums are pairwise within a block and in float64 across blocks. Kernels run quietly.
    """

    def decorate(kernel: Kernel) -> Function:
        def bind(
            *inputs: np.ndarray | None, reduction: str, out: np.ndarray | None = None, **parameters: Any
        ) -> Run:
            first = _first(inputs)
            values, rest = _numbers(numbers, parameters, first.dtype)
            each = given(kernel, rest)
            if reduction == "none":
                pieces = _pieces(inputs, scratch, values, first.dtype)
                return silenced(_over_pieces(each, pieces, inputs, out))
            pieces = _pieces(inputs, scratch, values, first.dtype, n_outputs=1)

            def run() -> np.ndarray:
                total = 0.0
                for _, arguments in pieces:
                    total += float(np.add_up(each(*arguments), None))
                return reduced(total, first.size, first.dtype, reduction, out)

            return silenced(run)

        return op(bind, kernel)

    return decorate


def loss_pullback(scratch: int = 1, numbers: Numbers = (), *, scale: float = 1) -> Callable[[Kernel], Function]:
    """Turn `kernel(*inputs, *scratch, *numbers, **parameters)`, the derivative of each loss, into the vjp.

    The kernel leaves out a factor `scale`, a power of two or its negative, by which the cotangent is multiplied
    instead. That saves a pass, or keeps a derivative from overflowing whose product with the cotangent does not.
    Kernels run quietly.
    """

    def decorate(kernel: Kernel) -> Function:
        def times(derivative: Run, g: np.ndarray, out: np.ndarray | None) -> Result:
            return np.multiply(derivative(), g, out)

        def times_scaled(derivative: Run, g: np.ndarray, out: np.ndarray | None) -> Result:
            return np.multiply(times(derivative, g, out), scale, out)

        def bind(
            g: np.ndarray,
            *inputs: np.ndarray | None,
            reduction: str,
            out: np.ndarray | None = None,
            **parameters: Any,
        ) -> Run:
            first = _first(inputs)
            values, rest = _numbers(numbers, parameters, first.dtype)
            derivative = given(kernel, rest)
            if reduction == "none":
                pieces = _pulled(derivative, _pieces((g, *inputs), scratch, values, first.dtype))
                return silenced(_over_pieces(times if scale == 1 else times_scaled, pieces, inputs, out))
            weight, shared = np.empty((), first.dtype), sharing(g, first.size, reduction)
            pieces = _pulled(derivative, _pieces(inputs, scratch, values, first.dtype), weight)
            run_all = _over_pieces(times, pieces, inputs, out)

            def run() -> np.ndarray:
                weight[()] = shared() * scale
                return run_all()

            return silenced(run)

        return op(bind, kernel)

    return decorate


# --- shared with rows -------------------------------------------------------------------------------------------


def op(bind: Bind, kernel: Kernel, *, quiet: bool = True, shares: bool = True) -> Function:
    """Make an op with the name and the description of its kernel.

    `quiet` says that `bind` returns calls that are silenced, `shares` that they keep scratch.
    """
    function = bound_by(bind)
    function.__name__, function.__doc__ = kernel.__name__, kernel.__doc__
    if shares:
        function.bind = shareable(bind, quiet=quiet)
    return function


def shareable(bind: Bind, *, quiet: bool) -> Bind:
    """Let several threads make a bound call at once: one that finds its scratch in use computes with other.

    Only one thread at a time can be in a context, so that entering it is a lock: 30 ns a call, where
    `threading.local` takes 80 and a lock 200. A call that writes into `out` is refused instead (RuntimeError).
    """

    def bind_shareable(*arrays: np.ndarray, **options: Any) -> Run:
        run = bind(*arrays, **options)
        if not quiet:
            run = partial(contextvars.copy_context().run, run)

        def call() -> np.ndarray:
            try:
                return run()
            except RuntimeError as error:  # the context is in use; an error of the kernel's own comes again
                if options.get("out") is not None:
                    raise RuntimeError(BUSY) from error
                return bind(*arrays, **options)()

        return call

    return bind_shareable


def given(kernel: Kernel, parameters: dict[str, Any]) -> Kernel:
    """Return a kernel with its parameters; a partial without any would only cost time."""
    return partial(kernel, **parameters) if parameters else kernel


def block_size(dtype: Any) -> int:
    """Return how many elements of `dtype` a block has; in bytes, all blocks are equally long."""
    return BLOCK * 4 // int(np.dtype(dtype).itemsize)


# --- private -------------------------------------------------------------------------------------------------


def _numbers(
    numbers: Numbers, parameters: dict[str, Any], dtype: Any
) -> tuple[tuple[np.ndarray, ...], dict[str, Any]]:
    """Return a kernel's numbers as arrays, and the parameters that it still gets."""
    values, rest = (numbers(**parameters), {}) if callable(numbers) else (numbers, parameters)
    return tuple(np.array(value, dtype) for value in values), rest


def _first(inputs: Sequence[np.ndarray | None]) -> np.ndarray:
    """Return the first input, which is never optional."""
    return cast("np.ndarray", inputs[0])


def _over_pieces(
    kernel: Kernel,
    pieces: Sequence[Piece],
    arrays: Sequence[np.ndarray | None],
    out: np.ndarray | None,
    *,
    allocates: bool = True,
) -> Run:
    """Return a call of `kernel` on all blocks that fills `out`, or a new array like the first of `arrays`.

    `allocates` tells whether the kernel makes such an array itself if it gets none.
    """
    first = _first(arrays)
    if len(pieces) == 1:
        arguments = pieces[0][1]
        if out is not None or (allocates and _makes_alike(arrays)):
            return partial(kernel, *arguments, out)
        return lambda: kernel(*arguments, np.empty(first.shape, first.dtype))

    def run() -> np.ndarray:
        result = output(out, first)
        flat = result.reshape(-1, copy=False)
        for piece, arguments in pieces:
            kernel(*arguments, flat[piece])
        return result

    return run


def _pulled(derivative: Kernel, pieces: Sequence[Piece], weight: np.ndarray | None = None) -> list[Piece]:
    """Return, for each block, a call that computes its derivative, and its cotangent: an array, or the weight."""
    if weight is None:
        return [(piece, (partial(derivative, *rest), g)) for piece, (g, *rest) in pieces]
    return [(piece, (partial(derivative, *arguments), weight)) for piece, arguments in pieces]


def _makes_alike(arrays: Sequence[np.ndarray | None]) -> bool:
    """Tell whether a ufunc of these makes an array like the first: in C order, and no scalar."""
    first = _first(arrays)
    return first.ndim > 0 and all(
        a is None or (a.flags.c_contiguous and a.ndim <= first.ndim and a.dtype == first.dtype) for a in arrays
    )


def _pieces(
    arrays: Sequence[np.ndarray | None],
    scratch: int,
    values: Sequence[np.ndarray],
    dtype: Any,
    n_outputs: int = 0,
    *,
    zeros: bool = False,
) -> list[Piece]:
    """Return each block's place and arguments: its part of `arrays`, scratch, `values`, and arrays for outputs.

    None stays None. An array that broadcasts to the first one does so in the kernel, or is spread out here.
    """
    first = _first(arrays)
    if first.size == 0:
        return []
    size = block_size(dtype)
    if first.size <= size:
        spare = [np.empty(first.shape, dtype) for _ in range(scratch + n_outputs)]
        nothing = [np.zeros(first.shape, dtype)] * zeros
        return [(slice(None), (*arrays, *spare[:scratch], *nothing, *values, *spare[scratch:]))]
    flat = [_flat(a, first) for a in arrays]
    spare = [np.empty(size, dtype) for _ in range(scratch + n_outputs)]
    nothing = [np.zeros(size, dtype)] * zeros
    pieces = []
    for start in range(0, first.size, size):
        piece = slice(start, min(start + size, first.size))
        parts = [a if a is None or a.size == 1 else a[piece] for a in flat]
        short = [a[: piece.stop - start] for a in (*spare[:scratch], *nothing, *spare[scratch:])]
        before = scratch + len(nothing)
        pieces.append((piece, (*parts, *short[:before], *values, *short[before:])))
    return pieces


def _flat(array: np.ndarray | None, first: np.ndarray) -> np.ndarray | None:
    """Return a vector as long as `first`, or of one element; copies what is not contiguous."""
    if array is None or array.size in (1, first.size):
        return array if array is None else array.reshape(-1)
    return np.broadcast_to(array, first.shape).reshape(-1)
