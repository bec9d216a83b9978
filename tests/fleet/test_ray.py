"""Ray itself: two emulated nodes share a plan, one is killed in the middle of a group, and the run is whole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec

import pytest

from benchmarks.record.journal import load_runs, read_journal
from tests.job import ROOT

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")

WORDS = (
    "timing", "--op", "relu", "tanh", "--size", "1000", "100000", "--mode", "forward", "--dtype", "float32",
    "--backend", "numpy", "numba", "--benchmark-max-time=0.1",
)  # fmt: skip
N_GROUPS = 4


@pytest.fixture
def nodes(tmp_path):
    """Return two emulated nodes, in a process that is told which to kill; its environment is a user's."""
    # Ray's sockets have long names, which must fit into 107 bytes.
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_DISPLAY_ENV": "FALSE"}
    environment.pop("PYTHONPATH", None)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fleet.emulated"],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        process.address = process.stdout.readline().strip()
        yield process
        process.stdin.close()


@pytest.fixture
def fleet(nodes, tmp_path):
    """Return the driver's process on these nodes."""
    command = [sys.executable, "-m", "benchmarks", "fleet", "run", "--address", nodes.address]
    command += ["--results", str(tmp_path / "results"), "--", *WORDS, "--benchmark-save=night"]
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process
        process.kill()


def test_a_plan_on_two_nodes_of_which_one_is_killed_is_one_complete_run(nodes, fleet, tmp_path):
    log = []
    for line in fleet.stdout:
        log.append(line)
        if re.search(r"\[2/4\]", line):
            # They take turns: whoever measured the first is now in the middle of the third.
            (first,) = re.findall(r"\[1/4\] \S+ on (\w+),", "".join(log))
            nodes.stdin.write(f"{first}\n")
            nodes.stdin.flush()
    said = "".join(log)
    print(said)
    assert fleet.wait() == 0, said
    assert re.search(rf"{first}: was lost while it measured ", said)
    (journal,) = (tmp_path / "results" / "runs" / "journals").glob("*.jsonl")
    (run,) = load_runs(journal)
    assert run.complete
    assert not run.unmeasured
    records = run.records
    assert Counter(records["op"] + records["shape"]) == dict.fromkeys(set(records["op"] + records["shape"]), 2)
    assert len(records) == 2 * N_GROUPS
    assert set(records["status"]) == {"ok"}
    assert any("share one machine and measure in turn" in each.text for each in run.warnings)
    parts = [read_journal(path) for path in (tmp_path / "results" / "runs" / "fleet").rglob("*.jsonl")]
    facts = [line for part in parts for line in part if line["type"] == "fleet"]
    assert len(facts) == 2
    assert all("OMP_NUM_THREADS" in each["undone"] for each in facts), "Ray sets it for its workers"
    assert all("LD_PRELOAD" not in each["undone"] for each in facts), (
        "Ray's own process has an allocator of its own"
    )
    assert (tmp_path / "cache" / "activation-bench" / "fleet").is_dir(), "the code came from the driver"
