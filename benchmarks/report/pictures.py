"""Static pictures for papers and pull requests, through matplotlib, which nothing else here needs.

Which backend wins where, speed against size, and the share of the bandwidth limit: as wide as one or both columns
of a paper, readable in grey, and the same bytes whenever they are drawn from the same records. Only what passed
its cross-check is drawn; peers are hollow, and `~` stands beside what is doubtful.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from benchmarks import quantities
from benchmarks.analysis import peers, tables
from benchmarks.analysis.entries import entries
from benchmarks.analysis.study import Study
from benchmarks.record import schema
from benchmarks.record.schema import POLICIES
from benchmarks.report.palette import Style
from benchmarks.report.sections.heatmap import shade
from benchmarks.report.views import View, by_device, split
from benchmarks.stats.pairs import CLOSE, EQUAL, FASTER

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
PANELS = 12
"""Most ops on a page of speed against size."""
ROWS = 64
"""Most ops on a page of the other two."""
_COLUMN, _PAGE = 3.4, 7.0
"""Width of one column of a paper, and of both, in inches."""
_CELL = 0.42
"""Width of a cell in the map of winners, in inches."""
_LETTER, _LINE = 0.055, 0.13
"""About how wide a letter of a label is, and how high a line, in inches."""
_MARKERS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "triangle-up": "^",
    "triangle-down": "v",
    "cross": "P",
    "star": "*",
    "hexagon": "h",
}
"""The palette's symbols by matplotlib's names."""
_UNDATED: Mapping[str, Mapping[str, None]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
_LOOK = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.labelsize": 6,
    "ytick.labelsize": 6,
    "legend.fontsize": 7,
    "legend.title_fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.0,
    "lines.markersize": 4,
    "lines.markeredgewidth": 0.7,
    "errorbar.capsize": 1.5,
    "grid.linewidth": 0.4,
    "grid.color": "#dddddd",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "text.hinting": "none",  # letters as wide in every format: they share one layout
    "figure.dpi": 300,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "activation-bench",
    "pdf.fonttype": 42,  # TrueType, as publishers ask for
}

Looks = Mapping[str, Style]


def missing() -> str | None:
    """Return what to install where matplotlib is not there."""
    if find_spec("matplotlib") is None:
        return "matplotlib is not installed; install it with: pip install 'activation-bench[figures]'"
    return None


def draw(study: Study, looks: Looks, formats: Sequence[str]) -> dict[str, bytes]:
    """Return the pictures of a run in each of `formats`, some of FORMATS, by file name.

    `looks` has the style of every backend, in the order of the legends.
    """
    import matplotlib.style

    with matplotlib.style.context(["default", _LOOK]):
        return {
            f"{name}.{form}": _saved(figure, form) for name, figure in _pictures(study, looks) for form in formats
        }


def _saved(figure: Figure, form: str) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=form, metadata=_UNDATED[form])
    return file.getvalue()


def _laid_out(figure: Figure) -> Figure:
    """Lay out a figure, once for all formats."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _pictures(study: Study, looks: Looks) -> Iterator[tuple[str, Figure]]:
    """Yield each picture and its name, which tells the view and the page where there are several."""
    devices = [view for view in by_device(study.rows) if not view.across_devices]
    modes = split(study.rows, ("mode", "dtype", *POLICIES))
    charts: dict[str, tuple[list[View], Callable[[View], Iterator[Figure]]]] = {
        "winners": (devices, lambda view: _winner_pages(view, study, looks)),
        "speed": (modes, lambda view: _speed_pages(view, looks)),
        "limits": (devices, lambda view: _limit_pages(view, looks)),
    }
    for chart, (views, pages) in charts.items():
        for view in views:
            name = re.sub(r"[^\w+.]+", "-", f"{chart} {view.label}") if len(views) > 1 else chart
            figures = [_laid_out(figure) for figure in pages(view)]
            for i, figure in enumerate(figures, start=1):
                yield f"{name}-{i}" if len(figures) > 1 else name, figure


# Which backend wins where


def _winner_pages(view: View, study: Study, looks: Looks) -> Iterator[Figure]:
    """Yield maps of op by size: modes side by side as far as they fit."""
    cells = _winners(view.part_of(study.winners), study.rated)
    sizes = list(cells.sort_values("n_elements", kind="stable")["size"].unique())
    inches = max(1.0, _CELL * len(sizes))
    for ops in _chunks(list(cells["op"].unique()), ROWS):
        for modes in _chunks(list(cells["mode"].unique()), _fitting(ops, inches)):
            page = cells[cells["op"].isin(ops) & cells["mode"].isin(modes)]
            if len(page):
                yield _winner_page(page, sizes, looks, inches)


