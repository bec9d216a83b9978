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
    host = inputs.draw(case.op, case.shape, case.dtype, saved=case.saved)
    cotangent = None
    if case.mode != "forward":
        spec = inputs.spec_of(case.op, case.saved)
        cotangent = inputs.cotangent(output_shape(spec, host, spec.defaults), case.dtype)
    return at(case, host, cotangent, _places(case))


def at(
    case: Case, host: Sequence[Array], cotangent: Array | None, index: Any, wide_from: int = WIDE_FROM
) -> list[Reference]:
    """Evaluate the oracle for these inputs at `index`, of elements or rows; all terms, where they are summed."""
    found = []
    if case.mode != "backward":
        found.append(_forward_reference(case, host, index, wide_from))
    if cotangent is not None:
        found.append(_backward_reference(case, host, cotangent, index, wide_from))
    return found


def n_summed(case: Case) -> int:
    """Return how many terms a row has: 1, where an op acts elementwise."""
    return case.shape[-1] if OPS[case.op].along_axis else 1


def _forward_reference(case: Case, host: Sequence[Array], index: Any, wide_from: int) -> Reference:
    spec = OPS[case.op]
    if spec.kind == "loss":
        wide = host[0].size >= WIDE_FROM
        expected = oracle.forward(case.op, host, spec.defaults, case.dtype, wide=wide)
        return Reference("forward", (), None, expected, host[0].size, oracle.source(case.dtype, wide=wide))
    sampled = sampled_at(spec, host, index)
    wide = sampled[0].size >= wide_from
    expected = oracle.forward(case.op, sampled, spec.defaults, case.dtype, wide=wide)
    return Reference(
        "forward", index, _where(spec, sampled), expected, n_summed(case), oracle.source(case.dtype, wide=wide)
    )


def _backward_reference(case: Case, host: Sequence[Array], g: Array, index: Any, wide_from: int) -> Reference:
    spec = inputs.spec_of(case.op, case.saved)
    sampled = sampled_at(spec, host, index)
    wide = sampled[0].size >= wide_from
    expected = oracle.gradient(
        spec,
        g if spec.kind == "loss" else g[index],
        sampled,
        spec.defaults,
        case.dtype,
        n_losses=case.n_elements // n_summed(case),
        wide=wide,
    )
    return Reference("backward", index, sampled[0], expected, n_summed(case), oracle.source(case.dtype, wide=wide))


def _where(spec: OpSpec, sampled: Sequence[Array]) -> Array | None:
    """Return the first input beside each output, or None where there is no one for each."""
    return sampled[0] if spec.shape is None else None


def sampled_at(spec: OpSpec, host: Sequence[Any], index: Any) -> list[Any]:
    """Return the inputs at the sampled places; what is shared by all of them stays whole."""
    pairs = zip(spec.inputs, host, strict=True)
    return [a[index] if a is not None and d.extent in ("same", "rows") else a for d, a in pairs]


def units(case: Case) -> tuple[int, ...]:
    """Return the shape of what an output is sampled by: its rows where classes lie along an axis, or elements."""
    return case.shape[:-1] if OPS[case.op].along_axis else case.shape


def _places(case: Case) -> Any:
    """Return an index of sampled places, drawn afresh: nobody can know them before the output exists."""
    outer, row = units(case), n_summed(case)
    n = int(np.prod(outer))
    n_places = min(n, max(N_ROWS, N_SAMPLED // row))
    edges = np.linspace(0, n, n_places + 1).astype(np.int64)
    generator = np.random.default_rng()
    # One at random in each stretch, the first place always among them.
    places = generator.integers(edges[:-1], edges[1:])
    places[0] = 0
    edge = max(1, N_EDGE // row)
    borders = [np.arange(max(0, end - edge), end) for end in (n, min(n, n // 2 + edge // 2))]
    places = np.unique(np.concatenate([places, *borders]))
    return np.unravel_index(places, outer) if outer else ()
