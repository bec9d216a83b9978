"""PyTorch: the framework's own functions, eager, differentiated by autograd."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name every user of torch knows it by

from backends.base import NARROW_DTYPES, BaseBackend, known_dtype
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
        NARROW_DTYPES,
        Gap("out= and in-place variants are not implemented yet", "todo", allocations=("reuse", "inplace")),
    )

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
        return torch.from_numpy(np.array(array, known_dtype(dtype), order="C")).to(self.device)

    def to_numpy(self, array: torch.Tensor) -> np.ndarray:
        """Copy a tensor to the host."""
        return np.array(array.detach().cpu().numpy())

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
        return partial(globals()[op], **parameters)

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


# --- activations ----------------------------------------------------------------------------------------------


class _Step(torch.autograd.Function):
    """`torch.heaviside` has no gradient, and of NaN it is the value at zero."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return torch.where(x.isnan(), x, (x > 0).to(x.dtype))

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return torch.where(x.isnan(), x, torch.zeros_like(g))


def step(x: torch.Tensor) -> torch.Tensor:
    """Composed from `torch.where`; its gradient is zero."""
    return _Step.apply(x)


def sigmoid(x: torch.Tensor) -> torch.Tensor:
    """`torch.sigmoid`."""
    return torch.sigmoid(x)


def tanh(x: torch.Tensor) -> torch.Tensor:
    """`torch.tanh`."""
    return torch.tanh(x)


def relu(x: torch.Tensor) -> torch.Tensor:
    """`F.relu`."""
    return F.relu(x)


def leaky_relu(x: torch.Tensor, *, negative_slope: float) -> torch.Tensor:
    """`F.leaky_relu`."""
    return F.leaky_relu(x, negative_slope)


def gelu(x: torch.Tensor, *, approximate: str) -> torch.Tensor:
    """`F.gelu`."""
    return F.gelu(x, approximate=approximate)


def silu(x: torch.Tensor) -> torch.Tensor:
    """`F.silu`."""
    return F.silu(x)


def softplus(x: torch.Tensor) -> torch.Tensor:
    """`F.softplus`."""
    return F.softplus(x)


def softmax(x: torch.Tensor, *, axis: int) -> torch.Tensor:
    """`F.softmax`."""
    return F.softmax(x, dim=axis)


def log_softmax(x: torch.Tensor, *, axis: int) -> torch.Tensor:
    """`F.log_softmax`."""
    return F.log_softmax(x, dim=axis)


# --- losses ---------------------------------------------------------------------------------------------------


def mean_squared_error(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """`F.mse_loss`."""
    return F.mse_loss(prediction, target, reduction=reduction)


def mean_absolute_error(prediction: torch.Tensor, target: torch.Tensor, *, reduction: str) -> torch.Tensor:
    """`F.l1_loss`."""
    return F.l1_loss(prediction, target, reduction=reduction)


def binary_cross_entropy_with_logits(
    logits: torch.Tensor, target: torch.Tensor, *, reduction: str
) -> torch.Tensor:
    """`F.binary_cross_entropy_with_logits`."""
    return F.binary_cross_entropy_with_logits(logits, target, reduction=reduction)


def categorical_cross_entropy(
    prediction: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int, eps: float
) -> torch.Tensor:
    """Composed: PyTorch's cross entropies take logits."""
    losses = -(target * torch.log(prediction + eps)).sum(axis)
    return {"mean": torch.mean, "sum": torch.sum, "none": lambda a: a}[reduction](losses)


def softmax_cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, *, reduction: str, axis: int
) -> torch.Tensor:
    """`F.cross_entropy` with class probabilities."""
    losses = F.cross_entropy(_rows(logits, axis), _rows(target, axis), reduction=reduction)
    return _unflatten(losses, logits, axis) if reduction == "none" else losses


def softmax_cross_entropy_with_integer_labels(
    logits: torch.Tensor, labels: torch.Tensor, *, reduction: str, axis: int
) -> torch.Tensor:
    """`F.cross_entropy` with class indices, which must be int64."""
    losses = F.cross_entropy(_rows(logits, axis), labels.reshape(-1).long(), reduction=reduction)
    return _unflatten(losses, logits, axis) if reduction == "none" else losses


def _rows(x: torch.Tensor, axis: int) -> torch.Tensor:
    """`F.cross_entropy` has its classes in dimension 1: flatten all others into dimension 0."""
    if x.ndim == 2 and axis in (-1, 1):
        return x
    return x.movedim(axis, -1).reshape(-1, x.shape[axis])


def _unflatten(losses: torch.Tensor, logits: torch.Tensor, axis: int) -> torch.Tensor:
    return losses.reshape(logits.movedim(axis, -1).shape[:-1])
