"""An op of one's own, for `--op-spec`: the third power."""

from backends.catalogue.activations import activation
from backends.interface import Budget

INF = float("inf")

OPS = (
    activation(
        "cube",
        "Third power",
        lambda m, x: 3 * x**2,
        formula="x**3",
        source="a test",
        definition=lambda m, x: x**3,
        budget=Budget(4, 4, "two products, each rounded"),
        limits=((-INF, -INF, INF), (INF, INF, INF)),
        aliases=("third_power",),
    ),
)
