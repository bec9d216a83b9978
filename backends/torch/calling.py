"""PyTorch: how its users call a function of its own. Imports no PyTorch: pages and answers are made without it."""

from __future__ import annotations

from collections.abc import Mapping

from backends.calling import Idiom

_PULL = "(gradient,) = torch.autograd.grad(y, {first}, g)"
_COMPILE = "compiled = torch.compile(lambda {inputs}: {call}, dynamic=False, fullgraph=True)"

IDIOMS: Mapping[str, Idiom] = {
    "torch": Idiom(
        imports=("import torch",),
        gradient=("{first}.requires_grad_()", "y = {call}", _PULL),
    ),
    "torch-compile": Idiom(
        imports=("import torch",),
        forward=(_COMPILE, "y = compiled({inputs})"),
        gradient=(_COMPILE, "{first}.requires_grad_()", "y = compiled({inputs})", _PULL),
    ),
}
"""The idiom of each variant."""
