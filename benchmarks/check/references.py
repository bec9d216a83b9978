"""References: where to look at a case's outputs, and what must be there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends.base import output_shape
from backends.catalogue import OPS
from backends.interface import OpSpec
from benchmarks.check import oracle
from benchmarks.check.namespaces import Array
from benchmarks.check.oracle import Expected
from benchmarks.plan import inputs
from benchmarks.record.schema import Case

N_SAMPLED = 256
"""Outputs are compared with the oracle at about this many places, one in each of as many equal stretches."""
N_ROWS = 16
"""Of outputs in rows, at least 16 whole rows are compared."""
N_EDGE = 64
"""64 places at the end, and around the middle, are compared too: blocks and threads' shares end there."""
WIDE_FROM = 4096
"""From 4,096 values on, the oracle evaluates in the next wider type instead of with mpmath."""


@dataclass(frozen=True)
class Reference:
    """Where to look at a case's outputs, and what must be there: one entry an output."""

    mode: str
    index: Any
    first_input: Array | None
    expected: Expected
    n_summed: int
    oracle: str


def references(case: Case) -> list[Reference]:
    """Evaluate the oracle at places spread over a case's outputs (all terms, where they are summed)."""
    modes = ("forward", "backward") if case.mode == "forward+backward" else (case.mode,)
    host = inputs.draw(case.op, case.shape, case.dtype)
    return [_forward_reference(case, host) if m == "forward" else _backward_reference(case, host) for m in modes]


def _forward_reference(case: Case, host: Sequence[Array]) -> Reference:
    spec = OPS[case.op]
    if spec.kind == "loss":
        wide = host[0].size >= WIDE_FROM
        expected = oracle.forward(case.op, host, spec.defaults, case.dtype, wide=wide)
        return Reference("forward", (), None, expected, host[0].size, oracle.source(case.dtype, wide=wide))
    index, n_summed = _places(case)
    sampled = _sampled(spec, host, index)
    wide = sampled[0].size >= WIDE_FROM
    expected = oracle.forward(case.op, sampled, spec.defaults, case.dtype, wide=wide)
    return Reference(
        "forward", index, _where(spec, sampled), expected, n_summed, oracle.source(case.dtype, wide=wide)
    )


def _backward_reference(case: Case, host: Sequence[Array]) -> Reference:
    spec = OPS[case.op]
    index, n_summed = _places(case)
    sampled = _sampled(spec, host, index)
    g = inputs.cotangent(output_shape(spec, host, spec.defaults), case.dtype)
    wide = sampled[0].size >= WIDE_FROM
    expected = oracle.backward(
        case.op,
        g if spec.kind == "loss" else g[index],
        sampled,
        spec.defaults,
        case.dtype,
        n_losses=case.n_elements // n_summed,
        wide=wide,
    )
    return Reference("backward", index, sampled[0], expected, n_summed, oracle.source(case.dtype, wide=wide))


def _where(spec: OpSpec, sampled: Sequence[Array]) -> Array | None:
    """Return the first input beside each output, or None where there is no one for each."""
    return sampled[0] if spec.shape is None else None


def _sampled(spec: OpSpec, host: Sequence[Any], index: Any) -> list[Any]:
    """Return the inputs at the sampled places; what is shared by all of them stays whole."""
    pairs = zip(spec.inputs, host, strict=True)
    return [a[index] if a is not None and d.extent in ("same", "rows") else a for d, a in pairs]


def _places(case: Case) -> tuple[Any, int]:
    """Return an index of sampled places (elements, or whole rows), and how many terms each result sums."""
    along_axis = OPS[case.op].along_axis
    outer = case.shape[:-1] if along_axis else case.shape
    row = case.shape[-1] if along_axis else 1
    n = int(np.prod(outer))
    n_places = min(n, max(N_ROWS, N_SAMPLED // row))
    edges = np.linspace(0, n, n_places + 1).astype(np.int64)
    generator = np.random.default_rng(n)
    # One at random in each stretch, the first place always among them.
    places = generator.integers(edges[:-1], edges[1:])
    places[0] = 0
    edge = max(1, N_EDGE // row)
    borders = [np.arange(max(0, end - edge), end) for end in (n, min(n, n // 2 + edge // 2))]
    places = np.unique(np.concatenate([places, *borders]))
    return np.unravel_index(places, outer) if outer else (), row
