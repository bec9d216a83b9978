"""The pages that are looked at, each rendered once for all tests: with everything there is, and hostile names."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.analysis import runs
from benchmarks.analysis.study import Study
from benchmarks.judge import trend
from benchmarks.machine.caveat import Caveat
from benchmarks.record.frames import to_frame
from benchmarks.record.run import Run
from benchmarks.report.pages import report as page
from benchmarks.report.pages import runs as runs_page
from benchmarks.report.pages import trend as trend_page
from tests import synthetic
from tests.synthetic import HOSTILE, SIZES, failure, on_gpu, record
from tests.synthetic_history import saved_runs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page, Route

WIDE = {"width": 1280, "height": 900}
EYES = Path(__file__).with_name("eyes.js").read_text(encoding="utf-8")
QUOTED = "NVIDIA \"H100\" 'SXM' & <b>80 GiB</b>"


def varied() -> Run:
    """Return the made-up run with a second dtype and device, peers, and a warning."""
    rows = synthetic.records()
    for op, n in itertools.product(("sigmoid", "relu"), SIZES):
        rows += [record(backend, op, n=n, dtype="float64") for backend in synthetic.COSTS]
        rows.append(on_gpu(record("torch", op, n=n)) | {"device_name": QUOTED})
        rows += [record(backend, op, n=n, peer=True) for backend in ("scipy", "numexpr")]
        wrong = failure("onnxruntime", "inaccurate", "300 ULP at x = 88.7 where 4 are allowed", op=op, n=n)
        rows.append({**wrong, "peer": True})
    return synthetic.run(
        records=to_frame(rows),
        bandwidth=synthetic.bandwidth("cpu", "cuda"),
        machine=synthetic.MACHINE | {"gpu": [QUOTED]},
        warnings=(Caveat("other processes used 31 % of the processors"),),
        saved_as=HOSTILE,
    )


@cache
def of_a_run() -> str:
    return page.render(Study(varied()))


@cache
def of_a_large_run() -> str:
    return page.render(Study(synthetic.large_run()))


@cache
def of_several_runs() -> str:
    other = replace(synthetic.server(device_name=QUOTED), saved_as=HOSTILE)
    beside = runs_page.beside(runs.label([("desk", synthetic.run()), ("server", other)]))
    return runs_page.render(beside, runs.flat(beside.runs, beside.rows))


@cache
def of_trends() -> str:
    records = pd.concat(saved_runs(), ignore_index=True)
    return trend_page.render(trend.trends(records.assign(saved_as=HOSTILE, device_name=QUOTED)), 0.05)


PAGES: dict[str, Callable[[], str]] = {"report": of_a_run, "runs": of_several_runs, "trend": of_trends}


def opened(browser: Browser, path: Path, html: str) -> tuple[Page, list[str]]:
    """Return a tab that shows `html`, and a list that what goes wrong there is added to."""
    path.write_text(html, encoding="utf-8")
    # Without motion, nothing is still on its way when it is looked at.
    context = browser.new_context(viewport=WIDE, reduced_motion="reduce", color_scheme="light")
    context.set_default_timeout(60_000)  # a busy machine takes its time to draw
    page = context.new_page()
    wrong: list[str] = []

    def refuse(route: Route) -> None:
        wrong.append(f"request: {route.request.url}")
        route.abort()

    def dismiss(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    context.route(lambda url: url.partition("#")[0] != path.as_uri(), refuse)
    page.on("console", lambda line: line.type in ("error", "warning") and wrong.append(f"console: {line.text}"))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("dialog", dismiss)
    page.goto(path.as_uri())
    page.evaluate(EYES)
    return page, wrong
