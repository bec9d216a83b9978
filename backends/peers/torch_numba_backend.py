"""Our Numba kernels on PyTorch's tensors, differentiated by autograd: a bridge without copies.

A tensor on the CPU and a NumPy array can be two views of the same memory, so a call takes the kernels' time and a
few microseconds more. The kernels are those of `numba-parallel`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

import backends
from backends.base import BaseBackend
from backends.interface import Allocation, BackendUnavailable, Gap, Mode, NotSupported, OpSpec

PACKAGE = "torch"
EXTRA = "all"
DEVICES = ("cpu",)
VARIANTS = ()
ON_REQUEST = ("torch-numba",)
KERNELS = "numba-parallel"
"""The backend whose kernels compute."""

FIRST_ALONE = Gap("kernels have the gradient with respect to the first input alone", "todo", modes=("backward",))


def create(variant: str, device: str, threads: int | None) -> BridgeBackend:
    """Return the backend; raise BackendUnavailable without Numba, ValueError for more threads than it has."""
    del device
    try:
        kernels: Any = backends.load(KERNELS, threads=threads)
    except BackendUnavailable as error:
        raise BackendUnavailable(f"{variant}: {error}") from error
    return BridgeBackend(variant, backends.load("torch"), kernels)


class BridgeBackend(BaseBackend):
    """Kernels over NumPy arrays as functions of tensors on the CPU, whose gradients autograd finds."""

    gaps = (Gap("a call makes a new tensor", "todo", allocations=("reuse", "inplace")),)

    def __init__(self, name: str, tensors: Any, kernels: BaseBackend) -> None:
        super().__init__(name, "cpu", kernels.threads)
        self._tensors, self._kernels = tensors, kernels

    @property
    def version(self) -> str:
        """Versions of PyTorch and Numba."""
        return f"{self._tensors.version}, numba {self._kernels.version}"

    def asarray(self, array: Any, dtype: str | None = None) -> torch.Tensor:
        """Copy a host array."""
        tensor: torch.Tensor = self._tensors.asarray(array, dtype)
        return tensor

    def to_numpy(self, array: torch.Tensor) -> np.ndarray:
        """Copy a tensor."""
        copied: np.ndarray = self._tensors.to_numpy(array)
        return copied

    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is a tensor on the CPU, stored element by element."""
        return isinstance(array, torch.Tensor) and array.device.type == "cpu" and array.layout is torch.strided

    def implements(self, op: str) -> bool:
        """Tell whether there are kernels for the op and its vjp."""
        return self._kernels.implements(op)

    def promised_ulp(self, op: str, *, mode: Mode, dtype: str) -> float:
        """Return the largest error, in ULP, that the kernels promise."""
        return self._kernels.promised_ulp(op, mode=mode, dtype=dtype)

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        # Past the kernels' own public methods, which would validate the call a second time.
        forward = self._kernels._forward(op, parameters)  # noqa: SLF001
        pull = self._kernels._vjp(op, parameters)  # noqa: SLF001

        def call(*inputs: torch.Tensor | None) -> torch.Tensor:
            if not torch.is_grad_enabled() or not any(a is not None and a.requires_grad for a in inputs):
                return tensor_of(forward(*map(array_of, inputs)))
            if any(a is not None and a.requires_grad for a in inputs[1:]):
                raise NotSupported(FIRST_ALONE, f"{op}: requires_grad of another input than the first")
            result: torch.Tensor = _Differentiated.apply(forward, pull, *inputs)
            return result

        return call

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        pull = self._kernels._vjp(op, parameters)  # noqa: SLF001

        def call(*arrays: torch.Tensor | None) -> torch.Tensor:
            return tensor_of(pull(*map(array_of, arrays)))

        return call

    def pullback(self, function: Callable[..., Any]) -> Callable[..., Any] | None:
        """Return autograd's gradient of any function of tensors."""
        found: Callable[..., Any] | None = self._tensors.pullback(function)
        return found

    def _bind(
        self,
        spec: OpSpec,
        mode: Mode,
        inputs: Sequence[Any],
        cotangent: Any,
        parameters: dict[str, Any],
        allocation: Allocation,
    ) -> Callable[[], Any]:
        if mode != "forward+backward":
            return super()._bind(spec, mode, inputs, cotangent, parameters, allocation)
        # Through autograd, as in training: what that costs is part of the bridge.
        return partial(_forward_and_pull, self._forward(spec.name, parameters), cotangent, *inputs)


class _Differentiated(torch.autograd.Function):
    """A kernel, and its vjp as its gradient."""

    @staticmethod
    def forward(
        ctx: Any, forward: Callable[..., Any], pull: Callable[..., Any], *inputs: torch.Tensor | None
    ) -> torch.Tensor:
        ctx.pull = pull
        ctx.save_for_backward(*inputs)
        return tensor_of(forward(*map(array_of, inputs)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        inputs = ctx.saved_tensors
        gradient = tensor_of(ctx.pull(array_of(g), *map(array_of, inputs)))
        return None, None, gradient, *[None] * (len(inputs) - 1)


def array_of(tensor: torch.Tensor | None) -> np.ndarray | None:
    """Return a tensor's memory as an array; None for None. What NumPy has no type for is seen through its bits."""
    if tensor is None:
        return None
    if tensor.dtype is not torch.bfloat16:
        array: np.ndarray = tensor.detach().numpy()
        return array
    bits: np.ndarray = tensor.detach().view(torch.int16).numpy()
    return bits.view("bfloat16")


def tensor_of(array: np.ndarray) -> torch.Tensor:
    """Return an array's memory as a tensor."""
    if array.dtype == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _forward_and_pull(
    forward: Callable[..., Any], g: torch.Tensor, first: torch.Tensor, *rest: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = first.detach().requires_grad_()
    output = forward(leaf, *rest)
    (gradient,) = torch.autograd.grad(output, leaf, g)
    return output.detach(), gradient
