"""Optax, for comparison: its losses, jitted."""

from __future__ import annotations

from typing import Any

import optax

from backends.base import Functions
from backends.peers.host import require_elements
from backends.peers.jax import JaxPeer
from backends.threads import xla_threads

PACKAGE = "optax"
EXTRA = "peers"
DEVICES = ("cpu",)
VARIANTS = ()
PEERS = ("optax",)


def create(variant: str, device: str, threads: int | None) -> JaxPeer:
    """Return the backend; raise ValueError for other threads than those that JAX starts with."""
    del device
    return JaxPeer(variant, xla_threads(threads), OPS, "Optax", optax.__version__)


def _reduced(losses: Any, reduction: str) -> Any:
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


def mean_squared_error(prediction: Any, target: Any, *, reduction: str) -> Any:
    """`squared_error`."""
    return _reduced(optax.squared_error(prediction, target), reduction)


def huber(prediction: Any, target: Any, *, delta: float, reduction: str) -> Any:
    """`huber_loss`."""
    return _reduced(optax.huber_loss(prediction, target, delta=delta), reduction)


def log_cosh(prediction: Any, target: Any, *, reduction: str) -> Any:
    """`log_cosh`."""
    return _reduced(optax.log_cosh(prediction, target), reduction)


def softmax_cross_entropy(x: Any, target: Any, *, axis: int, label_smoothing: float, reduction: str) -> Any:
    """`softmax_cross_entropy`."""
    smoothed = target
    if label_smoothing:  # by their number
        require_elements("Optax", "softmax_cross_entropy", x.shape, OPS, {"axis": axis})
        smoothed = optax.smooth_labels(target, label_smoothing)
    return _reduced(optax.softmax_cross_entropy(x, smoothed, axis=axis), reduction)


def kl_divergence(prediction: Any, target: Any, *, axis: int, reduction: str) -> Any:
    """`kl_divergence`."""
    return _reduced(optax.kl_divergence(prediction, target, axis=axis), reduction)


OPS: Functions = {
    "mean_squared_error": mean_squared_error,
    "huber": huber,
    "log_cosh": log_cosh,
    "softmax_cross_entropy": softmax_cross_entropy,
    "kl_divergence": kl_divergence,
}
