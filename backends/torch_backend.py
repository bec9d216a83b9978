"""PyTorch: the framework's own functions, eager, differentiated by autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from backends import torch_activations, torch_losses
from backends.base import BaseBackend, known_dtype
from backends.interface import Allocation, BackendUnavailable, Gap, Mode, OpSpec

PACKAGE = "torch"
EXTRA = "torch"
DEVICES = ("cpu", "cuda")
VARIANTS = ("torch",)


def create(variant: str, device: str, threads: int | None) -> TorchBackend:
    """Open `device` and size PyTorch's thread pool; raise BackendUnavailable where there is no such device."""
    if device == "cuda" and not torch.cuda.is_available():
        built = torch.version.cuda or "a CPU-only build"
        raise BackendUnavailable(f"{variant}: PyTorch finds no CUDA device (built for {built})")
    if threads is not None:
        torch.set_num_threads(threads)
    return TorchBackend(variant, device, torch.get_num_threads())


class TorchBackend(BaseBackend):
    """Eager PyTorch functions on one device."""

    gaps: ClassVar[tuple[Gap, ...]] = (
        Gap("out= and in-place variants are not implemented yet", "todo", allocations=("reuse", "inplace")),
    )

    _functions: Mapping[str, Callable[..., Any]] = {**vars(torch_activations), **vars(torch_losses)}

    def __init__(self, name: str, device: str, threads: int) -> None:
        super().__init__(name, device, threads)
        self.asynchronous = device != "cpu"

    @property
    def version(self) -> str:
        """Version of PyTorch."""
        return str(torch.__version__)

    def asarray(self, array: Any, dtype: str | None = None) -> torch.Tensor:
        """Copy a host array to the device."""
        # A copy in C order: torch takes no negative strides.
        host = np.array(array, known_dtype(dtype), order="C")
        if host.dtype.name == "bfloat16":  # a type that torch and NumPy share as bits only
            return torch.from_numpy(host.view(np.int16)).view(torch.bfloat16).to(self.device)
        return torch.from_numpy(host).to(self.device)

    def to_numpy(self, array: torch.Tensor) -> np.ndarray:
        """Copy a tensor to the host."""
        host = array.detach().cpu()
        if host.dtype == torch.bfloat16:
            return np.array(host.contiguous().view(torch.int16).numpy().view("bfloat16"))
        return np.array(host.numpy())

    def is_native(self, array: Any) -> bool:
        """Tell whether `array` is a `torch.Tensor`."""
        return isinstance(array, torch.Tensor)

    def synchronize(self, result: Any = None) -> None:
        """Wait for the device."""
        del result
        if self.device == "cuda":
            torch.cuda.synchronize()

    def copier(self, n_bytes: int) -> Callable[[], Any] | None:
        """Return a callable that copies `n_bytes` within the device's memory."""
        if self.device == "cpu":
            return None
        source = torch.ones(n_bytes // 4, device=self.device)
        return partial(torch.empty_like(source).copy_, source)

    def _forward(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(self._functions[op], **parameters)

    def _vjp(self, op: str, parameters: dict[str, Any]) -> Callable[..., Any]:
        return partial(_forward_and_pull, self._forward(op, parameters), gradient_only=True)

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
        forward = self._forward(spec.name, parameters)
        if mode == "forward":
            return partial(forward, *inputs)
        if mode == "forward+backward":
            return partial(_forward_and_pull, forward, cotangent, *inputs, gradient_only=False)
        # The forward pass runs here, once; what is left to time is the vjp alone, from its saved tensors.
        first = inputs[0].detach().requires_grad_()
        output = forward(first, *inputs[1:])
        return lambda: torch.autograd.grad(output, first, cotangent, retain_graph=True)[0]


def _forward_and_pull(
    forward: Callable[..., Any],
    g: torch.Tensor,
    first: torch.Tensor,
    *rest: torch.Tensor,
    gradient_only: bool,
) -> Any:
    leaf = first.detach().requires_grad_()
    output = forward(leaf, *rest)
    (gradient,) = torch.autograd.grad(output, leaf, g)
    return gradient if gradient_only else (output.detach(), gradient)
