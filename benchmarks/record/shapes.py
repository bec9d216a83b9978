"""Shapes: how a test id and an option name one, and which one a number of elements alone gives."""

from __future__ import annotations

from math import prod

from backends.catalogue import OPS
from backends.interface import OpSpec

CLASSES = 1024
"""Length of the class axis of ops along an axis, unless a preset gives whole shapes."""


def label_of(shape: tuple[int, ...]) -> str:
    """Return how a test id and an option name a shape, which `parse_shape` reads back."""
    return "x".join(map(str, shape))


def parse_shape(label: str) -> tuple[int, ...]:
    """Return the shape that a test id names. Raises ValueError for what is no number."""
    return tuple(map(int, label.split("x")))


def default_shape(spec: OpSpec, n_elements: int) -> tuple[int, ...]:
    """Return a vector for elementwise ops, and rows of at most `CLASSES` entries for ops along an axis.

    The number of elements is rounded down to whole rows.
    """
    if not spec.along_axis:
        return (n_elements,)
    classes = min(n_elements, CLASSES)
    return (n_elements // classes, classes)


def is_default_shape(op: str, shape: tuple[int, ...]) -> bool:
    """Tell whether a number of elements alone gives `op` this shape; True of an op that is unknown here."""
    return op not in OPS or shape == default_shape(OPS[op], prod(shape))
