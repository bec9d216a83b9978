"""Presets: named selections of ops, modes, dtypes and sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from backends.catalogue import OPS
from backends.interface import MODES, Mode
from benchmarks.record.schema import DTYPES


@dataclass(frozen=True)
class Preset:
    """A named selection. `shapes` are whole shapes; without them, `sizes` are numbers of elements.

    `budget_s` is the time that a run of all of it has, where that is not asked for, and `aim_s` what it is to
    take: after that, a group has the fewest turns.
    """

    summary: str
    ops: tuple[str, ...]
    modes: tuple[Mode, ...] = ("forward", "backward")
    dtypes: tuple[str, ...] = ("float32",)
    sizes: tuple[int, ...] = ()
    shapes: Mapping[str, tuple[tuple[int, ...], ...]] | None = None
    budget_s: float | None = None
    aim_s: float | None = None


_COURSE_NOTES = tuple(name for name, spec in OPS.items() if spec.course_notes)

_MLP = ((1, 14336), (256, 14336))  # one token, and a batch: Llama 3 8B's MLP width

_VOCABULARY = ((1, 128256), (64, 128256))  # Llama 3's vocabulary

PRESETS: Mapping[str, Preset] = {
    "quick": Preset(
        "the course notes' functions",
        _COURSE_NOTES,
        sizes=(1_024, 32_768, 1_048_576, 8_388_608),
        budget_s=300.0,
        aim_s=120.0,
    ),
    "standard": Preset(
        "every op, float32",
        tuple(OPS),
        sizes=(1, 1_024, 32_768, 1_048_576, 8_388_608),
    ),
    "full": Preset(
        "every op, mode and dtype",
        tuple(OPS),
        modes=MODES,
        dtypes=DTYPES,
        sizes=(1, 1_024, 8_192, 32_768, 262_144, 1_048_576, 8_388_608, 67_108_864),
    ),
    "llm": Preset(
        "shapes of a large language model (Llama 3 8B: MLP width 14336, vocabulary 128256)",
        ("gelu", "silu", "swiglu", "geglu", "softmax", "log_softmax", "softmax_cross_entropy_with_integer_labels"),
        shapes={
            "gelu": _MLP,
            "silu": _MLP,
            "swiglu": _MLP,
            "geglu": _MLP,
            "softmax": _VOCABULARY,
            "log_softmax": _VOCABULARY,
            "softmax_cross_entropy_with_integer_labels": _VOCABULARY,
        },
    ),
}
