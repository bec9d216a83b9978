"""The course notes' example: a digit's class 2 of 10, a network's answer, and what the notes print of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

TARGET = np.eye(10)[2]
PREDICTION = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])


@dataclass(frozen=True)
class Example:
    """The `loss` of that prediction under a `reduction`, to within `tolerance`; `told` as the notes print it."""

    reduction: str
    loss: float
    tolerance: float
    told: str


EXAMPLES: Mapping[str, Example] = {
    "mean_squared_error": Example("sum", 0.195, 1e-7, "0.195"),
    "categorical_cross_entropy": Example("mean", 0.510826, 1e-6, "-ln(0.6) = 0.510826"),
}
"""What the notes print, by op."""
