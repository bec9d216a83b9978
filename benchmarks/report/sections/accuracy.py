"""Tables of accuracy: the largest errors, the known deviations, and what accuracy costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.entries import entries, parted
from benchmarks.analysis.summary import ending
from benchmarks.record.schema import DEFAULTS
from benchmarks.report.table import Cell, Table, cases, numbers, of_rows, ratios, texts

KEY = (
    "Largest error in units of the last place, and the mean in brackets. `!` marks a known deviation, after the "
    "largest error elsewhere; `✕` a failure."
)
_MARKS = {"ok": ("✓", "good"), "known_deviation": ("!", "known")}


@dataclass(frozen=True)
class _Check:
    op: str
    mode: str
    dtype: str
    backend: str
    device: str
    saved: str
    status: str
    reason: str
    n_points: float
    max_ulp: float
    max_ulp_elsewhere: float
    mean_ulp: float
    worst_input: float
    budget_ulp: float

    @property
    def what(self) -> str:
        """The mode, and what it starts from where that is not the usual."""
        return self.mode if self.saved == DEFAULTS["saved"] else f"{self.mode} from {self.saved}"


def errors(rows: pd.DataFrame, *, means: bool = False) -> list[Table]:
    """Return a table per dtype and device: op and mode down, backends across, largest errors in ULP.

    With `means`, mean errors stand in brackets instead of the marks of what is good.
    """
    found = []
    checked = rows[rows["status"] != "unavailable"]
    for (dtype, device), checks in parted(
        entries(checked, _Check), lambda check: (check.dtype, check.device)
    ).items():
        backends = sorted(dict.fromkeys(c.backend for c in checks), key=lambda name: name != tables.BASELINE)
        lines = []
        for (op, mode), case in parted(checks, lambda check: (check.op, check.what)).items():
            cells = {check.backend: _mean(check) if means else _error(check) for check in case}
            budget = max(check.budget_ulp for check in case)
            shown = [cells.get(backend, Cell()) for backend in backends]
            lines.append((Cell(op), Cell(mode), Cell(quantities.number(budget), budget), *shown))
        numeric = (False, False, *(True,) * (len(backends) + 1))
        table = of_rows(("op", "mode", "budget", *backends), lines, numeric, f"{dtype} on {device}")
        found.append(replace(table, facets={"dtype": dtype, "device": device}))
    return found


def _error(check: _Check) -> Cell:
    error = check.max_ulp
    mark, style = _MARKS.get(check.status, ("✕", "bad"))
    number = "" if math.isnan(error) and style == "bad" else quantities.number(error)
    if style == "known":
        number, mark = quantities.number(check.max_ulp_elsewhere), f"! {number}"
    points = "" if math.isnan(check.n_points) else f"{quantities.plural(int(check.n_points), 'point')}, "
    tip = (
        f"{check.backend} {check.op} {check.what}: {points}mean {quantities.number(check.mean_ulp)} ULP, "
        f"worst at x = {quantities.number(check.worst_input)}"
    )
    tip += "" if check.status == "ok" else f"; {ending(check.status)}: {check.reason}"
    return Cell(f"{number} {mark}".strip(), error, style=style, tip=tip)


def _mean(check: _Check) -> Cell:
    largest, mean = quantities.number(check.max_ulp), quantities.number(check.mean_ulp)
    elsewhere = quantities.number(check.max_ulp_elsewhere)
    shown = {"ok": f"{largest} ({mean})", "known_deviation": f"{elsewhere} ({mean}) ! {largest}"}
    return Cell(shown.get(check.status, f"✕ {largest}"), check.max_ulp)


def known_deviations(rows: pd.DataFrame) -> Table:
    """Return the known deviations, one line per reason."""
    known = entries(rows[rows["status"] == "known_deviation"], _Check)
    lines = []
    for reason, checks in parted(known, lambda check: check.reason).items():
        worst = max(checks, key=lambda check: -math.inf if math.isnan(check.max_ulp) else check.max_ulp)
        lines.append(
            (
                Cell(quantities.listing(list(dict.fromkeys(check.backend for check in checks)))),
                Cell(quantities.listing(sorted({f"{check.op} {check.what}" for check in checks}), 8)),
                Cell(", ".join(dict.fromkeys(check.dtype for check in checks if check.dtype))),
                Cell(f"{quantities.number(worst.max_ulp)} ULP", worst.max_ulp),
                Cell(quantities.number(worst.worst_input)),
                Cell(reason),
            )
        )
    headings = ("backend", "op", "dtype", "largest error", "at x =", "why")
    return of_rows(headings, lines, (False, False, False, True, True, False), "Known deviations, each reason once")


def prices(found: pd.DataFrame) -> Table:
    """Return the cases whose fastest backend errs by more than its budget, and the fastest accurate backend."""
    doubts = ["a result has a warning" * bool(doubtful) for doubtful in found["doubtful"]]
    prices = found.rename(columns={"low": "price_low", "high": "price_high"})
    columns = (
        *cases(found),
        texts("first", found["fastest"]),
        numbers("its error", found["fastest_ulp"], unit="ULP"),
        numbers("allowed", found["budget_ulp"], unit="ULP"),
        texts("first within", [name or "none" for name in found["accurate"]]),
        numbers("its error", found["accurate_ulp"], unit="ULP"),
        ratios("its time over the first's", prices, "price", "verdict", doubts),
    )
    return Table(columns, "Where the backend of the smallest time is not accurate everywhere")
