"""Activations of two arrays, each stated once: a learned slope, and the gated units of Shazeer 2020.

A gated unit multiplies `x` by an activation of `gate`. As everywhere, the gradient is with respect to the first
input: x.
"""

from __future__ import annotations

from typing import Any

from backends.catalogue.activations import gelu
from backends.catalogue.formulas import INF, silu
from backends.interface import Budget, Formula, Input, Math, OpSpec, Parameter

_BUDGET = Budget(12, 12, "the activation of the gate, and a product")


def _gated(name: str, summary: str, activation: Formula, **facts: Any) -> OpSpec:
    return OpSpec(
        name=name,
        kind="elementwise",
        summary=summary,
        inputs=(Input("x"), Input("gate")),
        definition=lambda m, x, gate, **parameters: x * activation(m, gate, **parameters),
        gradient=lambda m, g, x, gate, **parameters: g * activation(m, gate, **parameters),
        linear=True,
        source="Shazeer 2020",
        **{"parameters": (), **facts},
    )


def _gelu(m: Math, x: Any, *, approximate: str) -> Any:
    """Gelu, and its limits at infinity."""
    return m.where(abs(x) < INF, gelu(m, x, approximate=approximate), _relu(m, x))


def _relu(m: Math, x: Any) -> Any:
    return m.where(x > 0, x, 0)


OPS: tuple[OpSpec, ...] = (
    OpSpec(
        name="prelu",
        kind="elementwise",
        summary="Rectified linear unit with a learned slope below zero",
        formula="x if x > 0 else weight * x",
        source="He et al. 2015",
        inputs=(Input("x"), Input("weight", "unit", "broadcast")),
        parameters=(),
        definition=lambda m, x, weight: m.where(x > 0, x, weight * x),
        gradient=lambda m, g, x, weight: g * m.where(x > 0, 1, weight),
        budget=Budget(1, 1, "a product, rounded"),
        kinks=(0.0,),
        kink_convention="prelu'(0) = weight",
        choice="weight broadcasts to x",
        elsewhere="PyTorch's weight is one number or one for each entry of dimension 1",
    ),
    _gated(
        "swiglu",
        "x times silu(gate)",
        silu,
        formula="x * gate / (1 + exp(-gate))",
        budget=_BUDGET,
        transcendentals=1,
        choice="the gate is an array of its own",
        elsewhere="xFormers and Keras-NLP multiply the other way round or split one array",
    ),
    _gated(
        "geglu",
        "x times gelu(gate)",
        _gelu,
        formula="x * gate * normal_cdf(gate)",
        parameters=(Parameter("approximate", "none", choices=("none", "tanh")),),
        budget=_BUDGET,
        transcendentals=1,
        alternatives=({"approximate": "tanh"},),
    ),
    _gated(
        "reglu", "x times relu(gate)", _relu, formula="x * max(gate, 0)", budget=Budget(1, 1, "a product, rounded")
    ),
)
