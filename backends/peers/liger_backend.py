"""Liger-Kernel, for comparison: Triton kernels of PyTorch's functions, for training language models.

Written from its sources (0.8.2). **This adapter never ran**: no GPU was at hand.

What a time of it includes: see each function. All compute in float32.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from liger_kernel.transformers import functional as liger

from backends.base import Functions
from backends.interface import Gap, NotSupported
from backends.peers.torch import TorchPeer, as_rows, back

PACKAGE = "liger_kernel"
EXTRA = "gpu-peers"
DEVICES = ("cuda",)
VARIANTS = ()
PEERS = ("liger",)

LONGEST = 65536
"""Entries of the longest row, which is one block of Triton's. Its cross entropy takes longer ones."""
NO_LABEL = -100
WIDE = Gap("it computes in float32", "upstream", dtypes=("float64",))


def create(variant: str, device: str, threads: int | None) -> TorchPeer:
    """Return the backend; raise BackendUnavailable where PyTorch finds no such device."""
    del threads
    return TorchPeer(
        variant, device, OPS, "Liger-Kernel", version("liger-kernel"), gaps=(WIDE,), overwriting=OVERWRITING
    )


def _short(op: str, row: int) -> None:
    if row > LONGEST:
        gap = Gap(f"Liger-Kernel takes rows of at most {LONGEST:,}", "upstream", ops=(op,))
        raise NotSupported(gap, f"{op}: rows of {row:,}")


def softmax(x: Any, *, axis: int) -> Any:
    """`liger_softmax`: a row a program; the gradient from the saved output."""
    _short("softmax", x.shape[axis])
    return back(liger.liger_softmax(as_rows(x, axis)), x, axis)


def sparsemax(x: Any, *, axis: int) -> Any:
    """`liger_sparsemax`: PyTorch sorts in float32, and a kernel finds the threshold."""
    _short("sparsemax", x.shape[axis])
    return liger.liger_sparsemax(x, axis)


def swiglu(x: Any, gate: Any) -> Any:
    """`liger_swiglu`; its backward makes both gradients over its inputs, of which each call gets copies."""
    if not x.ndim:
        return liger.liger_swiglu(gate.reshape(1), x.reshape(1)).reshape(())
    _short("swiglu", x.shape[-1])
    return liger.liger_swiglu(gate, x)


def softmax_cross_entropy_with_integer_labels(
    logits: Any,
    labels: Any,
    weight: Any,
    *,
    reduction: str,
    axis: int,
    ignore_index: int | None,
    label_smoothing: float,
) -> Any:
    """`liger_cross_entropy`: its forward makes the gradient too, where one is asked for, and waits for the device.

    The gradient comes over the logits, of which each call therefore gets a copy; the backward only multiplies it.
    """
    losses = liger.liger_cross_entropy(
        as_rows(logits, axis),
        labels.reshape(-1).long(),
        weight,
        ignore_index=NO_LABEL if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )
    return losses.reshape(labels.shape) if reduction == "none" else losses


def kl_divergence(prediction: Any, target: Any, *, reduction: str, axis: int) -> Any:
    """`liger_kl_div`: targets below 1e-10 count as that within the logarithm."""
    there = {"mean": "batchmean"}.get(reduction, reduction)
    losses = liger.liger_kl_div(as_rows(prediction, axis), as_rows(target, axis), reduction=there)
    return losses.sum(-1).reshape(prediction.movedim(axis, -1).shape[:-1]) if reduction == "none" else losses


OPS: Functions = {
    "softmax": softmax,
    "sparsemax": sparsemax,
    "swiglu": swiglu,
    "softmax_cross_entropy_with_integer_labels": softmax_cross_entropy_with_integer_labels,
    "kl_divergence": kl_divergence,
}
OVERWRITING = ("swiglu", "softmax_cross_entropy_with_integer_labels")
"""Ops whose gradients come to where their inputs were. Its geglu is missing: it has the tanh form alone."""