@dataclass(frozen=True)
class _Winner:
    op: str
    size: str
    fastest: str
    outcome: str
    times: float
    about: bool


def _winners(winners: pd.DataFrame, rated: pd.DataFrame) -> pd.DataFrame:
    """Return the first of each case, and how much faster: than the baseline or, without one, the runner-up."""
    keys = [*schema.CASE, "fastest"]
    facts = rated.rename(columns={"backend": "fastest"})[[*keys, "device_name", "speedup", "doubt"]]
    found = winners.merge(facts, on=keys, how="left")
    over_baseline = bool(found["speedup"].notna().any())
    shapes = bool(found.duplicated(["op", "mode", "n_elements"]).any())
    return found.assign(
        times=found["speedup"] if over_baseline else found["ratio"],
        over=tables.BASELINE if over_baseline else "the runner-up",
        about=found["verdict_doubtful"].astype(bool) | found["doubt"].ne(""),
        by="shape" if shapes else "elements",
        size=found["shape"] if shapes else found["n_elements"].map(quantities.count),
    )


def _winner_page(cells: pd.DataFrame, sizes: Sequence[str], looks: Looks, inches: float) -> Figure:
    ops, modes = list(cells["op"].unique()), list(cells["mode"].unique())
    notes = [f"First backend, and its speed-up over {cells['over'].iloc[0]}"]
    shared = [outcome for outcome in (EQUAL, CLOSE) if (cells["outcome"] == outcome).any()]
    notes += [f"white: {' or '.join(shared)}: others are as fast, or may be"] * bool(shared)
    figure, panels = _rows(ops, modes, inches, below=0.7 * _LETTER * max(map(len, sizes)))
    for mode, panel in zip(modes, panels, strict=True):
        panel.set(xlim=(-0.5, len(sizes) - 0.5), xticks=range(len(sizes)), xlabel=cells["by"].iloc[0])
        panel.set_xticklabels(sizes, rotation=35, ha="right", rotation_mode="anchor")
        panel.tick_params(length=0)
        for winner in entries(cells[cells["mode"] == mode], _Winner):
            _winner_cell(panel, sizes.index(winner.size), ops.index(winner.op), winner, looks[winner.fastest])
    notes += ["~: doubtful"] * bool(cells["about"].any())
    _explain(figure, cells, cells["fastest"], looks, notes)
    return figure


def _winner_cell(panel: Axes, x: int, y: int, winner: _Winner, style: Style) -> None:
    from matplotlib.patches import Rectangle

    times = winner.times
    strength = (
        0.0 if winner.outcome != FASTER else 0.15 if math.isnan(times) else 0.15 + 0.5 * max(0.0, shade(times))
    )
    colour = (style.colour, strength)
    panel.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor="#bbbbbb", linewidth=0.3))
    panel.plot(x - 0.32, y, **_mark(winner.fastest, style))
    text = "~" * winner.about + quantities.times(times)
    panel.text(x + 0.13, y, text, fontsize=5.5, ha="center", va="center_baseline")


# Speed against size


def _speed_pages(view: View, looks: Looks) -> Iterator[Figure]:
    """Yield throughput against size, an op a panel, all panels with the same axes."""
    rows = view.rows[view.rows["gigabytes_per_s"].gt(0) & view.rows["n_elements"].gt(0)]
    rows = rows.assign(limit=rows["gigabytes_per_s"] / rows["fraction_of_bandwidth"])
    for ops in _chunks(list(rows["op"].unique()), PANELS):
        yield _speed_page(rows[rows["op"].isin(ops)], rows, looks)


