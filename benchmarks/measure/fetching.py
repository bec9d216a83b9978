"""Fetching: whether a result is there when its call returns, or is computed only when somebody looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from time import perf_counter
from typing import Any

import numpy as np

from backends.interface import Backend
from benchmarks.measure.prepared import Prepared, outputs

MOST_NUMBERS = 2**21
"""Larger results are not fetched whole: a copy takes as long as most work. `plausibility.too_fast` is for them."""


@dataclass(frozen=True)
class Fetched:
    """One result: the seconds to fetch it, and to fetch a plain array of its values; its type, if `strange`."""

    result_s: float
    plain_s: float
    strange: str = ""


def fetched(backend: Backend, ready: Prepared, n_times: int) -> list[Fetched]:
    """Call `n_times` and fetch each result, and before or after it a plain native array with the same values.

    Whatever is fetched right after a call finds the processors still busy with it, and pays for that; who is lazy
    pays in either place. Of larger results than `MOST_NUMBERS` the type alone is looked at.
    """
    found, plain = [], dict[int, Any]()
    for i in range(n_times):
        ready.time(1)
        for k, output in enumerate(outputs(ready.result)):
            if prod(output.shape) > MOST_NUMBERS:
                found.append(Fetched(0.0, 0.0, _strange(output, ready.places[0].inputs[0])))
                continue
            before = [_fetch(backend, plain[k])[0]] if i % 2 else []
            result_s, host = _fetch(backend, output)
            plain[k] = backend.asarray(host)
            backend.synchronize(plain[k])
            (plain_s,) = before or [_fetch(backend, plain[k])[0]]
            found.append(Fetched(result_s, plain_s, _strange(output, plain[k])))
    ready.forget()
    return found


def _strange(output: Any, plain: Any) -> str:
    """Return the type of an output that is not like the backend's arrays, nor a NumPy scalar; else nothing.

    An array of the right type with attributes of its own, such as methods that compute, is strange too.
    """
    alike = type(output) is type(plain) and _attributes(output) <= _attributes(plain)
    if alike or isinstance(output, np.generic):
        return ""
    return f"{type(output).__module__}.{type(output).__qualname__}"


def _attributes(array: Any) -> set[str]:
    return set(getattr(array, "__dict__", ()))


def _fetch(backend: Backend, array: Any) -> tuple[float, Any]:
    started = perf_counter()
    host = backend.to_numpy(array)
    return perf_counter() - started, host
