"""Command line of `pytest benchmarks`: what is measured, how precisely, and where results go.

Loaded with `-p` after pytest-benchmark, so that `--benchmark-save` can be given without a name.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Generator
from contextlib import ExitStack
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest
from pytest_benchmark.utils import get_commit_info

from backends.interface import index_of
from benchmarks import invocation
from benchmarks.plan import arguments, availability, candidates, spelling
from benchmarks.plugin import resume, shard, suites

GROUP = "activation-bench"
TITLE = (
    "activation-bench, such as: pytest benchmarks --op gelu relu --size 1e6 --dtype float32 bfloat16\n"
    "An option of several values takes all words up to the next option, so put folders first. See docs/cases.md"
)
"""What stands above our options in pytest's help, and before all others."""

UNNAMED = True
"""Stands for `--benchmark-save` without a name. Not a string: argparse would parse that as if you had typed it."""

TABLES = ("--benchmark-columns", "--benchmark-sort", "--benchmark-group-by", "--benchmark-name")
"""Whoever writes one of these wants to see pytest-benchmark's tables."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup(GROUP, TITLE, after="_anonymous")
    arguments.add_options(group.addoption, several_threads=True)
    candidates.add_option(group.addoption)
    candidates.add_options(group.addoption)
    group.addoption(
        "--time-budget",
        type=arguments.seconds,
        metavar="TIME",
        help="time for the whole run, such as 90s or 10min; more time decides more (default: about 2min for the "
        "plain quick preset, otherwise no limit)",
    )
    arguments.add_margin(group.addoption)
    group.addoption(
        "--check",
        choices=("timed", "all"),
        help="check the types and modes that are timed, or all (default: timed; all if only the checks run)",
    )
    group.addoption(
        "--processes",
        type=arguments.positive,
        default=1,
        metavar="N",
        help="measure each case in N processes, so that its interval covers how processes differ (default: 1)",
    )
    group.addoption(
        "--order-seed",
        type=arguments.seed,
        metavar="SEED",
        help="seed of the order in which backends take turns (default: a new one, recorded with the run)",
    )
    group.addoption(
        "--keep-rounds",
        action="store_true",
        help="write every round to rounds.csv, beside the report (default: not)",
    )
    group.addoption(
        "--in-process",
        action="store_true",
        help="run everything in this process, for debuggers and profilers; backends then disturb each other "
        "(default: a process each)",
    )
    group.addoption(
        "--results",
        type=arguments.path,
        metavar="FOLDER",
        help="where results go (default: results/ in the checkout, or in the current folder)",
    )
    group.addoption(
        "--host",
        type=arguments.given,
        metavar="NAME",
        help="what tells this machine from equal ones, or none (default: a keyed hash of its name; none in CI)",
    )
    shard.add_options(group)
    resume.add_options(group)
    _extend_pytest_benchmark(parser)


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, object, object]:
    """Let pytest name, where it refuses an unknown option, the one of ours that is nearest to it."""
    result = yield
    _, unknown = parser.parse_known_and_unknown_args(args, copy(early_config.option))
    ours = [name for option in parser.getgroup(GROUP).options for name in option.names()]
    if hint := spelling.options_meant(unknown, ours):
        parser.extra_info["did you mean"] = hint  # shown below each usage error
    return result


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Complete pytest-benchmark's options before it reads them."""
    config.stash[suites.BEGUN] = monotonic()
    option = config.option
    _refuse_contradictions(option)
    _refuse_distribution(config)
    _make_known(config)
    if not hasattr(config, "workerinput") and (reason := availability.missing(option)):
        raise pytest.UsageError(reason)
    if option.results is None:
        option.results = config.rootpath / "results"
    try:
        option.results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise pytest.UsageError(f"--results: cannot write to {option.results}: {error}") from None
    _refuse_what_cannot_be_saved(option)
    if option.benchmark_storage == "file://./.benchmarks":
        option.benchmark_storage = f"file://{option.results / 'runs'}"
    if not hasattr(config, "workerinput"):
        resume.configure(config)
    if option.benchmark_save is UNNAMED:
        option.benchmark_save = default_name()
    elif option.benchmark_save and Path(option.benchmark_save).is_dir():
        raise pytest.UsageError(
            f"--benchmark-save: took the folder {option.benchmark_save!r} for a name; "
            "write --benchmark-save=NAME, or put --benchmark-save last"
        )


