"""PyTorch: a function of somebody else's over tensors, such as one that starts a kernel of Triton."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from backends.base import BaseBackend
from backends.candidates import Candidate, Tried, opened
from backends.interface import Allocation, Mode, OpSpec
from backends.torch import backend
from backends.torch.backend import TorchBackend


def create(candidate: Candidate, device: str, threads: int | None) -> TorchCandidate:
    """Return the function as a backend; raise BackendUnavailable where it cannot be imported or called."""
    backend.create("torch", device, threads)  # opens the device, and sizes the pool
    return TorchCandidate(candidate, device)


class TorchCandidate(Tried, TorchBackend):
    """A function of tensors, differentiated by autograd unless there is one for its gradient."""

    def __init__(self, candidate: Candidate, device: str) -> None:
        super().__init__(candidate.name, device, torch.get_num_threads())
        self.kernel, self._tried = opened(candidate), {}

    def _forward(
        self, op: str, parameters: dict[str, Any], dtype: torch.dtype | None = None
    ) -> Callable[..., Any]:
        del op, dtype
        return self.kernel.call(parameters)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return super()._vjp(op, parameters) if self.kernel.vjp is None else self.kernel.pull(parameters)

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
        return super()._bind(spec, mode, inputs, cotangent, parameters, allocation)
