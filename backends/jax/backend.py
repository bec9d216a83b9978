"""JAX: the framework's own functions, differentiated by JAX.

`jax` compiles each op as a whole; `jax-eager` makes the calls that a user without `jax.jit` would make.

JAX fixes the size of its CPU thread pool when it first computes, from the environment variable NPROC.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from backends.base import BaseBackend, host_array, merged, restorable
from backends.interface import Allocation, BackendUnavailable, Gap, InPlace, Mode, OpSpec, index_of, kind_of
from backends.jax import activations, class_losses, clock, driver, gated, likelihoods, losses, piecewise, rows
from backends.jax.precision import widening
from backends.threads import xla_threads

PACKAGE = "jax"
EXTRA = "jax"
DEVICES = ("cpu", "cuda")
VARIANTS = ("jax",)
ON_REQUEST = ("jax-eager",)

_PLAIN = merged(piecewise.OPS, activations.OPS, gated.OPS, rows.OPS, losses.OPS, likelihoods.OPS, class_losses.OPS)
_SUMMING = {"sparsemax", *class_losses.OPS, "binary_focal_cross_entropy"}
"""Ops that we compose of sums along rows; and one of powers, which leave the range of float16 too."""

FUNCTIONS = {name: widening(function, sums=name in _SUMMING) for name, function in _PLAIN.items()}
"""All ops by name."""

_Items = tuple[tuple[str, Any], ...]  # parameters, in a form that can be hashed

# Without it float64 would silently be float32.
jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - JAX's own signature


def create(variant: str, device: str, threads: int | None) -> JaxBackend:
    """Open `device`; raise BackendUnavailable where JAX does not find it, ValueError for other threads."""
    pool = xla_threads(threads if device == "cpu" else None)
    try:
        chosen = _found(device)
        if device != "cpu":  # its context takes seconds, and belongs to no case
            jax.device_put(0.0, chosen).block_until_ready()
    except RuntimeError as error:
        raise BackendUnavailable(f"{variant}: JAX finds no device {device!r}: {error}") from error
    backend = EagerJaxBackend if variant == "jax-eager" else JaxBackend
    return backend(variant, device, pool, chosen)


def _found(device: str) -> jax.Device:
    """Return a device; raise RuntimeError where JAX has none of its kind, or not so many."""
    every = jax.devices(kind_of(device))
    if index_of(device) >= len(every):
        raise RuntimeError(f"the last of {len(every)} is {kind_of(device)}:{len(every) - 1}")
    return every[index_of(device)]


class JaxBackend(BaseBackend):
    """Jitted JAX functions on one device."""

    asynchronous = True  # on the CPU too: a call may return before its result is there
    binds_values = True
    gaps: tuple[Gap, ...] = (Gap("XLA allocates every output", "upstream", allocations=("reuse",)),)
    # When, its flags xla_gpu_enable_command_buffer and xla_gpu_graph_min_graph_size say.
    no_graphs = Gap("XLA makes graphs (command buffers) itself, and updates them for new outputs", "upstream")

    _functions = FUNCTIONS

    def __init__(self, name: str, device: str, threads: int, jax_device: jax.Device) -> None:
        super().__init__(name, device, threads)
        self._device = jax_device

    @property
    def version(self) -> str:
        """Version of JAX."""
        return str(jax.__version__)

    def settings(self) -> str:
        """Return whether JAX computes in 64 bits, and how precisely it multiplies matrices."""
        return f"x64={jax.config.jax_enable_x64}, matmul_precision={jax.config.jax_default_matmul_precision}"

    def asarray(self, array: Any, dtype: str | None = None) -> jax.Array:
        """Copy a host array to the device."""
        # From a copy of our own: JAX reads the host's array later, or shares it, whatever `may_alias` says.
        return jax.device_put(host_array(array, dtype), self._device)

    def to_numpy(self, array: jax.Array) -> np.ndarray:
        """Copy an array to the host."""
        return np.array(array)

    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is a `jax.Array`."""
        return isinstance(array, jax.Array)

    def synchronize(self, result: Any = None) -> None:
        """Wait for `result`, or, since JAX has no device-wide barrier, for every live array."""
        if isinstance(result, jax.Array):
            result.block_until_ready()  # a third of the cost of looking through a tree
        else:
            jax.block_until_ready(jax.live_arrays() if result is None else result)

    def copier(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that copies `n_bytes` within the device's memory, negated: a kernel's copy."""
        if self.device == "cpu":
            return None
        # Made there: the host may have less memory.
        source = jnp.ones(n_bytes // 4, jnp.float32, device=self._device)
        return partial(jax.jit(jnp.negative), source)

    def reader(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that reads `n_bytes` of the device's memory, to sum them up; None on the host."""
        if self.device == "cpu":
            return None
        return partial(jax.jit(jnp.sum), jnp.ones(n_bytes // 4, jnp.float32, device=self._device))

    def transfer_seconds(self, n_bytes: int, *, pinned: bool) -> tuple[float, float] | None:
        """Return the seconds that `n_bytes` of the host's memory take to the device, and back; None on the host.

        `pinned` memory is JAX's memory kind `pinned_host`; None where the device has no such memory.
        """
        if self.device == "cpu":
            return None
        host: Any = np.ones(max(1, n_bytes), np.uint8)
        if not pinned:
            there, to_s = _timed(lambda: jax.device_put(host, self._device))
            return to_s, _timed(lambda: np.asarray(there))[1]
        with suppress(ValueError, RuntimeError):
            memories = [jax.sharding.SingleDeviceSharding(self._device, memory_kind=kind) for kind in _MEMORIES]
            here = jax.device_put(host, memories[0]).block_until_ready()
            there, to_s = _timed(lambda: jax.device_put(here, memories[1]))
            return to_s, _timed(lambda: jax.device_put(there, memories[0]))[1]
        return None

    def free_bytes(self) -> int | None:
        """Return how much of the device's memory JAX may still take, by its own limit; None if unknown."""
        found = self._device.memory_stats() or {}
        limit, used = found.get("bytes_limit"), found.get("bytes_in_use", 0)
        return None if limit is None else int(limit) - int(used)

    def cache_bytes(self) -> int | None:
        """Return the size of the device's second-level cache, as the driver says; None on the host."""
        return None if self.device == "cpu" else driver.cache_bytes(index=index_of(self.device))

    def device_seconds(self, run: Callable[[], Any], iterations: int) -> float | None:
        """Return seconds per call of calls that follow each other without a gap; None on the host."""
        if self.device == "cpu":
            return None
        square = jnp.ones((SQUARE, SQUARE), jnp.float32, device=self._device)
        return clock.seconds_per_call(run, iterations, partial(_product, square), jax.block_until_ready, _is_ready)

    def device_name(self) -> str | None:
        """Return the device's model, or None on the host."""
        return None if self.device == "cpu" else str(self._device.device_kind)

    def peak_bytes(self, run: Callable[[], Any]) -> int | None:
        """Return how much more device memory a call takes at its peak; None on the host or if JAX cannot tell.

        What XLA has planned for a compiled call: its outputs and temporaries. JAX counts the peak of the whole
        process, which it cannot reset: a call that stays below an earlier one leaves no trace in that.
        """
        if self.device == "cpu":
            return None
        return _planned_bytes(run)

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        jitted: Callable[..., Any] = _jitted_forward(self._functions[op], tuple(parameters.items()))
        return jitted

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        jitted: Callable[..., Any] = _jitted_vjp(self._functions[op], tuple(parameters.items()))
        return jitted

    def pullback(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return JAX's gradient of any function of arrays, with respect to the first."""
        return partial(_gradient, function, ())

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        del allocation
        function, items = self._functions[spec.name], tuple(parameters.items())
        if mode == "forward":
            return partial(_jitted_forward(function, items), *inputs)
        if mode == "backward":
            # The forward pass runs here, once. Only the vjp is left to time, from its residuals.
            pull = _jitted_residuals(function, items)(*inputs)
            return partial(_pull, pull, cotangent)
        return partial(_jitted_both(function, items), cotangent, *inputs)

    def _bind_inplace(self, spec: OpSpec, inputs: Sequence[Any], parameters: dict[str, Any]) -> InPlace:
        donating = _jitted_donating(self._functions[spec.name], tuple(parameters.items()))
        pristine, rest = jnp.copy(inputs[0]), inputs[1:]
        x = jnp.copy(pristine)  # XLA's own: it reuses no buffer that it shares with NumPy

        def run() -> Any:
            nonlocal x
            x = donating(x, *rest)
            return x

        def restore() -> None:
            nonlocal x
            x = jnp.copy(pristine).block_until_ready()

        return restorable(run, restore)


class EagerJaxBackend(JaxBackend):
    """The same functions without `jax.jit` around them: primitive by primitive, unless JAX compiles one itself."""

    gaps = (Gap("donating an input takes jax.jit", "never", allocations=("inplace",)), *JaxBackend.gaps)

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(self._functions[op], **parameters)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(_gradient, self._functions[op], tuple(parameters.items()))

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        del allocation
        function, items = self._functions[spec.name], tuple(parameters.items())
        if mode == "forward":
            return partial(function, *inputs, **parameters)
        if mode == "backward":
            pull = _residuals(function, items, *inputs)
            return lambda: pull(cotangent)[0]
        return partial(_both, function, items, cotangent, *inputs)


SQUARE = 8192
"""The product of two such matrices is 1.1e12 operations: 2 to 4 ms of an H200's matrix units, longer on others."""
_MEMORIES = ("pinned_host", "device")
"""JAX's names of the host's memory that a device reads by itself, and of the device's."""


def _timed(start: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a transfer brings, and the seconds until it is there."""
    started = perf_counter()
    found = jax.block_until_ready(start())
    return found, perf_counter() - started


def _is_ready(result: Any) -> bool:
    return all(leaf.is_ready() for leaf in jax.tree.leaves(result))


@jax.jit
def _product(square: Any) -> Any:
    return square @ square


def _planned_bytes(run: Callable[[], Any]) -> int | None:
    """Return the bytes of outputs and temporaries of a compiled call; None of one that is not compiled."""
    if not isinstance(run, partial) or not hasattr(run.func, "lower"):
        return None
    found = run.func.lower(*run.args, **run.keywords).compile().memory_analysis()
    return None if found is None else int(found.output_size_in_bytes) + int(found.temp_size_in_bytes)


def _split(function: Callable[..., Any], items: _Items, rest: Sequence[Any]) -> Callable[[Any], Any]:
    """Return the op as a function of its first input alone."""
    return lambda first: function(first, *rest, **dict(items))


@cache
def _jitted_forward(function: Callable[..., Any], items: _Items) -> Any:
    return jax.jit(partial(function, **dict(items)))


@cache
def _jitted_donating(function: Callable[..., Any], items: _Items) -> Any:
    return jax.jit(partial(function, **dict(items)), donate_argnums=0)


@cache
def _jitted_vjp(function: Callable[..., Any], items: _Items) -> Any:
    return jax.jit(partial(_gradient, function, items))


@cache
def _jitted_residuals(function: Callable[..., Any], items: _Items) -> Any:
    return jax.jit(partial(_residuals, function, items))


@cache
def _jitted_both(function: Callable[..., Any], items: _Items) -> Any:
    return jax.jit(partial(_both, function, items))


def _gradient(function: Callable[..., Any], items: _Items, g: Any, first: Any, *rest: Any) -> Any:
    return _residuals(function, items, first, *rest)(g)[0]


def _residuals(function: Callable[..., Any], items: _Items, first: Any, *rest: Any) -> Any:
    return jax.vjp(_split(function, items, rest), first)[1]


def _both(function: Callable[..., Any], items: _Items, g: Any, first: Any, *rest: Any) -> Any:
    output, pull = jax.vjp(_split(function, items, rest), first)
    return output, pull(g)[0]


@jax.jit
def _pull(pull: Any, g: Any) -> Any:
    return pull(g)[0]
