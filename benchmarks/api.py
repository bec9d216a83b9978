"""From Python: measure or load a run, read its tables, ask it, draw it; and check a function of your own.

A facade: everything here is done by the rooms above. In an installed package, `import activation_bench` has these
names.
"""

from __future__ import annotations

import html
import math
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import backends
from backends.calling import lines as call_lines
from backends.catalogue import find
from backends.interface import Backend, OpSpec
from benchmarks import invocation, processes
from benchmarks.analysis import recommend as advice
from benchmarks.analysis.answer import Answer, Question
from benchmarks.analysis.study import Study
from benchmarks.check import accuracy, samples, search
from benchmarks.plan import inputs
from benchmarks.quantities import number
from benchmarks.record import saved, teams
from benchmarks.record.frames import to_frame
from benchmarks.record.journal import JOURNALS
from benchmarks.record.run import Run
from benchmarks.record.schema import ACCURACY_COLUMNS, CHOICES, DTYPES, Accuracy, Check, Ending, Verdict, row
from benchmarks.record.shapes import label_of
from benchmarks.report.pages.report import boards_of, looks_of
from benchmarks.report.sections import first as first_screen

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Checked", "Result", "RunFailed", "call_lines", "check", "load", "measure", "recommend"]

RESULTS = Path("results")
"""Where runs lie, unless something else is said: in the current folder."""
CHARTS = ("speed", "front", "curve")
"""Throughput against size; accuracy beside speed; each function, with the errors of each backend."""
_LAST_LINES = 20

# --- a run ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Result:
    """A run, its tables as pandas frames, and its charts. Times are in seconds, errors in ULP.

    In a notebook it shows itself as what it found, and the table of medians.
    """

    run: Run

    @cached_property
    def study(self) -> Study:
        """Every table that is derived from the run, each computed when it is first asked for."""
        return Study(self.run)

    @property
    def records(self) -> pd.DataFrame:
        """One row a case, those without a result included; results/README.md says what each column means."""
        return self.run.records

    @property
    def medians(self) -> pd.DataFrame:
        """Median seconds a call: a row for each case, a column for each backend."""
        return self.study.medians

    @property
    def verdicts(self) -> pd.DataFrame:
        """Each two backends of a case compared, turn by turn: the faster one, the other, and how sure that is."""
        return self.run.pairs

    @property
    def accuracy(self) -> pd.DataFrame:
        """One row a check: op, mode, dtype, backend, its status, its largest error and what is allowed."""
        return self.run.accuracy

    def charts(self, kind: str = "speed", *, op: str | None = None) -> list[Figure]:
        """Return the report's charts of a kind (`CHARTS`), of all ops or of one, as plotly's figures.

        A notebook shows them; `write_html` and `write_image` are plotly's own. Raises ValueError for an unknown
        kind or op.
        """
        if kind not in CHARTS:
            raise ValueError(f"kind: must be one of {', '.join(CHARTS)}; got {kind!r}")
        name = None if op is None else find(op).name
        boards = boards_of(self.study, looks_of(self.run))[kind]
        return [
            _drawn(panel.figure, ", ".join(filter(None, [panel.title, board.label])))
            for board in boards
            for panel in board.panels
            if name in (None, panel.title)
        ]

    def __repr__(self) -> str:
        return f"<{first_screen.title(self.run)}: {len(self.records)} cases>"

    def _repr_html_(self) -> str:
        found = "".join(f"<p>{html.escape(each)}</p>" for each in self.study.summary.headline)
        medians = self.medians.to_html(na_rep="", float_format=lambda seconds: f"{seconds:.3g}")
        return f"<h4>{html.escape(first_screen.title(self.run))}</h4>{found}<p>Median seconds:</p>{medians}"


class RunFailed(RuntimeError):  # noqa: N818 - reads as the sentence it is
    """`pytest benchmarks` has ended with another status than 0; the message ends with its last lines.

    `result` is what was measured nevertheless, where only some of it failed; None if nothing was.
    """

    def __init__(self, status: int, lines: Iterable[str], result: Result | None) -> None:
        super().__init__("\n".join([f"pytest benchmarks ended with status {status}:", *lines]))
        self.status, self.result = status, result


