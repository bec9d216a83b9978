"""QuACK, for comparison: CuTe kernels of functions along rows, for Hopper and Blackwell GPUs.

Written from its sources (0.6.4). **This adapter never ran**: no GPU was at hand.

What a time of it includes: see each function. All compute in float32.
"""

from __future__ import annotations

from typing import Any

import quack

from backends.base import Functions
from backends.interface import Gap, NotSupported
from backends.peers.torch import TorchPeer, as_rows, back

PACKAGE = "quack"
EXTRA = "gpu-peers"
DEVICES = ("cuda",)
VARIANTS = ()
PEERS = ("quack",)

NO_LABEL = -100
WIDE = Gap("its kernels take no float64", "upstream", dtypes=("float64",))
UNSMOOTHED = Gap("QuACK smooths no labels", "upstream")


def create(variant: str, device: str, threads: int | None) -> TorchPeer:
    """Return the backend; raise BackendUnavailable where PyTorch finds no such device."""
    del threads
    return TorchPeer(variant, device, OPS, "QuACK", quack.__version__, gaps=(WIDE,))


def softmax(x: Any, *, axis: int) -> Any:
    """`quack.softmax`; the gradient from the saved output."""
    return back(quack.softmax(as_rows(x, axis)), x, axis)


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
    """`quack.cross_entropy`: the forward also saves each row's log-sum-exp; PyTorch's kernels count and divide."""
    op = "softmax_cross_entropy_with_integer_labels"
    if label_smoothing:
        raise NotSupported(UNSMOOTHED, f"{op}: label_smoothing={label_smoothing}")
    losses = quack.cross_entropy(
        as_rows(logits, axis),
        labels.reshape(-1),
        weight=weight,
        ignore_index=NO_LABEL if ignore_index is None else ignore_index,
        reduction=reduction,
    )
    losses = losses.to(logits.dtype)  # its losses are float32: of narrow types, a small kernel more
    return losses.reshape(labels.shape) if reduction == "none" else losses


OPS: Functions = {
    "softmax": softmax,
    "softmax_cross_entropy_with_integer_labels": softmax_cross_entropy_with_integer_labels,
}
