"""Evaluations: what backends return for the samples that they are checked by, one test after the other.

Nothing is timed while backends are checked. So the first backend that is asked about a sample has all others begin
with it: one that compiles does so while this process judges, and while others compute.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.measure.pool import Pool, Request
from benchmarks.record.schema import Check

Array = np.ndarray[Any, np.dtype[Any]]
_KEPT = 64
"""Samples that some backend may still be asked about: an op is tried on each backend in up to 36 ways."""


class Evaluations:
    """Asks backends for results; `places` are those that are to be checked, each with its device."""

    def __init__(self, pool: Pool, places: Sequence[tuple[str, str]] = ()) -> None:
        self._pool, self._places = pool, places
        self._open: OrderedDict[tuple[object, ...], dict[tuple[str, str], Request]] = OrderedDict()

    def of(
        self,
        check: Check,
        arrays: tuple[Any, ...],
        cotangent: Array | None,
        parameters: Mapping[str, Any],
        *,
        strided: bool = False,
        for_all: bool = False,
    ) -> Array:
        """Return the result of one call; `for_all`, if the other backends will be asked about these very arrays.

        Raises CaseError where there is none.
        """
        arguments = (check.op, check.mode, arrays, cotangent, parameters, strided, check.saved)
        place = (check.backend, check.device)
        request = Request(*place, "evaluate", arguments)
        if for_all:
            request = self._requests(arguments, place).pop(place, request)
        found: Array = self._pool.outcome(request)
        return found

    def _requests(self, arguments: tuple[Any, ...], asked: tuple[str, str]) -> dict[tuple[str, str], Request]:
        """Return what is still to be asked of each backend; at first, have all but the `asked` one begin."""
        op, mode, arrays, _, parameters, strided, saved = arguments
        key = (op, mode, id(arrays), tuple(parameters.items()), strided, saved)
        if key not in self._open:
            self._open[key] = {place: Request(*place, "evaluate", arguments) for place in self._places}
            for place, request in self._open[key].items():
                if place != asked:
                    self._pool.ask_ahead(request)
            if len(self._open) > _KEPT:
                self._open.popitem(last=False)
        return self._open[key]
