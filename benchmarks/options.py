"""Command line of `pytest benchmarks`: the options that select cases.

Loaded with `-p` after pytest-benchmark, so that `--benchmark-save` can be given without a name.
"""

from __future__ import annotations

import argparse
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.utils import get_commit_info

import backends
from backends.catalogue import find
from backends.interface import ALLOCATIONS, MODES
from benchmarks.cases import CACHES, DEVICES, DTYPES, PRESETS, TIMINGS, Case, Selection
from benchmarks.machine import cuda_driver_present, default_threads

UNNAMED = True
"""Value of `--benchmark-save` without a name. No string, which argparse would check as if it were typed."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("activation-bench")
    presets = "; ".join(f"{name}: {preset.summary}" for name, preset in PRESETS.items())
    group.addoption("--preset", default="quick", choices=tuple(PRESETS), help=f"what to run ({presets})")
    for option, parse, noun in (
        ("--op", _op, "an op's name"),
        ("--backend", _backend, "a backend's name"),
        ("--device", _one_of(DEVICES), " or ".join(DEVICES)),
        ("--dtype", _one_of(DTYPES), " or ".join(DTYPES)),
        ("--size", _size, "a number of elements, such as 1000000 or 1e6"),
        ("--mode", _one_of(MODES), " or ".join(MODES)),
        ("--allocation", _one_of(ALLOCATIONS), " or ".join(ALLOCATIONS)),
        ("--cache", _one_of(CACHES), " or ".join(CACHES)),
        ("--timing", _one_of(TIMINGS), " or ".join(TIMINGS)),
    ):
        group.addoption(
            option,
            action="extend",
            nargs="+",
            type=parse,
            metavar=option[2:].upper(),
            help=f"run only these: {noun}; may be repeated",
        )
    group.addoption(
        "--threads",
        type=_positive,
        metavar="N",
        help="threads a CPU backend may use (default: physical cores)",
    )
    group.addoption(
        "--time-budget",
        type=_seconds,
        metavar="TIME",
        help="total time for the timed rounds, such as 90s or 5min, shared equally by the cases and processes",
    )
    group.addoption(
        "--processes",
        type=_positive,
        default=1,
        metavar="N",
        help="measure every case in N worker processes, so that intervals cover how they differ (1)",
    )
    group.addoption(
        "--order-seed",
        type=_seed,
        metavar="SEED",
        help="seed of the order in which backends take turns (default: a new one, recorded with the run)",
    )
    group.addoption(
        "--keep-rounds",
        action="store_true",
        help="keep every round, as rounds.csv beside the report",
    )
    group.addoption(
        "--case-timeout",
        type=_seconds,
        default=120.0,
        metavar="TIME",
        help="give a case up after this (2min)",
    )
    group.addoption(
        "--in-process",
        action="store_true",
        help="run everything in this process, for debuggers and profilers; timings then disturb each other",
    )
    group.addoption(
        "--results",
        type=Path,
        metavar="FOLDER",
        help="where results go (default: results/ beside conftest.py)",
    )
    _extend_pytest_benchmark(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Complete pytest-benchmark's options before it reads them."""
    option = config.option
    if option.results is None:
        option.results = config.rootpath / "results"
    try:
        option.results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(f"--results: cannot write to {option.results}: {error}") from None
    if option.benchmark_storage == "file://./.benchmarks":
        option.benchmark_storage = f"file://{option.results / 'runs'}"
    if option.benchmark_save is UNNAMED:
        option.benchmark_save = default_name()
    elif option.benchmark_save and Path(option.benchmark_save).is_dir():
        raise pytest.UsageError(
            f"--benchmark-save: took the folder {option.benchmark_save!r} for a name; "
            "write --benchmark-save=NAME, or put --benchmark-save last"
        )
    _refuse_contradictions(option)


def _refuse_contradictions(option: argparse.Namespace) -> None:
    """Raise pytest.UsageError for options that cannot be kept together, or not here."""
    if option.in_process and option.processes > 1:
        raise pytest.UsageError(f"--processes: must be 1 with --in-process; got {option.processes}")
    if option.benchmark_cprofile:
        raise pytest.UsageError(
            "--benchmark-cprofile: kernels run in other processes; use a profiler and --in-process"
        )
    for name in option.backend or ():
        if reason := backends.missing(name):
            raise pytest.UsageError(f"--backend: {reason}")
        if option.device and not set(option.device) & set(devices := backends.declarations()[name].devices):
            raise pytest.UsageError(
                f"--device: {name} runs on {', '.join(devices)}; got {', '.join(option.device)}"
            )


def default_name() -> str:
    """Return a name for a run: the git commit, or the date outside a repository."""
    commit = get_commit_info()
    identifier = str(commit.get("id") or "")
    if re.fullmatch(r"[0-9a-f]{7,}", identifier):
        return identifier[:12] + ("-dirty" if commit.get("dirty") else "")
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def selection(config: pytest.Config) -> Selection:
    """Return what the command line selects."""
    option = config.option
    devices = option.device or (["cpu", "cuda"] if cuda_driver_present() else ["cpu"])
    return Selection(
        preset=option.preset,
        ops=_unique(option.op),
        backends=_unique(option.backend),
        devices=_unique(devices),
        dtypes=_unique(option.dtype),
        sizes=_unique(option.size),
        modes=_unique(option.mode),
        allocations=_unique(option.allocation) or (Case.allocation,),
        caches=_unique(option.cache) or (Case.cache,),
        timings=_unique(option.timing) or (Case.timing,),
    )


def threads(config: pytest.Config) -> int:
    """Return how many threads a CPU backend may use."""
    return int(config.option.threads or default_threads())


def _extend_pytest_benchmark(parser: pytest.Parser) -> None:
    # pytest has no public way to change another plugin's option: the attributes are those given to argparse.
    options = {name: option for option in parser.getgroup("benchmark").options for name in option.names()}
    options["--benchmark-save"].attrs().update(nargs="?", const=UNNAMED)


def _unique(values: list[Any] | None) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values or ()))


def _one_of(choices: tuple[str, ...]) -> Any:
    def parse(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"unknown name {text!r}; valid names: {', '.join(choices)}")
        return text

    return parse


def _op(text: str) -> str:
    try:
        return find(text).name
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _backend(text: str) -> str:
    return str(_one_of(backends.names())(text))


def _size(text: str) -> int:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not (math.isfinite(value) and value >= 1 and value == int(value)):
        raise argparse.ArgumentTypeError(f"must be a whole number of elements, at least 1; got {text!r}")
    return int(value)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1; got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 0; got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9.]+)\s*(s|min|h)?", text)
    try:
        value = float(match[1]) if match else 0.0
    except ValueError:
        value = 0.0
    if not match or value <= 0:
        raise argparse.ArgumentTypeError(f"must be a time such as 30s, 5min or 1h; got {text!r}")
    return value * {"s": 1, None: 1, "min": 60, "h": 3600}[match[2]]
