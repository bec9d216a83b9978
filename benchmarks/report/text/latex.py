"""LaTeX tables: medians, speed-ups and shares of the limit, as wide as a page, for a paper.

They need the packages `booktabs` and, where a table does not fit a page, `longtable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import peers, tables
from benchmarks.analysis.limits import FACTS
from benchmarks.record import schema
from benchmarks.record.schema import POLICIES
from benchmarks.report.text.markdown import doubtful

_PAGE_ROWS = 45
"""More rows do not fit a page, and take an environment that breaks."""
_BREAKING: Mapping[str, Any] = {"environment": "longtable"}
_FLOATING: Mapping[str, Any] = {"environment": "table*", "position": "tbp", "position_float": "centering"}
_SUPERSCRIPTS = {
    high: rf"\textsuperscript{{{low}}}" for high, low in zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True)
}
_ESCAPES = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        **_SUPERSCRIPTS,
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"$\sim$",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        "µ": r"\textmu{}",
        "×": r"\texttimes{}",
        "–": "--",
        "−": r"\textminus{}",
        "∞": r"$\infty$",
        peers.MARK: r"\textdagger{}",
        "\n": " ",
    }
)
"""What LaTeX would take for a command, and signs that not every font of its has."""


def escape(text: object) -> str:
    """Return text that LaTeX sets as it is."""
    return str(text).translate(_ESCAPES)


def medians(records: pd.DataFrame) -> str:
    """Return the medians as a LaTeX table, the fastest in bold."""
    return _table(records, tables.medians(records), "Median time per call", "warning", quantities.seconds, "min")


def speedups(records: pd.DataFrame) -> str:
    """Return the speed-ups over the baseline as a LaTeX table, the fastest in bold."""
    wide = tables.speedups(records, baseline_device="cpu")
    title = f"Speed-up over {tables.BASELINE} on cpu"
    return _table(records, wide, title, "doubt", lambda ratio: f"{quantities.number(ratio)}×", "max")


def limits(records: pd.DataFrame, shares: pd.DataFrame) -> str:
    """Return the shares of the bandwidth limit, of `limits.closeness`, as a LaTeX table, the largest in bold."""
    wide = shares.set_index(list(schema.CASE)).drop(columns=list(FACTS))
    return _table(records, wide, "Share of the memory-bandwidth limit", "warning", quantities.percent, "max")


def _table(
    records: pd.DataFrame,
    wide: pd.DataFrame,
    title: str,
    doubt: str,
    form: Callable[[float], str],
    best: Literal["min", "max"],
) -> str:
    """Return numbers by case and backend as a table; what all cases share moves to its caption."""
    cases = wide.index.to_frame(index=False)
    told = ["op", *tables.telling(cases, ("mode", "dtype", "device", *POLICIES, "shape"))]
    shared = [str(cases[key].iloc[0]) for key in ("mode", "dtype", "device", *POLICIES) if key not in told]
    numbers = wide.reset_index(drop=True)
    marks = doubtful(records, doubt)
    texts = pd.DataFrame(
        {
            name: [
                quantities.MISSING if pd.isna(value) else "~" * ((*case, name) in marks) + form(value)
                for case, value in zip(wide.index, wide[name], strict=True)
            ]
            for name in wide.columns
        }
    )
    elements = cases["n_elements"].map(quantities.count).rename("elements")
    frame = pd.concat([cases[told], elements, texts], axis="columns")
    bold = numbers.eq(numbers.agg(best, axis="columns"), axis="index").reindex(
        columns=frame.columns, fill_value=False
    )
    keys = [peers.KEY] * any(str(name).endswith(peers.MARK) for name in wide.columns)
    keys += ["~: doubtful."] * any(text.startswith("~") for name in texts for text in texts[name])
    caption = " ".join([f"{title} ({', '.join(filter(None, shared))}). Bold: fastest.", *keys])
    style = frame.style.hide(axis="index").format(escape).format_index(escape, axis="columns")
    style = style.apply(lambda _: bold.replace({True: "textbf:--rwrap;", False: ""}), axis=None)
    breaks = len(frame) > _PAGE_ROWS
    layout = _BREAKING if breaks else _FLOATING
    packages = "booktabs, longtable" if breaks else "booktabs"
    columns = "l" * len(told) + "r" * (1 + len(wide.columns))
    text = style.to_latex(hrules=True, column_format=columns, caption=escape(caption), **layout)
    return f"% \\usepackage{{{packages}}}\n{text}"
