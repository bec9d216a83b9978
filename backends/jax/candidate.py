"""JAX: a function of somebody else's over JAX arrays, which is compiled as a whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax

from backends.base import BaseBackend
from backends.candidates import Candidate, Tried, opened
from backends.interface import Allocation, Mode, OpSpec
from backends.jax import backend
from backends.jax.backend import JaxBackend


def create(candidate: Candidate, device: str, threads: int | None) -> JaxCandidate:
    """Return the function as a backend; raise BackendUnavailable where it cannot be imported or called."""
    own = backend.create("jax", device, threads)
    return JaxCandidate(candidate, device, own.threads, jax.devices(device)[0])


class JaxCandidate(Tried, JaxBackend):
    """A function of JAX arrays, jitted, and differentiated by JAX unless there is one for its gradient."""

    def __init__(self, candidate: Candidate, device: str, threads: int, jax_device: jax.Device) -> None:
        super().__init__(candidate.name, device, threads, jax_device)
        self.kernel, self._tried = opened(candidate), {}
        self._calls: dict[tuple[bool, tuple[tuple[str, Any], ...]], Callable[..., Any]] = {}

    def _called(self, parameters: Mapping[str, Any], *, pulls: bool = False) -> Callable[..., Any]:
        """Return the function of arrays, or of its gradient: the same each time, so that it is compiled once."""
        key = (pulls, tuple(parameters.items()))
        if key not in self._calls:
            self._calls[key] = self.kernel.pull(parameters) if pulls else self.kernel.call(parameters)
        return self._calls[key]

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        del op
        return _jitted(backend._jitted_forward, self._called(parameters))  # noqa: SLF001

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        del op
        if self.kernel.vjp is None:
            return _jitted(backend._jitted_vjp, self._called(parameters))  # noqa: SLF001
        return _jitted(backend._jitted_forward, self._called(parameters, pulls=True))  # noqa: SLF001

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        if not self.pulls_back:
            return BaseBackend._bind(self, spec, mode, inputs, cotangent, parameters, allocation)  # noqa: SLF001
        self._functions = {spec.name: self._called(parameters)}
        return super()._bind(spec, mode, inputs, cotangent, {}, allocation)


def _jitted(how: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    jitted: Callable[..., Any] = how(function, ())
    return jitted
