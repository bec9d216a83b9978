"""The selection: what the command line asked for, and the cases that follow from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from math import prod

import backends
from backends.catalogue import OPS
from backends.interface import Mode, kind_of
from benchmarks.plan.presets import PRESETS
from benchmarks.quantities import listing
from benchmarks.record.schema import DTYPES, Case, Policies
from benchmarks.record.shapes import default_shape, label_of

CHECKED_MODES: tuple[Mode, ...] = ("forward", "backward")
"""Modes of the correctness suite."""


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
    policies: tuple[Policies, ...] = (Policies(),)

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

    @property
    def budget_s(self) -> float | None:
        """Seconds for a run of the preset as it is; none where anything else was asked for."""
        return PRESETS[self.preset].budget_s if self._is_as_it_is else None

    @property
    def aim_s(self) -> float | None:
        """Seconds that it is to take, in the same way."""
        return PRESETS[self.preset].aim_s if self._is_as_it_is else None

    @property
    def _is_as_it_is(self) -> bool:
        asked = (self.ops, self.dtypes, self.sizes, self.whole_shapes, self.modes)
        return not any(asked) and self.policies == (Policies(),)

    def shapes(self, op: str) -> tuple[tuple[int, ...], ...]:
        """Return the shapes to time `op` at: those that were asked for, and those of the sizes that were."""
        preset = PRESETS[self.preset]
        if not (self.sizes or self.whole_shapes) and preset.shapes and op in preset.shapes:
            return preset.shapes[op]
        usual = () if self.whole_shapes else preset.sizes or PRESETS["quick"].sizes
        of_sizes = (default_shape(OPS[op], n) for n in self.sizes or usual)
        return tuple(dict.fromkeys((*of_sizes, *self.whole_shapes)))


def timing_cases(selection: Selection) -> Iterator[Case]:
    """Yield the cases of a selection, those to be compared with each other side by side.

    Threads of the host make no difference to another device: there, a case is measured under the largest team
    alone, which is the last, beside the host's best. Graphs are a device's, and write the same output each time.
    """
    chosen = selection.resolve()
    places = _places(chosen.backends, chosen.devices)
    for op, mode, dtype in product(chosen.ops, chosen.modes, chosen.dtypes):
        for shape, policies, (backend, device) in product(chosen.shapes(op), chosen.policies, places):
            if _concern(policies, device, chosen.policies[-1].team):
                yield Case(op, mode, dtype, shape, backend, device, **asdict(policies))


def _concern(policies: Policies, device: str, largest: str) -> bool:
    """Tell whether cases on a device are measured under these policies; `largest` is the largest team."""
    if device == "cpu":
        return policies.launch == "eager"
    return policies.team == largest and (policies.launch == "eager" or policies.allocation == "reuse")


def rows_told(selection: Selection) -> Iterator[str]:
    """Yield which shapes the sizes that were asked for take, where ops along an axis are among those selected."""
    ops = [op for op in selection.resolve().ops if OPS[op].along_axis]
    if ops and selection.sizes:
        sizes = {size: default_shape(OPS[ops[0]], size) for size in selection.sizes}
        told = [f"--size {size} is {label_of(shape)}" for size, shape in sizes.items()]
        cut = " (whole rows alone)" * any(prod(shape) < size for size, shape in sizes.items())
        yield f"along an axis, as for {listing(ops, 3)}, {listing(told)}{cut}"


def in_every_way(selection: Selection, ops: Sequence[str] = tuple(OPS)) -> Selection:
    """Return a selection of `ops` in every type and mode, unless the command line names some."""
    return replace(
        selection,
        ops=selection.ops or tuple(ops),
        dtypes=selection.dtypes or DTYPES,
        modes=selection.modes or CHECKED_MODES,
    )


def correctness_cases(selection: Selection) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield (op, dtype, backend, device, mode) of what a selection times; see `in_every_way` for more."""
    chosen = selection.resolve()
    # Forward and backward in one call are checked one by one.
    modes = [mode for mode in CHECKED_MODES if any(mode in each.split("+") for each in chosen.modes)]
    places = _places(chosen.backends, chosen.devices)
    for op, dtype, (backend, device), mode in product(chosen.ops, chosen.dtypes, places, modes):
        yield op, dtype, backend, device, mode


def places(selection: Selection) -> list[tuple[str, str]]:
    """Return the backends of a selection, each with its devices."""
    chosen = selection.resolve()
    return _places(chosen.backends, chosen.devices)


def _places(names: Sequence[str], devices: Sequence[str]) -> list[tuple[str, str]]:
    declared = backends.declarations()
    return [(name, device) for name in names for device in devices if kind_of(device) in declared[name].devices]
