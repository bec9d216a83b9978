"""What is measured: one Case a test, drawn from a preset and narrowed by the command line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import Literal, get_args

import backends
from backends.catalogue import OPS
from backends.interface import MODES, Allocation, Mode, OpSpec

DTYPES = ("float32", "float64", "float16", "bfloat16")
DEVICES = ("cpu", "cuda")
Cache = Literal["hot", "cold"]
Timing = Literal["latency", "throughput"]
CACHES: tuple[Cache, ...] = get_args(Cache)
TIMINGS: tuple[Timing, ...] = get_args(Timing)
CLASSES = 1024
"""Length of the class axis of ops along an axis, unless a preset gives whole shapes."""


@dataclass(frozen=True)
class Case:
    """One thing to measure. Everything that changes what is measured is part of it.

    `shape` is the first input's. `allocation`, `cache` and `timing` are the policies of the measurement: unless
    told otherwise, every call writes a fresh output, inputs stay in the cache, and every call is synchronised.
    """

    op: str
    mode: Mode
    dtype: str
    shape: tuple[int, ...]
    backend: str
    device: str
    allocation: Allocation = "fresh"
    cache: Cache = "hot"
    timing: Timing = "latency"

    @property
    def n_elements(self) -> int:
        """Number of elements of the first input."""
        return prod(self.shape)

    @property
    def shape_label(self) -> str:
        """The shape as in a test id, such as `1024x1024`."""
        return label_of(self.shape)

    @property
    def policies(self) -> str:
        """The policies that differ from the default, as in a test id: `-reuse-cold`; empty where none does."""
        chosen = (self.allocation, self.cache, self.timing)
        return "".join(
            f"-{policy}" for policy, usual in zip(chosen, DEFAULT_POLICIES, strict=True) if policy != usual
        )

    @property
    def group(self) -> str:
        """What the cases share that are comparable with each other."""
        return f"{self.op}-{self.mode}-{self.dtype}-{self.shape_label}{self.policies}"

    def __str__(self) -> str:
        return f"{self.op}-{self.mode}-{self.dtype}-{self.shape_label}-{self.backend}-{self.device}{self.policies}"


DEFAULT_POLICIES = (Case.allocation, Case.cache, Case.timing)


def label_of(shape: tuple[int, ...]) -> str:
    """Return how a test id and an option name a shape, which `parse_shape` reads back."""
    return "x".join(map(str, shape))


def parse_shape(label: str) -> tuple[int, ...]:
    """Return the shape that a test id names. Raises ValueError for what is no number."""
    return tuple(map(int, label.split("x")))


@dataclass(frozen=True)
class Preset:
    """A named selection. `shapes` are whole shapes; without them, `sizes` are numbers of elements."""

    summary: str
    ops: tuple[str, ...]
    modes: tuple[Mode, ...] = ("forward", "backward")
    dtypes: tuple[str, ...] = ("float32",)
    sizes: tuple[int, ...] = ()
    shapes: Mapping[str, tuple[tuple[int, ...], ...]] | None = None


_COURSE_NOTES = tuple(name for name, spec in OPS.items() if spec.course_notes)
_MLP = ((1, 14336), (256, 14336))  # one token, and a batch: Llama 3 8B's MLP width
_VOCABULARY = ((1, 128256), (64, 128256))  # Llama 3's vocabulary

PRESETS: Mapping[str, Preset] = {
    "quick": Preset("the course notes' functions", _COURSE_NOTES, sizes=(1_024, 32_768, 1_048_576, 8_388_608)),
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


@dataclass(frozen=True)
class Selection:
    """What the command line asked for; an empty tuple leaves the choice to the preset."""

    preset: str = "quick"
    ops: tuple[str, ...] = ()
    backends: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    dtypes: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    whole_shapes: tuple[tuple[int, ...], ...] = ()
    modes: tuple[Mode, ...] = ()
    allocations: tuple[Allocation, ...] = (Case.allocation,)
    caches: tuple[Cache, ...] = (Case.cache,)
    timings: tuple[Timing, ...] = (Case.timing,)

    def resolve(self) -> Selection:
        """Return the selection with the preset's choices filled in."""
        preset = PRESETS[self.preset]
        return replace(
            self,
            ops=self.ops or preset.ops,
            backends=self.backends or backends.names(),
            dtypes=self.dtypes or preset.dtypes,
            modes=self.modes or preset.modes,
        )

    def shapes(self, op: str) -> tuple[tuple[int, ...], ...]:
        """Return the shapes to time `op` at: those that were asked for, and those of the sizes that were."""
        preset = PRESETS[self.preset]
        if not (self.sizes or self.whole_shapes) and preset.shapes and op in preset.shapes:
            return preset.shapes[op]
        usual = () if self.whole_shapes else preset.sizes or PRESETS["quick"].sizes
        of_sizes = (default_shape(OPS[op], n) for n in self.sizes or usual)
        return tuple(dict.fromkeys((*of_sizes, *self.whole_shapes)))


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


def timing_cases(selection: Selection) -> Iterator[Case]:
    """Yield the cases of a selection, those to be compared with each other side by side."""
    chosen = selection.resolve()
    places = _places(chosen.backends, chosen.devices)
    policies = list(product(chosen.allocations, chosen.caches, chosen.timings))
    for op, mode, dtype in product(chosen.ops, chosen.modes, chosen.dtypes):
        for shape, policy, (backend, device) in product(chosen.shapes(op), policies, places):
            yield Case(op, mode, dtype, shape, backend, device, *policy)


def correctness_cases(selection: Selection) -> Iterator[tuple[str, str, str, str]]:
    """Yield (op, dtype, backend, device): every op and dtype unless the command line names some."""
    chosen = replace(selection, ops=selection.ops or tuple(OPS), dtypes=selection.dtypes or DTYPES).resolve()
    places = _places(chosen.backends, chosen.devices)
    for op in chosen.ops:
        for dtype in chosen.dtypes:
            for backend, device in places:
                yield op, dtype, backend, device


def places(selection: Selection) -> list[tuple[str, str]]:
    """Return the backends of a selection, each with its devices."""
    chosen = selection.resolve()
    return _places(chosen.backends, chosen.devices)


def _places(names: Sequence[str], devices: Sequence[str]) -> list[tuple[str, str]]:
    declared = backends.declarations()
    return [(name, device) for name in names for device in devices if device in declared[name].devices]