def _make_known(config: pytest.Config) -> None:
    """Let the candidates of the command line be backends to the end; raise pytest.UsageError if one cannot."""
    option = config.option
    try:
        option.candidate = candidates.asked(option, option.candidate or (), option.op or ())
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    stack = ExitStack()
    stack.enter_context(candidates.known(option.candidate))
    config.add_cleanup(stack.close)


def _refuse_contradictions(option: argparse.Namespace) -> None:
    """Raise pytest.UsageError for options that contradict each other, or that cannot work here."""
    if option.in_process and option.processes > 1:
        raise pytest.UsageError(f"--processes: must be 1 with --in-process; got {option.processes}")
    if option.in_process and len(set(option.threads or ())) > 1:
        raise pytest.UsageError("--threads: must be one number with --in-process: a process has only one")
    if option.in_process and len({index_of(each) for each in option.device or () if each != "cpu"}) > 1:
        raise pytest.UsageError("--device: must be one GPU with --in-process: a process can wait for only one")
    if option.benchmark_cprofile:
        raise pytest.UsageError(
            "--benchmark-cprofile: kernels run in other processes; use a profiler with --in-process instead"
        )
    if reason := arguments.contradiction(option):
        raise pytest.UsageError(reason)


def _refuse_distribution(config: pytest.Config) -> None:
    """Raise pytest.UsageError where xdist would time in several processes: they would disturb each other.

    Asked in the main process alone. The correctness suite may be distributed; what a worker of it finds is in its
    journal, and in no table.
    """
    option = config.option
    if not suites.is_distributed(option) or option.benchmark_disable or option.benchmark_skip:
        return
    if suites.is_timing(config) and any(suites.selects(option.markexpr, marker) for marker in suites.TIMED):
        checking = invocation.as_called("pytest benchmarks/test_correctness.py")
        raise pytest.UsageError(
            "-n: several processes would disturb each other's times; measure without -n, or only check: "
            f"{checking} -n 2"
        )


def _refuse_what_cannot_be_saved(option: argparse.Namespace) -> None:
    """Raise pytest.UsageError for files that pytest-benchmark could not write in the end."""
    if (path := option.benchmark_json) and (reason := _unwritable(path)):
        raise pytest.UsageError(f"--benchmark-json: cannot write {str(path)!r}: {reason}")
    if isinstance(option.benchmark_save, str):
        longest = os.pathconf(option.results, "PC_NAME_MAX") - len("0001_.json")
        if (n := len(os.fsencode(option.benchmark_save))) > longest:
            raise pytest.UsageError(f"--benchmark-save: a name may have {longest} bytes here; got {n}")


def _unwritable(path: Path) -> str:
    """Return why a file cannot be written; empty if it can."""
    try:
        if path.is_dir():
            return "it is a folder"
        if not path.parent.is_dir():
            return f"there is no folder {str(path.parent)!r}"
        return "" if os.access(path if path.exists() else path.parent, os.W_OK) else "no right to write there"
    except OSError as error:  # its name is too long
        return error.strerror or str(error)


def asks_for_tables(config: pytest.Config) -> bool:
    """Tell whether pytest-benchmark's tables are to be shown: ours says the same in a few lines."""
    option = config.option
    needed = option.benchmark_compare or option.benchmark_histogram or option.benchmark_verbose
    asked = any(argument.startswith(TABLES) for argument in config.invocation_params.args)
    return bool(asked or needed or option.verbose > 0)


def default_name() -> str:
    """Return a name for a run: the git commit, or outside a repository the date."""
    commit = get_commit_info()
    identifier = str(commit.get("id") or "")
    if re.fullmatch(r"[0-9a-f]{7,}", identifier):
        return identifier[:12] + ("-dirty" if commit.get("dirty") else "")
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def _extend_pytest_benchmark(parser: pytest.Parser) -> None:
    # pytest has no public way to change another plugin's option. These attributes are what argparse is given.
    options = {name: option for option in parser.getgroup("benchmark").options for name in option.names()}
    options["--benchmark-save"].attrs().update(nargs="?", const=UNNAMED)
    options["--benchmark-json"].attrs().update(type=arguments.path)