def _speed_page(rows: pd.DataFrame, board: pd.DataFrame, looks: Looks) -> Figure:
    from matplotlib.figure import Figure

    ops = list(rows["op"].unique())
    across = min(3, len(ops))
    down = math.ceil(len(ops) / across)
    width = _COLUMN if across == 1 else _PAGE
    figure = Figure(figsize=(width, 0.6 + 1.6 * down), layout="constrained")
    panels = list(figure.subplots(down, across, sharex=True, sharey=True, squeeze=False).flat)
    _logarithmic(panels[0], "x", board["n_elements"], _elements)
    rates = pd.concat([board["gigabytes_per_s"], board["limit"]])
    _logarithmic(panels[0], "y", rates, lambda rate: f"{rate:g}")
    for op, panel in zip(ops, panels, strict=False):
        _speed_panel(panel, rows[rows["op"] == op], looks)
        panel.set_title(op)
    for panel in panels[len(ops) :]:
        panel.remove()
    for panel in panels[max(0, len(ops) - across) : len(ops)]:  # the lowest of its column
        panel.tick_params(labelbottom=True)
        panel.set_xlabel("elements")
    for panel in panels[: len(ops) : across]:
        panel.set_ylabel("GB/s")
    notes = ["Bytes to move over the median time, with its 95 % interval"]
    notes += ["dotted: the bandwidth limit"] * bool(rows["limit"].notna().any())
    away = [str(device) for device in rows["device"].unique() if device != "cpu"]
    notes += [f"dashed: {quantities.listing(away)}"] * bool(away)
    notes += ["~: doubtful"] * bool(rows["warning"].ne("").any())
    _explain(figure, rows, rows["backend"], looks, notes)
    return figure


def _speed_panel(panel: Axes, rows: pd.DataFrame, looks: Looks) -> None:
    panel.grid(visible=True)
    for _, here in rows.dropna(subset="limit").groupby("device", sort=False):
        known = here.groupby("n_elements")["limit"].first()
        panel.plot(known.index.astype(float), known, ":", color="#444444", linewidth=0.9)
    for (name, device), line in rows.groupby(["backend", "device"], sort=False):
        line = line.sort_values("n_elements", kind="stable")
        size, rate = line["n_elements"].astype(float), line["gigabytes_per_s"]
        moved = rate * line["median_s"]
        ends = (rate - moved / line["ci95_high_s"], moved / line["ci95_low_s"] - rate)
        bars = [end.where(end.between(0, rate.max() * 10)) for end in ends]  # an end may be unknown, or infinite
        dash = "--" if device != "cpu" else "-"
        # Several shapes of one size are no line.
        style = _mark(str(name), looks[str(name)]) | {"linestyle": "none" if size.duplicated().any() else dash}
        panel.errorbar(size, rate, yerr=bars, elinewidth=0.6, **style)
        _doubt(panel, zip(size, rate, line["warning"], strict=True))


# How close to the limit


def _limit_pages(view: View, looks: Looks) -> Iterator[Figure]:
    """Yield the share of the limit that each backend reaches at each op's largest size, modes side by side."""
    rows = view.rows[view.rows["fraction_of_bandwidth"].gt(0)]
    rows = rows[rows["n_elements"] == rows.groupby(["op", "mode"])["n_elements"].transform("max")]
    inches = 1.6
    for ops in _chunks(list(rows["op"].unique()), ROWS):
        for modes in _chunks(list(rows["mode"].unique()), _fitting(ops, inches)):
            page = rows[rows["op"].isin(ops) & rows["mode"].isin(modes)]
            if len(page):
                yield _limit_page(page, looks, inches)


def _limit_page(rows: pd.DataFrame, looks: Looks, inches: float) -> Figure:
    ops, modes = list(rows["op"].unique()), list(rows["mode"].unique())
    sizes = rows["n_elements"].unique()
    at = quantities.plural(int(sizes[0]), "element") if len(sizes) == 1 else "the largest size of each op"
    figure, panels = _rows(ops, modes, inches, below=_LINE)
    for mode, panel in zip(modes, panels, strict=True):
        _logarithmic(panel, "x", pd.concat([rows["fraction_of_bandwidth"], pd.Series([1.0])]), _percent)
        panel.set_xlabel("share of the bandwidth limit")
        panel.grid(visible=True)
        panel.axvline(1.0, color="#444444", linewidth=0.9, linestyle=":")
        for name, dots in rows[rows["mode"] == mode].groupby("backend", sort=False):
            share, y = dots["fraction_of_bandwidth"], dots["op"].map(ops.index)
            panel.plot(share, y, linestyle="none", **_mark(str(name), looks[str(name)]))
            _doubt(panel, zip(share, y, dots["warning"], strict=True))
    notes = [f"Share of the memory bandwidth of a copy, or of reading, at {at}"]
    notes += ["~: doubtful"] * bool(rows["warning"].ne("").any())
    _explain(figure, rows, rows["backend"], looks, notes)
    return figure


# What they share


def _chunks(names: Sequence[str], most: int) -> list[Sequence[str]]:
    return [names[start : start + most] for start in range(0, len(names), most)]


