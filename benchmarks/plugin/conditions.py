"""Conditions: what the results of a run depend on beside its cases, by name: two parts of one agree in them."""

from __future__ import annotations

import hashlib
import importlib.metadata
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
from pytest_benchmark.utils import get_commit_info

import backends
import benchmarks
from benchmarks.machine.fingerprint import Fingerprint
from benchmarks.plan import arguments
from benchmarks.plugin import shard, suites
from benchmarks.record.planned import Plan, plan_of
from benchmarks.record.privacy import without_homes
from benchmarks.record.schema import Case

_PASSING = ("load_average_1min", "swap_used_bytes", "gpus", "packages")
"""What a fingerprint has of a moment; GPUs and packages are told by themselves."""


def plan(config: pytest.Config, items: Sequence[pytest.Item], machine: Fingerprint, seed: int) -> Plan:
    """Return what a run of these tests is going to measure, and under which conditions."""
    others = shard.elsewhere(config, items)
    cases, theirs = (
        [] if _is_nothing_timed(config) else list(suites.timed_cases(each)) for each in (items, others)
    )
    found = {
        **_options(config, seed),
        **shard.conditions(config),
        "checks": _checks(items),
        **_code(),
        **_of(machine),
        **_packages([*cases, *theirs]),
    }
    return plan_of(cases, {name: without_homes(str(value)) for name, value in found.items()}, theirs)


def _is_nothing_timed(config: pytest.Config) -> bool:
    option = config.option
    return bool(option.benchmark_skip and not option.benchmark_only)


def _options(config: pytest.Config, seed: int) -> Mapping[str, object]:
    """Return the options that results depend on, but for what selects cases."""
    option = config.option
    budget_s = suites.budget_s(option)
    return {
        "--benchmark-save": option.benchmark_save or "no name",
        "--order-seed": seed,
        "--threads": arguments.threads(option),
        "--processes": option.processes,
        "--time-budget": f"{budget_s:g} s" if budget_s else "none",
        "--margin": option.margin,
        "--case-timeout": f"{option.case_timeout:g} s",
        "--keep-rounds": option.keep_rounds,
        "--in-process": option.in_process,
        "--benchmark-precision": option.benchmark_precision,
        "--benchmark-confidence": option.benchmark_confidence,
        "--benchmark-max-time": option.benchmark_max_time,
        "--benchmark-disable": option.benchmark_disable,
    }


def _checks(items: Iterable[pytest.Item]) -> str:
    """Return how many tests check, and a number that tells them from others."""
    checks = [item.nodeid for item in items if not suites.is_timed(item)]
    return f"{len(checks)} ({zlib.crc32(' '.join(checks).encode()):08x})" if checks else "none"


def _code() -> Mapping[str, object]:
    commit = get_commit_info()
    return {
        "commit": commit.get("id") or "none",
        "uncommitted changes": bool(commit.get("dirty")),
        "code of the backends": digest(map(Path, backends.__path__)),
        "code of the benchmarks": digest([Path(benchmarks.__file__).parent]),
    }


def digest(folders: Iterable[Path]) -> str:
    """Return a hash of all Python code in some folders: what a commit does not tell of uncommitted changes."""
    found = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            with suppress(OSError):  # a link to nowhere
                found.update(f"{path.relative_to(folder)}\0".encode(errors="replace") + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]


def _of(machine: Fingerprint) -> Mapping[str, object]:
    told = {name.replace("_", " "): value for name, value in asdict(machine).items() if name not in _PASSING}
    cards = {f"gpu {i}": f"{gpu.name}, driver {gpu.driver}" for i, gpu in enumerate(machine.gpus or ())}
    return {**told, **cards, **machine.packages}


def _packages(cases: Iterable[Case]) -> Mapping[str, object]:
    """Return the versions of what the backends of some cases compute with."""
    return dict(_versions(dict.fromkeys(case.backend for case in cases)))


def _versions(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    declared = backends.declarations()
    for package in dict.fromkeys(declared[name].package for name in names if name in declared):
        with suppress(importlib.metadata.PackageNotFoundError):
            yield package, importlib.metadata.version(package)
