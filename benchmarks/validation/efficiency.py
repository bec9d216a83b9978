"""Efficiency: how reproducible a tool's medians are, for the time that it takes.

Each tool measures the same kernels several times, with its default settings, in turn with the others. We note how
far its medians scatter from one time to the next, and how long it takes. The variance times the seconds is the
cost of precision: a tool can spend more of one to get less of the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import processes
from benchmarks.validation import kernels

Medians = Mapping[str, float]


def table(n_repeats: int, n_pyperf: int) -> pd.DataFrame:
    """Return the seconds per kernel, the scatter of the medians and the cost of precision of each tool."""
    found: dict[str, list[tuple[float, Medians]]] = {tool: [] for tool in TOOLS}
    for i in range(n_repeats):
        for tool, measure in TOOLS.items():
            if tool != "pyperf" or i < n_pyperf:
                started = time.perf_counter()
                medians = measure()
                found[tool].append((time.perf_counter() - started, medians))
                print(f"{tool}: {found[tool][-1][0]:.1f} s", file=sys.stderr, flush=True)
    rows = {tool: _row(results) for tool, results in found.items()}
    cost = {tool: seconds * scatter**2 for tool, (seconds, scatter) in rows.items()}
    return pd.DataFrame(
        {
            "tool": tool,
            "runs": len(found[tool]),
            "seconds a kernel": f"{seconds:.2f}",
            "scatter of its medians": f"{scatter:.2%}",
            "time for the same precision": f"{cost[tool] / cost['activation-bench']:.1f} times ours",
        }
        for tool, (seconds, scatter) in rows.items()
    )


def _row(results: list[tuple[float, Medians]]) -> tuple[float, float]:
    """Return the seconds per kernel, and the scatter: the median over kernels of the logarithms' deviation."""
    logs = pd.DataFrame([medians for _, medians in results]).map(np.log)
    seconds = float(np.mean([total for total, _ in results])) / len(kernels.NAMES)
    return seconds, float(logs.std(ddof=1).median())


def _ours() -> Medians:
    code = f"import json; from {__package__} import kernels; print(json.dumps(kernels.measure()))"
    return dict(json.loads(_output([sys.executable, "-c", code])))


def _pytest_benchmark() -> Medians:
    with tempfile.TemporaryDirectory() as folder:
        test, saved = Path(folder) / "test_kernels.py", Path(folder) / "saved.json"
        test.write_text(_TEST.format(package=__package__), encoding="utf-8")
        _output([sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", str(test), f"--benchmark-json={saved}"])
        found = json.loads(saved.read_text(encoding="utf-8"))["benchmarks"]
    return {benchmark["param"]: benchmark["stats"]["median"] for benchmark in found}


def _pyperf() -> Medians:
    import pyperf

    found = {}
    for name in kernels.NAMES:
        with tempfile.TemporaryDirectory() as folder:
            script, saved = Path(folder) / "script.py", Path(folder) / "saved.json"
            script.write_text(_SCRIPT.format(package=__package__, name=name), encoding="utf-8")
            _output([sys.executable, str(script), "--quiet", "-o", str(saved), "--copy-env"])
            found[name] = float(pyperf.Benchmark.load(str(saved)).median())
    return found


def _output(command: list[str]) -> str:
    done = subprocess.run(
        command,
        check=True,
        env=processes.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=_MOST_S,
    )
    return done.stdout


TOOLS: Mapping[str, Callable[[], Medians]] = {
    "activation-bench": _ours,
    "pytest-benchmark": _pytest_benchmark,
    "pyperf": _pyperf,
}

_MOST_S = 3600.0
"""No tool takes longer for what it is asked here."""
_TEST = """
import pytest
from {package} import kernels

@pytest.mark.parametrize("name", kernels.NAMES)
def test_kernel(name, benchmark):
    benchmark(kernels.kernel(name))
"""

_SCRIPT = """
import pyperf
from {package} import kernels

pyperf.Runner().bench_func("{name}", kernels.kernel("{name}"))
"""
