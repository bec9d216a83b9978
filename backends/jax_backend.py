"""JAX: the framework's own functions, jitted, differentiated by JAX.

JAX fixes the size of its CPU thread pool when it first computes, from the environment variable NPROC.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from backends.base import NARROW_DTYPES, BaseBackend, known_dtype
from backends.interface import Allocation, BackendUnavailable, Gap, Mode, OpSpec

PACKAGE = "jax"
EXTRA = "jax"
DEVICES = ("cpu", "cuda")
VARIANTS = ("jax",)

# Without it float64 would silently be float32.
jax.config.update("jax_enable_x64", True)  # noqa: FBT003 - JAX's own signature


def create(variant: str, device: str, threads: int | None) -> JaxBackend:
    """Open `device`; raise BackendUnavailable where JAX does not find it, ValueError for other threads."""
    pool = int(os.environ.get("NPROC", len(os.sched_getaffinity(0))))
    if device == "cpu" and threads not in (None, pool):
        raise ValueError(f"threads: JAX starts with {pool} threads here; set NPROC={threads} before it starts")
    try:
        chosen = jax.devices(device)[0]
    except RuntimeError as error:
        raise BackendUnavailable(f"{variant}: JAX finds no device {device!r}: {error}") from error
    return JaxBackend(variant, device, pool, chosen)


class JaxBackend(BaseBackend):
    """Jitted JAX functions on one device."""

    asynchronous = True  # on the CPU too: a call may return before its result is there
    gaps: ClassVar[tuple[Gap, ...]] = (
        NARROW_DTYPES,
        Gap("XLA allocates every output", "upstream", allocations=("reuse",)),
        Gap("buffer donation is not implemented yet", "todo", allocations=("inplace",)),
    )

    def __init__(self, name: str, device: str, threads: int, jax_device: jax.Device) -> None:
        super().__init__(name, device, threads)
        self._device = jax_device

    @property
    def version(self) -> str:
        """Version of JAX."""
        return str(jax.__version__)

    def asarray(self, array: Any, dtype: str | None = None) -> jax.Array:
        """Copy a host array to the device (JAX would otherwise share an aligned buffer)."""
        return jax.device_put(np.asarray(array, known_dtype(dtype)), self._device, may_alias=False)

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
        """Return a callable that copies `n_bytes` within the device's memory."""
        if self.device == "cpu":
            return None
        source = self.asarray(np.ones(n_bytes // 4, np.float32))
        return partial(jax.jit(jnp.copy), source)

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        jitted: Callable[..., Any] = _jitted_forward(op, tuple(parameters.items()))
        return jitted

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        jitted: Callable[..., Any] = _jitted_vjp(op, tuple(parameters.items()))
        return jitted

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
        items = tuple(parameters.items())
        if mode == "forward":
            return partial(_jitted_forward(spec.name, items), *inputs)
        if mode == "backward":
            # The forward pass runs here, once; what is left to time is the vjp alone, from its residuals.
            pull = _jitted_residuals(spec.name, items)(*inputs)
            return partial(_pull, pull, cotangent)
        return partial(_jitted_both(spec.name, items), cotangent, *inputs)


def _split(op: str, items: tuple[tuple[str, Any], ...], rest: Sequence[Any]) -> Callable[[Any], Any]:
    """Return the op as a function of its first input alone."""
    function = globals()[op]
    return lambda first: function(first, *rest, **dict(items))


@cache
def _jitted_forward(op: str, items: tuple[tuple[str, Any], ...]) -> Any:
    return jax.jit(partial(globals()[op], **dict(items)))


@cache
def _jitted_vjp(op: str, items: tuple[tuple[str, Any], ...]) -> Any:
    def gradient(g: Any, first: Any, *rest: Any) -> Any:
        return jax.vjp(_split(op, items, rest), first)[1](g)[0]

    return jax.jit(gradient)


@cache
def _jitted_residuals(op: str, items: tuple[tuple[str, Any], ...]) -> Any:
    def residuals(first: Any, *rest: Any) -> Any:
        return jax.vjp(_split(op, items, rest), first)[1]

    return jax.jit(residuals)


@cache
def _jitted_both(op: str, items: tuple[tuple[str, Any], ...]) -> Any:
    def both(g: Any, first: Any, *rest: Any) -> Any:
        output, pull = jax.vjp(_split(op, items, rest), first)
        return output, pull(g)[0]

    return jax.jit(both)


@jax.jit
def _pull(pull: Any, g: Any) -> Any:
    return pull(g)[0]


# --- activations ----------------------------------------------------------------------------------------------


def step(x: Any) -> Any:
    """JAX has no step that keeps NaN: `jnp.heaviside` of NaN is the value at zero."""
    return jnp.where(jnp.isnan(x), x, (x > 0).astype(x.dtype))


def sigmoid(x: Any) -> Any:
    """`jax.nn.sigmoid`."""
    return jax.nn.sigmoid(x)


def tanh(x: Any) -> Any:
    """`jnp.tanh`."""
    return jnp.tanh(x)


def relu(x: Any) -> Any:
    """`jax.nn.relu`."""
    return jax.nn.relu(x)


def leaky_relu(x: Any, *, negative_slope: float) -> Any:
    """`jax.nn.leaky_relu`."""
    return jax.nn.leaky_relu(x, negative_slope)


def gelu(x: Any, *, approximate: str) -> Any:
    """`jax.nn.gelu`."""
    return jax.nn.gelu(x, approximate=approximate == "tanh")


def silu(x: Any) -> Any:
    """`jax.nn.silu`."""
    return jax.nn.silu(x)


def softplus(x: Any) -> Any:
    """`jax.nn.softplus`."""
    return jax.nn.softplus(x)


def softmax(x: Any, *, axis: int) -> Any:
    """`jax.nn.softmax`."""
    return jax.nn.softmax(x, axis=axis)


def log_softmax(x: Any, *, axis: int) -> Any:
    """`jax.nn.log_softmax`."""
    return jax.nn.log_softmax(x, axis=axis)


# --- losses ---------------------------------------------------------------------------------------------------


def _reduce(losses: Any, reduction: str) -> Any:
    return {"mean": jnp.mean, "sum": jnp.sum, "none": lambda a: a}[reduction](losses)


def mean_squared_error(prediction: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `jnp`: JAX itself has no losses."""
    return _reduce(jnp.square(prediction - target), reduction)


def mean_absolute_error(prediction: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `jnp`."""
    return _reduce(jnp.abs(prediction - target), reduction)


def binary_cross_entropy_with_logits(logits: Any, target: Any, *, reduction: str) -> Any:
    """Composed from `jax.nn.log_sigmoid`."""
    losses = -target * jax.nn.log_sigmoid(logits) - (1 - target) * jax.nn.log_sigmoid(-logits)
    return _reduce(losses, reduction)


def categorical_cross_entropy(prediction: Any, target: Any, *, reduction: str, axis: int, eps: float) -> Any:
    """Composed from `jnp.log`."""
    return _reduce(-jnp.sum(target * jnp.log(prediction + eps), axis=axis), reduction)


def softmax_cross_entropy(logits: Any, target: Any, *, reduction: str, axis: int) -> Any:
    """Composed from `jax.nn.log_softmax`."""
    return _reduce(-jnp.sum(target * jax.nn.log_softmax(logits, axis=axis), axis=axis), reduction)


def softmax_cross_entropy_with_integer_labels(logits: Any, labels: Any, *, reduction: str, axis: int) -> Any:
    """Composed from `jax.nn.logsumexp`."""
    chosen = jnp.take_along_axis(logits, jnp.expand_dims(labels, axis), axis=axis).squeeze(axis)
    return _reduce(jax.nn.logsumexp(logits, axis=axis) - chosen, reduction)
