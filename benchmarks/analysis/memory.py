"""What fresh memory costs: large outputs where a process keeps what it frees, and by the system's default."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis.entries import Key, Timed, assembled, entries, parted
from benchmarks.analysis.tables import backend_order, geometric_mean
from benchmarks.analysis.verdicts import Verdicts
from benchmarks.machine.memory import RETAINED
from benchmarks.record.schema import CASE
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER

LARGE_BYTES = 2**20
"""An output is large from here on: glibc's allocator soon gives such blocks back to the system."""
PAGE_BYTES = 4096
MANY = 0.1
"""Share of an output's pages that may be new at each call before it is said that memory was not kept."""
REMEDY = f"{' '.join(f'{name}={value}' for name, value in RETAINED.items())} python …"
"""A command line under which glibc's allocator keeps what is freed."""
_ELSE = tuple(name for name in (*CASE, "backend") if name != "memory")


@dataclass(frozen=True)
class Price:
    """What the system's default costs a backend with large outputs: times and page faults of `n_cases` cases.

    `ratio` is the geometric mean of its times over those with memory that is kept; `n_slower`, `n_equal`, `n_open`
    and `n_faster` count the verdicts. The page faults are the median of those per call.
    """

    backend: str
    device: str
    n_cases: int
    ratio: float
    least: float
    most: float
    n_slower: int
    n_equal: int
    n_open: int
    n_faster: int
    retained_faults: float
    released_faults: float


@dataclass(frozen=True)
class _Call(Timed):
    key: Annotated[Key, _ELSE]
    memory: str
    bytes_written: float
    page_faults: float

    @property
    def maps_anew(self) -> bool:
        """Whether a good part of the output lies in new pages at each call."""
        return self.page_faults > MANY * max(self.bytes_written, LARGE_BYTES) / PAGE_BYTES


def prices(rows: pd.DataFrame, verdicts: Verdicts) -> pd.DataFrame:
    """Return a `Price` for each backend with large outputs under both policies, among measured rows."""
    calls = [call for call in entries(rows, _Call) if call.bytes_written >= LARGE_BYTES]
    found: list[tuple[Key, Price]] = []
    order = backend_order(rows)
    places = parted(calls, lambda call: (call.backend, call.device))
    for (backend, device), own in sorted(places.items(), key=lambda place: order.index(place[0][0])):
        kept = {call.key: call for call in own if call.memory == "retained"}
        both = [(call, kept[call.key]) for call in own if call.memory == "released" and call.key in kept]
        if both:
            found.append(((), _price(backend, device, both, verdicts)))
    return assembled((), found, Price)


def _price(backend: str, device: str, both: Sequence[tuple[_Call, _Call]], verdicts: Verdicts) -> Price:
    standings = [verdicts.over(released, retained) for released, retained in both]
    ratios = pd.Series([each.ratio for each in standings])
    faults = pd.DataFrame([(kept.page_faults, released.page_faults) for released, kept in both])
    return Price(
        backend=backend,
        device=device,
        n_cases=len(both),
        ratio=geometric_mean(ratios),
        least=float(ratios.min()),
        most=float(ratios.max()),
        n_slower=sum(each.ahead for each in standings),
        n_equal=sum(each.verdict == EQUAL for each in standings),
        n_open=sum(each.verdict == CLOSE for each in standings),
        n_faster=sum(each.verdict == FASTER and each.behind for each in standings),
        retained_faults=float(faults[0].median()),
        released_faults=float(faults[1].median()),
    )


def sentences(found: pd.DataFrame) -> list[str]:
    """Say what the system's default costs each backend, and how to avoid it."""
    prices = entries(found, Price)
    dear = sorted((each for each in prices if each.n_slower), key=lambda each: -each.ratio)
    if not dear:
        return ["The system's default costs no backend surely more than 5 % of its time."] * bool(prices)
    told = [f"{each.backend} {quantities.times(each.ratio)} the time{_faults(each)}" for each in dear]
    cost = (
        f"For outputs of {quantities.size(LARGE_BYTES)} or more, the system's default costs "
        f"{quantities.listing(told, 12)}: freed memory goes back, and the system must find every new output page "
        "by page."
    )
    remedy = (
        f"To avoid it with glibc: `{REMEDY}`. Freed memory then stays with the process, so that other programs "
        "cannot have it before it ends."
    )
    return [cost, remedy]


def _faults(price: Price) -> str:
    n = price.released_faults
    return "" if math.isnan(n) else f" ({quantities.plural(round(n), 'page fault')} a call)"


def not_kept(rows: pd.DataFrame) -> list[str]:
    """Say which backends get new pages at each call although the process was to keep its memory."""
    calls = [call for call in entries(rows, _Call) if call.memory == "retained" and call.maps_anew]
    return [
        f"{backend} gets new pages at each call although memory was to be retained (up to "
        f"{quantities.count(max(call.page_faults for call in own))} page faults a call, "
        f"{quantities.plural(len(own), 'case')}): another allocator or C library, which the settings "
        "do not reach. Its times contain that."
        for backend, own in parted(calls, lambda call: call.backend).items()
    ]


def only(rows: pd.DataFrame) -> str:
    """Return the policy of a run that knows one alone; empty otherwise."""
    values = list(rows["memory"].unique())
    return str(values[0]) if len(values) == 1 else ""