def measure(
    ops: str | Iterable[str] = (),
    *,
    backends: str | Iterable[str] = (),
    dtypes: str | Iterable[str] = (),
    sizes: float | Iterable[float] = (),
    shapes: Iterable[Sequence[int]] = (),
    modes: str | Iterable[str] = (),
    devices: str | Iterable[str] = (),
    preset: str = "quick",
    time_budget: str | None = None,
    save: str | None = None,
    options: Sequence[str] = (),
    results: str | Path = RESULTS,
    echo: bool = False,
) -> Result:
    """Run `pytest benchmarks` in a process of its own with these options, and return what it measured.

    Give one name or size, or several; what you leave out is as at the command line. `options` are further options
    of it, word by word. `save` names the run, for `load`; runs lie in `results`. With `echo`, its output
    is printed as it comes. Raises RunFailed, with the last lines, if the run fails.
    """
    folder = Path(results).resolve()
    listed: Mapping[str, str | float | Iterable[object]] = {
        "--op": ops,
        "--backend": backends,
        "--dtype": dtypes,
        "--size": sizes,
        "--shape": [label_of(tuple(shape)) for shape in shapes],
        "--mode": modes,
        "--device": devices,
        "--time-budget": time_budget or (),
    }
    asked = [f"--preset={preset}", f"--results={folder}"]
    for option, values in listed.items():
        each = [values] if isinstance(values, (str, int, float)) else list(values)
        asked += [option, *map(str, each)] if each else []
    asked += [f"--benchmark-save={save}"] if save else []
    before = _journals(folder)
    status, lines = _carry_out([*processes.command(__package__), invocation.RUN, *asked, *options], echo=echo)
    made = sorted(_journals(folder) - before)
    result = Result(saved.load(str(made[-1]), folder)) if made else None
    if status or result is None:
        raise RunFailed(status, lines, result)
    return result


def load(run: str | None = None, *, results: str | Path = RESULTS) -> Result:
    """Return a run by its saved name, number, id or file; without one, the last run.

    Raises ValueError where there is none, with what there is.
    """
    return Result(saved.load_or_last(run, Path(results)))


def recommend(
    op: str,
    size: float | None = None,
    *,
    shape: Sequence[int] | None = None,
    run: Result | str | None = None,
    results: str | Path = RESULTS,
    dtype: str = "float32",
    mode: str = "forward",
    device: str | None = None,
    max_ulp: float | None = None,
    transfer: bool = False,
    threads: int | None = None,
    **policies: Any,
) -> Answer:
    """Return which backend to use for an op at a size (number of elements) or a whole shape: the command's answer.

    It comes from `run`, a result or a name as `load` takes, or from the last run. `threads` asks for one of a
    run's several numbers of threads, `policies` for another `allocation`, `cache`, `timing`, `memory`, `launch` or
    `saved`. `print` shows the answer in words, and `.call` has the lines that call the winner. Raises ValueError
    for what makes no sense, CannotTell, which is a ValueError, where the run has no answer, and TypeError for an
    unknown policy.
    """
    if unknown := sorted(policies.keys() - CHOICES.keys()):
        raise TypeError(f"recommend: takes {', '.join(CHOICES)} besides; got {', '.join(unknown)}")
    if threads is not None:
        policies["team"] = teams.label_of(threads)
    return advice.recommend(
        (run if isinstance(run, Result) else load(run, results=results)).run,
        Question(
            op=find(op).name,
            size=_n_elements(size, shape),
            dtype=dtype,
            mode=mode,
            device=device,
            shape=None if shape is None else label_of(tuple(shape)),
            max_ulp=max_ulp,
            transfer=transfer,
            **policies,
        ),
    )


def _n_elements(size: float | None, shape: Sequence[int] | None) -> int:
    """Return the number of elements that either asks for."""
    found = size if shape is None else math.prod(shape)
    if found is None:
        raise ValueError("size: must be given, or shape")
    if size not in (None, found):
        raise ValueError(f"size: must be the {found} elements of shape, or be left out; got {size}")
    if not (found >= 1 and found == int(found)):
        raise ValueError(f"size: must be a whole number of elements, at least 1; got {size!r}")
    return int(found)


def _journals(results: Path) -> set[Path]:
    return set((results / JOURNALS).glob("*.jsonl"))


def _carry_out(command: Sequence[str], *, echo: bool) -> tuple[int, list[str]]:
    """Run a command; return its status and the last lines of its output."""
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=processes.environment(),
        start_new_session=True,  # an interrupt in the terminal is for us, who pass it on, once
    ) as child:
        try:
            for line in child.stdout or ():
                last.append(line.rstrip())
                if echo:
                    print(line, end="", flush=True)
        except BaseException:
            child.send_signal(signal.SIGINT)  # it ends its workers and its record
            child.communicate()
            raise
    return child.returncode, list(last)


def _drawn(figure: Mapping[str, Any], title: str) -> Figure:
    """Return a chart of the page as a figure that stands alone: with a title, and a legend of what has a name."""
    from plotly.graph_objects import Figure  # late: it takes as long as reading a run

    drawn = Figure(figure)
    drawn.for_each_trace(lambda trace: trace.update(showlegend=bool(trace.name)))
    return drawn.update_layout(title=title, showlegend=True, margin={"t": 48, "l": 64})


