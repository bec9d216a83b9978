"""Tables with a row per case and a column per backend, who leads in bold: for files and for papers."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import tables
from benchmarks.analysis.entries import entries
from benchmarks.analysis.limits import FACTS
from benchmarks.analysis.study import Study
from benchmarks.analysis.tables import CaseLead
from benchmarks.record.schema import CASE, POLICIES
from benchmarks.report.table import Cell, Column, Table, cases, explained


def medians(study: Study) -> Table:
    """Return the median time of every case and backend."""
    return _wide(study, study.medians, "Median time per call", "warning", quantities.seconds)


def speedups(study: Study) -> Table:
    """Return the speed-up of every case and backend over the baseline on the CPU."""
    title = f"Speed-up over {tables.BASELINE} on cpu (above 1 is faster)"
    return _wide(study, study.speedups, title, "doubt", lambda ratio: f"{quantities.number(ratio)}×")


def shares(study: Study) -> Table:
    """Return the share of the bandwidth limit that every backend reaches in every case."""
    wide = study.shares.set_index(list(CASE)).drop(columns=list(FACTS))
    return _wide(study, wide, "Share of the memory-bandwidth limit", "warning", quantities.percent)


def _wide(
    study: Study,
    wide: pd.DataFrame,
    title: str,
    doubt: str,
    form: Callable[[float], str],
) -> Table:
    """Return a table of numbers; `doubt` is the column of `rated` that says what makes them doubtful.

    Bold are the leader of a case and who shares its lead: an order of the numbers themselves would know no doubt.
    """
    if wide.empty:
        return Table((), title, ("No case was measured successfully.",))
    index = wide.index.to_frame(index=False)
    keys = ("mode", "dtype", "device", *POLICIES)
    shared = [str(index[key].iloc[0]) for key in keys if len(index[key].unique()) == 1]
    places = study.rated[["backend", *CASE]].itertuples(index=False, name=None)
    doubts = dict(zip(places, study.rated[doubt], strict=True))
    leads = {lead.case: lead.names for lead in entries(study.winners, CaseLead)}
    columns = [
        Column(
            str(name),
            tuple(
                Cell(quantities.MISSING)
                if pd.isna(value)
                else Cell(form(value), value, doubts[(name, *case)], best=name in leads[case])
                for case, value in zip(wide.index, wide[name], strict=True)
            ),
        )
        for name in wide.columns
    ]
    said = f"{', '.join(filter(None, shared))}. Bold: fastest, or equal to it, or too close to call."
    named = cases(index, first=["op"], perhaps=(*keys, "shape"))
    return explained(Table((*named, *columns), title, (said.removeprefix(". "),)))
