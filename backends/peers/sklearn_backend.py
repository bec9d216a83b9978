"""scikit-learn, for comparison: its metrics, which validate their arguments on each call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
from sklearn import metrics

from backends.base import Functions
from backends.interface import Gap, NotSupported
from backends.peers.host import HostPeer

PACKAGE = "sklearn"
EXTRA = "peers"
DEVICES = ("cpu",)
VARIANTS = ()
PEERS = ("sklearn",)


def create(variant: str, device: str, threads: int | None) -> HostPeer:
    """Return the backend; these metrics compute in one thread."""
    del device, threads
    return HostPeer(variant, 1, OPS, "sklearn.metrics", sklearn.__version__, needy=tuple(OPS))


def _mean_of(metric: Callable[..., Any], scale: float = 1) -> Callable[..., Any]:
    """Return a metric of vectors as a loss whose reduction is the mean."""

    def function(prediction: np.ndarray, target: np.ndarray, *, reduction: str, **_: Any) -> np.ndarray:
        if reduction != "mean":
            raise NotSupported(
                Gap("a metric is a mean", "upstream"), f"{metric.__name__}, reduction {reduction!r}"
            )
        return np.asarray(scale * metric(target.ravel(), prediction.ravel()), prediction.dtype)

    function.__doc__ = f"`{metric.__name__}`."
    return function


OPS: Functions = {
    "mean_squared_error": _mean_of(metrics.mean_squared_error),
    "mean_absolute_error": _mean_of(metrics.mean_absolute_error),
    "mean_absolute_percentage_error": _mean_of(metrics.mean_absolute_percentage_error, 100),
    "mean_squared_logarithmic_error": _mean_of(metrics.mean_squared_log_error),
}
