"""The process in which one backend computes: it prepares, checks and times on command.

`python -m benchmarks.worker FD BACKEND DEVICE THREADS` serves requests, pickled pairs (method, arguments), from
the socket with that file descriptor. It imports one framework and reads no test; all judgement lies with the
process that asks.
"""

from __future__ import annotations

import gc
import statistics
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from math import prod
from multiprocessing.connection import Connection
from time import perf_counter
from typing import Any

import numpy as np

import backends
from backends.base import output_shape
from backends.catalogue import OPS
from backends.interface import Allocation, Gap, Mode
from benchmarks import inputs
from benchmarks.cases import Case

Array = np.ndarray[Any, np.dtype[Any]]


class Worker:
    """One backend on one device, and at most one prepared case."""

    def __init__(self, backend: str, device: str, threads: int) -> None:
        self._backend = backends.load(backend, device, threads=threads)
        self._run: Callable[[], Any] | None = None
        self._result: Any = None
        self._fresh = True
        # The frameworks' many objects live as long as the process: let no collection look at them again.
        gc.collect()
        gc.freeze()

    def describe(self) -> dict[str, Any]:
        """Return the backend's version and thread count."""
        return {"backend_version": self._backend.version, "threads": self._backend.threads}

    def supports(self, op: str, dtype: str, mode: Mode, allocation: Allocation) -> str | None:
        """Return None, or the reason of the gap in the way."""
        answer = self._backend.supports(op, dtype=dtype, mode=mode, allocation=allocation)
        return str(answer) if isinstance(answer, Gap) else None

    def promised_ulp(self, op: str, mode: Mode, dtype: str) -> float:
        """Return the largest error that the backend promises, in ULP."""
        return self._backend.promised_ulp(op, mode=mode, dtype=dtype)

    def evaluate(
        self,
        op: str,
        mode: str,
        arrays: Sequence[Array],
        cotangent: Array | None,
        parameters: Mapping[str, Any],
        strided: bool = False,  # noqa: FBT001, FBT002 - requests are positional
    ) -> Array:
        """Return the host result of one call on host arrays: `forward`, `backward` or `derivative`.

        `strided` makes the native inputs views of every other entry of an array twice as long.
        """
        native = [None if array is None else self._to_device(array, strided) for array in arrays]
        if mode == "forward":
            result = getattr(self._backend, op)(*native, **parameters)
        elif mode == "backward":
            result = self._backend.vjp(op)(self._backend.asarray(cotangent), *native, **parameters)
        else:
            result = self._backend.derivative(op)(*native, **parameters)
        return np.asarray(self._backend.to_numpy(result))

    def prepare(self, case: Case) -> dict[str, Any]:
        """Draw and transfer the inputs, bind the op, and say what that took and how many bytes a call moves.

        `first_call_s` is the time from native inputs to the first result: binding, compiling, running.
        """
        self.release()
        b, spec = self._backend, OPS[case.op]
        host = inputs.draw(case.op, case.shape, case.dtype)
        started = perf_counter()
        native = [None if array is None else b.asarray(array) for array in host]
        b.synchronize([array for array in native if array is not None])
        transferred = perf_counter()
        shape = output_shape(spec, native, spec.defaults)
        cotangent = b.asarray(inputs.cotangent(shape, case.dtype)) if case.mode != "forward" else None
        self._fresh = case.allocation == "fresh"
        bound = perf_counter()
        self._run = b.bind(
            case.op,
            *native,
            mode=case.mode,
            allocation=case.allocation,
            cotangent=cotangent,
        )
        return {
            "first_call_s": perf_counter() - bound,
            "host_to_device_s": transferred - started if case.device != "cpu" else None,
            "bytes_moved": bytes_moved(case, host, shape),
        }

    def result(self, index: Sequence[Any]) -> list[Array]:
        """Call the prepared op twice more and return the second's outputs at `index` (one index an output).

        Raises RuntimeError if a call that should write a fresh output returns the one before, or if any output, at
        `index` or not, is not finite: inputs for timing have finite results.
        """
        run = self._prepared()
        before, result = run(), run()
        if self._fresh and any(new is old for new, old in zip(_outputs(result), _outputs(before), strict=True)):
            raise RuntimeError("the output is that of the call before, where each call should write a fresh one")
        return self._finite(result, index)

    def last_result(self, index: Sequence[Any]) -> list[Array]:
        """Return the outputs of the last timed call at `index`."""
        return self._finite(self._result, index)

    def rounds(self, iterations: int, n_rounds: int) -> list[float]:
        """Time rounds of the prepared op, each of `iterations` calls, in seconds per round.

        A short burst that is not counted comes first: thread pools that have slept are slow to wake.
        """
        self._time(iterations)
        return [self._time(iterations) for _ in range(n_rounds)]

    def release(self) -> None:
        """Let go of the prepared case and its memory."""
        self._run = self._result = None
        gc.collect()

    def copy_seconds(self, ladder: Sequence[int]) -> list[float]:
        """Return the median time of a copy within the device's memory, for each number of bytes moved."""
        return [self._copy_seconds(n_bytes) for n_bytes in ladder]

    def _to_device(self, array: Array, strided: bool) -> Any:  # noqa: FBT001
        if not strided:
            return self._backend.asarray(array)
        return self._backend.asarray(np.repeat(array, 2, axis=-1))[..., ::2]

    def _time(self, iterations: int) -> float:
        run, synchronize = self._prepared(), self._backend.synchronize
        result = None
        gc_was_enabled = gc.isenabled()
        gc.disable()
        try:
            if self._backend.asynchronous:
                started = perf_counter()
                for _ in repeat(None, iterations):
                    result = run()
                    synchronize(result)
                seconds = perf_counter() - started
            else:
                started = perf_counter()
                for _ in repeat(None, iterations):
                    result = run()
                seconds = perf_counter() - started
        finally:
            if gc_was_enabled:
                gc.enable()
        self._result = result
        return seconds

    def _copy_seconds(self, n_bytes: int) -> float:
        self._run = self._backend.copier(n_bytes // 2)
        # As many calls as take some 10 ms: on a device, small copies cost a launch and a synchronisation each.
        self._time(10)
        iterations = max(1, round(0.1 / max(self._time(10), 1e-6)))
        seconds = statistics.median(self._time(iterations) for _ in range(7)) / iterations
        self.release()
        return seconds

    def _prepared(self) -> Callable[[], Any]:
        if self._run is None:
            raise RuntimeError("no case is prepared")
        return self._run

    def _finite(self, result: Any, index: Sequence[Any]) -> list[Array]:
        self._backend.synchronize(result)
        outputs = [np.asarray(self._backend.to_numpy(output)) for output in _outputs(result)]
        for output in outputs:
            if n_bad := output.size - int(np.isfinite(output).sum()):
                raise RuntimeError(f"{n_bad} of {output.size} outputs are not finite")
        return [output[i] for output, i in zip(outputs, index, strict=True)]


def _outputs(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def bytes_moved(case: Case, host: Sequence[Array], shape: Sequence[int]) -> int:
    """Return the bytes that one call must move: each input read once, each output (of `shape`) written once."""
    item = np.dtype(case.dtype).itemsize
    inputs_read = sum(array.nbytes for array in host if array is not None)
    output = prod(shape) * item
    # The backward pass reads a cotangent like the output and writes a gradient like the first input.
    backward = output + host[0].nbytes
    return (
        inputs_read + {"forward": output, "backward": backward, "forward+backward": output + backward}[case.mode]
    )


def answer(worker: Worker, method: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    """Carry out one request; return ("ok", result) or ("error", (type, message, traceback))."""
    try:
        return "ok", getattr(worker, method)(*arguments)
    except Exception as error:
        return "error", (type(error).__name__, str(error), traceback.format_exc())


def serve(connection: Connection, backend: str, device: str, threads: int) -> None:
    """Answer requests until the connection closes."""
    try:
        worker = Worker(backend, device, threads)
    except Exception as error:
        connection.send(("error", (type(error).__name__, str(error), traceback.format_exc())))
        return
    connection.send(("ok", worker.describe()))
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        connection.send(answer(worker, method, arguments))


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])), sys.argv[2], sys.argv[3], int(sys.argv[4]))