def _label_inches(ops: Sequence[str]) -> float:
    return _LETTER * max(map(len, ops)) + 0.2


def _fitting(ops: Sequence[str], inches: float) -> int:
    """Return how many panels of a width fit a page beside the ops' names, at least one."""
    return max(1, int((_PAGE - _label_inches(ops)) / inches))


def _rows(ops: Sequence[str], modes: Sequence[str], inches: float, below: float) -> tuple[Figure, list[Axes]]:
    """Return a figure with a line for each op, and its panels, one for each mode; `below` them go the sizes."""
    from matplotlib.figure import Figure

    needed = _label_inches(ops) + inches * len(modes)
    width = _COLUMN if needed <= _COLUMN else max(_PAGE, needed)
    figure = Figure(figsize=(width, 0.6 + below + _LINE * len(ops)), layout="constrained")
    panels = list(figure.subplots(1, len(modes), sharey=True, squeeze=False).flat)
    panels[0].set(ylim=(len(ops) - 0.5, -0.5), yticks=range(len(ops)), yticklabels=ops)
    for mode, panel in zip(modes, panels, strict=True):
        panel.set_title(mode)
    return figure, panels


def _mark(name: str, style: Style) -> dict[str, Any]:
    """Return how a backend's points are drawn."""
    face = "white" if name.endswith(peers.MARK) else style.colour
    return {"color": style.colour, "marker": _MARKERS[style.symbol], "markerfacecolor": face}


def _doubt(panel: Axes, points: Iterator[tuple[float, float, str]]) -> None:
    """Write `~` beside the points that have a warning, in front of whatever else lies there."""
    style: dict[str, Any] = {"fontsize": 8, "fontweight": "bold", "va": "center", "zorder": 5}
    for x, y, warning in points:
        if warning:
            panel.annotate("~", (x, y), xytext=(2.5, 0), textcoords="offset points", **style)


def _logarithmic(panel: Axes, side: Literal["x", "y"], values: pd.Series, form: Callable[[float], str]) -> None:
    """Make an axis logarithmic, wide enough for a power of ten to be in it."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = math.log10(float(values.min())), math.log10(float(values.max()))
    pad = max(0.1, 0.06 * (high - low), (1.01 - (high - low)) / 2)
    limits = (10 ** (low - pad), 10 ** (high + pad))
    panel.set(**{f"{side}scale": "log", f"{side}lim": limits})
    axis = panel.xaxis if side == "x" else panel.yaxis
    axis.set_major_locator(LogLocator(subs=(1.0, 3.0) if high - low < 2 else (1.0,)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: form(value)))


def _elements(count: float) -> str:
    """Return a power of ten as the label of a tick: `1`, `10k`, `1M`."""
    factor, unit = next(((f, u) for f, u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if count >= f), (1.0, ""))
    return f"{count / factor:g}{unit}"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _explain(figure: Figure, rows: pd.DataFrame, names: pd.Series, looks: Looks, notes: Sequence[str]) -> None:
    """Write above a figure what its rows share, what it shows, and which backend is which."""
    from matplotlib.lines import Line2D

    shown = [name for name in looks if name in set(names)]
    notes = [*notes, *[f"hollow, {peers.MARK}: another library"] * any(n.endswith(peers.MARK) for n in shown)]
    width = figure.get_figwidth() / _LETTER
    text = [textwrap.fill(line, int(width)) for line in (_shared(rows), "; ".join(notes))]
    handles = [Line2D([], [], linestyle="none", label=name, **_mark(name, looks[name])) for name in shown]
    lines = math.ceil(sum(len(name) + 7 for name in shown) / width)
    columns = math.ceil(len(shown) / lines)
    figure.legend(handles=handles, title="\n".join(text), ncols=columns, loc="outside upper center")
    figure.set_figheight(figure.get_figheight() + _LINE * (lines + "\n".join(text).count("\n") + 1))


def _shared(rows: pd.DataFrame) -> str:
    """Return what all rows have in common: mode, dtype, policies, devices."""
    same = [rows[key].iloc[0] for key in ("mode", "dtype", *POLICIES) if len(rows[key].unique()) == 1]
    devices = rows[["device", "device_name"]].drop_duplicates().itertuples(index=False)
    places = [f"{device} ({name})" if isinstance(name, str) else device for device, name in devices]
    return f"{', '.join(filter(None, same))} on {quantities.listing(places)}"
