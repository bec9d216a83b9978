"""What an answer is set beside where that is asked for: the same in another type, or the parts of a fused op."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from backends.catalogue import OPS
from benchmarks.analysis.answer import Question
from benchmarks.analysis.dtypes import BEST, GainCase, gains
from benchmarks.analysis.entries import entries
from benchmarks.analysis.fusions import FusedCase
from benchmarks.analysis.study import Study
from benchmarks.exits import CannotTell
from benchmarks.quantities import listing, plural
from benchmarks.record.schema import POLICIES


def other_types(study: Study, question: Question, dtypes: Sequence[str]) -> list[GainCase]:
    """Return what each of several types gains and costs, beside the usual one, where a question asks for them.

    Raises CannotTell where the run did not measure two of them there.
    """
    rows = study.erring
    found = _about(gains(rows[rows["dtype"].isin(dtypes)], study.verdicts), question)
    if found.empty:
        raise CannotTell(
            f"--dtype: this run did not measure {listing(dtypes)} alike, with {plural(question.size, 'element')}. "
            f"Run: pytest benchmarks --op {question.op} --size {question.size} --mode {question.mode} "
            f"--dtype {' '.join(dtypes)}"
        )
    return entries(found, GainCase)


def parts(study: Study, question: Question) -> list[FusedCase]:
    """Return how a fused op compares with its parts, where a question asks for it.

    Raises ValueError for an op that fuses no others, CannotTell where the run did not measure all of them there.
    """
    if not (names := OPS[question.op].fuses):
        fused = listing([name for name, spec in OPS.items() if spec.fuses], 12)
        raise ValueError(f"--fused: {question.op} fuses no other functions; those that do are {fused}")
    found = _about(study.fusions, question)
    found = found[found["dtype"] == question.dtype]
    if found.empty:
        asked = [question.op, *names]
        raise CannotTell(
            f"--fused: this run did not measure {listing(asked)} alike, with {plural(question.size, 'element')}. "
            f"Run: pytest benchmarks --op {' '.join(asked)} --size {question.size}"
        )
    return entries(found, FusedCase)


def _about(found: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Return the rows of the case that a question is about, of any type.

    What is recommended there is so within the budget: it is left out where the question has limits of its own.
    """
    if question.max_ulp is not None or question.max_memory is not None:
        found = found[found["backend"] != BEST]
    asked: dict[str, object] = {"op": question.op, "n_elements": question.size, "mode": question.mode}
    asked |= {name: getattr(question, name) for name in POLICIES}
    asked |= {name: wanted for name in ("device", "shape") if (wanted := getattr(question, name)) is not None}
    for name, wanted in asked.items():
        found = found[found[name] == wanted]
    return found