# --- a function of your own -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Checked:
    """How right a function is: a check for each type, forward and, where its gradient is known, backward.

    It is right where every error is within `max_ulp` or, without one, within the op's own budget.
    """

    op: str
    checks: tuple[Accuracy, ...]
    max_ulp: float | None = None

    @property
    def right(self) -> bool:
        """Whether all of it is right."""
        return all(map(self._is_right, self.checks))

    @property
    def accuracy(self) -> pd.DataFrame:
        """One row a check, with the columns of `Result.accuracy`."""
        return to_frame([row(each) for each in self.checks], ACCURACY_COLUMNS)

    def _is_right(self, each: Accuracy) -> bool:
        if self.max_ulp is None or not isinstance(each.found, Verdict):
            return each.found.status == "ok"
        return each.found.max_ulp <= self.max_ulp

    def _told(self, each: Accuracy) -> str:
        found, what = each.found, f"{self.op} {each.check.mode}, {each.check.dtype}"
        if not isinstance(found, Verdict):
            return f"{what}: WRONG: {found.reason}"
        allowed = found.budget_ulp if self.max_ulp is None else self.max_ulp
        error = f"at most {number(found.max_ulp)} ULP at {found.n_points} points, {number(allowed)} allowed"
        if self._is_right(each):
            return f"{what}: right, {error}"
        return f"{what}: WRONG: {found.reason or error}"

    def __str__(self) -> str:
        return "\n".join(map(self._told, self.checks))

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def check(
    function: Callable[..., Any],
    op: str,
    *,
    framework: str = "numpy",
    device: str = "cpu",
    vjp: Callable[..., Any] | None = None,
    dtypes: Sequence[str] = ("float32",),
    parameters: Mapping[str, Any] | None = None,
    max_ulp: float | None = None,
) -> Checked:
    """Compare a function with the exact values of an op, at special values, kinks and every exponent.

    It is called with the op's inputs alone, as arrays of `framework`, a backend's name: NumPy arrays for `numpy`
    or `numba`, tensors for `torch`, JAX arrays for `jax`. `parameters` are those that it computes with, such as
    `{"approximate": "tanh"}`, if not the defaults. A loss that is a mean or a sum is compared on ordinary
    values; with `{"reduction": "none"}`, at special ones too. Its gradient with respect to the first input is
    `vjp(g, *inputs)` or, where the framework differentiates, the framework's own. What it raises is raised here.

    Raises ValueError for an unknown op, framework or type, and BackendUnavailable where the framework is missing.
    """
    spec, backend = find(op), backends.load(framework, device)
    given = dict(parameters or {})
    complete = spec.complete(given)
    if spec.along_axis and complete["axis"] != -1:
        raise ValueError(f"parameters: axis must be -1, along which rows are sampled; got {complete['axis']!r}")
    if unknown := [name for name in dtypes if name not in DTYPES]:
        raise ValueError(f"dtypes: must be some of {', '.join(DTYPES)}; got {', '.join(unknown)}")
    name = getattr(function, "__name__", type(function).__name__)
    calls = {"forward": function, "backward": vjp or backend.pullback(function)}
    checks = [
        Accuracy(
            check=(asked := Check(spec.name, mode, dtype, name, device)),
            kind=spec.kind,
            backend_version=backend.version,
            sample="designed",
            found=_found(call, backend, spec, asked, complete),
        )
        for dtype in dtypes
        for mode, call in calls.items()
        if call is not None
    ]
    return Checked(spec.name, tuple(checks), max_ulp)


def _found(
    call: Callable[..., Any], backend: Backend, spec: OpSpec, asked: Check, parameters: Mapping[str, Any]
) -> Verdict | Ending:
    """Return the verdict on one call at many points, or why what it returns cannot be compared."""
    sample = _sample(spec, asked, parameters)
    arrays = [None if array is None else backend.asarray(array) for array in sample.arrays]
    while arrays[-1] is None:  # optional inputs that are not given
        arrays.pop()
    cotangent = [] if sample.cotangent is None else [backend.asarray(sample.cotangent)]
    with np.errstate(all="ignore"):  # of infinite and undefined inputs, a formula may well warn
        result = call(*cotangent, *arrays)
    got = backend.to_numpy(result) if backend.is_native(result) else np.asarray(result)
    wanted = (asked.dtype, sample.expected.high.shape)
    if (str(got.dtype), got.shape) != wanted:
        reason = f"the result is {got.dtype} of shape {got.shape}, and should be {wanted[0]} of shape {wanted[1]}"
        return Ending(status="failed", reason=reason)
    return accuracy.assess(
        got,
        sample.expected,
        asked,
        parameters=parameters,
        first_input=sample.arrays[0],
        second_input=sample.arrays[1] if len(sample.arrays) > 1 else None,
        n_summed=accuracy.terms(spec, sample.arrays[0], parameters),
        complete=False,
        n_sample=sample.n_sample,
    )


def _sample(spec: OpSpec, asked: Check, parameters: Mapping[str, Any]) -> search.Sample:
    """Return points that find errors or, where all are summed, ordinary ones: one NaN would hide the others."""
    if parameters.get("reduction", "none") == "none":
        arrays = samples.designed_sample(spec.name, asked.dtype)
    else:
        arrays = inputs.draw(spec.name, (64, inputs.CLASSES), asked.dtype)
    return search.attempt(spec, asked.mode, asked.dtype, arrays, parameters)
