"""Shared by libraries of functions of tensors on a GPU, which are measured for comparison.

Their gradients are their own, found by autograd. What overwrites the inputs of its forward, as some do to save
memory, gets copies of them for each call; that copy is then part of the time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

import backends
from backends.base import BaseBackend
from backends.interface import Allocation, Gap, Mode, OpSpec

ASKED = (
    *(
        "synchronize",
        "copier",
        "reader",
        "transfer_seconds",
        "free_bytes",
        "release_memory",
        "device_name",
        "settings",
    ),
    *("cache_bytes", "device_seconds", "captured", "peak_bytes", "pullback"),
)
"""What PyTorch's own backend answers for a library of functions of its tensors."""


class TorchPeer(BaseBackend):
    """A library's functions of tensors on one device; gradients of `overwriting` ops come over their inputs."""

    binds_values = True
    _functions: Mapping[str, Callable[..., Any]]

    def __init__(
        self,
        name: str,
        device: str,
        functions: Mapping[str, Callable[..., Any]],
        library: str,
        version: str,
        *,
        gaps: Collection[Gap] = (),
        overwriting: Collection[str] = (),
    ) -> None:
        alone = "its backward overwrites what the forward has saved, and so can be repeated with that alone"
        self.gaps = (
            Gap(f"{library} allocates every output", "upstream", allocations=("reuse", "inplace")),
            *((Gap(alone, "upstream", ops=tuple(overwriting), modes=("backward",)),) if overwriting else ()),
            *gaps,
        )
        self._tensors: Any = backends.load("torch", device)
        super().__init__(name, device, self._tensors.threads)
        self._functions, self._library, self._version = functions, library, version
        self._overwriting = frozenset(overwriting)
        self.asynchronous = self._tensors.asynchronous
        for question in ASKED:
            setattr(self, question, getattr(self._tensors, question))

    @property
    def version(self) -> str:
        """Version of the library."""
        return self._version

    def asarray(self, array: Any, dtype: str | None = None) -> torch.Tensor:
        """Copy a host array to the device."""
        tensor: torch.Tensor = self._tensors.asarray(array, dtype)
        return tensor

    def to_numpy(self, array: torch.Tensor) -> np.ndarray:
        """Copy a tensor to the host."""
        copied: np.ndarray = self._tensors.to_numpy(array)
        return copied

    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is a `torch.Tensor`."""
        return isinstance(array, torch.Tensor)

    def _absent(self, op: str) -> Gap:
        return Gap(f"{self._library} has no {op}", "upstream", ops=(op,))

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(self._functions[op], **parameters)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        both = self._both(op, parameters)
        return lambda g, *inputs: both(g, *inputs)[1]

    def _both(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        """Return `f(g, *inputs)`, which returns the output and the gradient."""
        function = self._forward(op, parameters)
        copies = op in self._overwriting

        def call(g: Any, *inputs: Any) -> tuple[Any, Any]:
            first, *rest = _copied(inputs) if copies else inputs
            leaf = first.detach().requires_grad_()
            output = function(leaf, *rest)
            (gradient,) = torch.autograd.grad(output, leaf, g)
            return output.detach(), gradient

        return call

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        del allocation  # fresh: see `gaps`
        if mode == "forward":
            return partial(self._forward(spec.name, parameters), *_copied(inputs))
        if mode == "forward+backward":
            return partial(self._both(spec.name, parameters), cotangent, *_copied(inputs))
        first, *rest = _copied(inputs)
        first.requires_grad_()
        output = self._forward(spec.name, parameters)(first, *rest)
        return lambda: torch.autograd.grad(output, first, cotangent, retain_graph=True)[0]


def _copied(inputs: Sequence[Any]) -> list[Any]:
    return [a if a is None else a.detach().clone(memory_format=torch.contiguous_format) for a in inputs]


def as_rows(x: torch.Tensor, axis: int) -> torch.Tensor:
    """Return a matrix with classes along its rows: a view where they lie so."""
    moved = x.movedim(axis, -1)
    return moved.reshape(-1, moved.shape[-1])


def back(rows: torch.Tensor, like: torch.Tensor, axis: int) -> torch.Tensor:
    """Return rows in the shape of `like`, the tensor that they are of."""
    return rows.reshape(like.movedim(axis, -1).shape).movedim(-1, axis)
